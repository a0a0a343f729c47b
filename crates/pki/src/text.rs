//! PEM (RFC 7468): base64 in lines of 64.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

const LINE: usize = 64;

/// One block.
pub(crate) fn pem(label: &str, der: &[u8]) -> String {
    let body = STANDARD.encode(der);
    let mut text = format!("-----BEGIN {label}-----\n");
    let mut rest = body.as_str();
    while !rest.is_empty() {
        let (line, more) = rest.split_at_checked(LINE).unwrap_or((rest, ""));
        text.push_str(line);
        text.push('\n');
        rest = more;
    }
    text.push_str(&format!("-----END {label}-----\n"));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_sixty_four() {
        assert_eq!(
            pem("X", b"abc"),
            "-----BEGIN X-----\nYWJj\n-----END X-----\n"
        );
        let long = pem("X", &[0; 48]);
        assert_eq!(long.lines().map(str::len).collect::<Vec<_>>(), [17, 64, 15]);
        let longer = pem("X", &[0; 49]);
        assert_eq!(longer.lines().nth(2), Some("AA=="));
    }
}
