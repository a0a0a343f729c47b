//! Which processor a program is for, by the head of its file.

/// Octets of a file that say so.
pub const HEAD: usize = 20;

/// The processor, as compilers call it; nothing for what is no program of this kind, such as
/// a script, and for a processor that no cluster of ours has.
#[must_use]
pub fn processor(head: &[u8]) -> Option<&'static str> {
    // elf(5): the magic number; 64 bits, the low octet first; the machine, two octets at 18.
    let rest = head.strip_prefix(b"\x7fELF\x02\x01")?;
    let machine: [u8; 2] = rest.get(12..14)?.try_into().ok()?;
    match u16::from_le_bytes(machine) {
        62 => Some("x86_64"),
        183 => Some("aarch64"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_says_which_processor() {
        let mut head = b"\x7fELF\x02\x01\x01".to_vec();
        head.resize(HEAD, 0);
        for (machine, wanted) in
            [(62, Some("x86_64")), (183, Some("aarch64")), (243, None)]
        {
            head[18] = machine;
            assert_eq!(processor(&head), wanted, "{machine}");
        }
        assert_eq!(processor(&head[..19]), None);
        assert_eq!(processor(b"#!/bin/sh\necho this is no program\n"), None);
        let own = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        assert_eq!(processor(&own[..HEAD]), Some(std::env::consts::ARCH));
    }
}
