//! Mutations without a clock and without luck: the same in every run and on every machine.

/// What parsers of text stumble over, and lengths that do not fit.
const TOKENS: &[&[u8]] = &[
    b"\0",
    b"\n",
    b"\r\n",
    b"\t",
    b"{",
    b"}",
    b"[",
    b"]",
    b"\"",
    b"'",
    b"\\",
    b"#",
    b";",
    b":",
    b": ",
    b"- ",
    b"&a ",
    b"*a",
    b"<<: ",
    b"!!str ",
    b"---\n",
    b"%",
    b"$",
    b"${A}",
    b"-1",
    b"0",
    b"65535",
    b"65536",
    b"4294967296",
    b"99999999999999999999",
    b"1e9",
    b"1ms",
    b"::",
    b"0.0.0.0",
    b"/33",
    b"\xff",
    b"\xff\xff",
    b"\xc3\x28",
    b"\xe2\x80\xa8",
    b"\x00\x00\x00\x00",
    b"\x7f\xff\xff\xff",
    b"include ",
    b"default",
];

/// Steps from one number to the next (xorshift, Marsaglia 2003).
#[derive(Clone, Debug)]
pub struct Steps(u64);

impl Steps {
    /// Begins anywhere but at 0.
    #[must_use]
    pub fn from(seed: u64) -> Self {
        Self(seed | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// Below `end`; 0 where there is nothing below it.
    pub fn below(&mut self, end: usize) -> usize {
        let end = end as u64;
        usize::try_from(self.next().checked_rem(end).unwrap_or(0)).unwrap_or(0)
    }
}

/// One to four changes of `input`; `other` gives what is spliced in.
#[must_use]
pub fn mutate(input: &[u8], other: &[u8], steps: &mut Steps) -> Vec<u8> {
    let mut bytes = input.to_vec();
    for _ in 0..=steps.below(4) {
        change(&mut bytes, other, steps);
    }
    bytes
}

fn change(bytes: &mut Vec<u8>, other: &[u8], steps: &mut Steps) {
    let at = steps.below(bytes.len() + 1);
    let span = at..(at + steps.below(16)).min(bytes.len());
    match steps.below(7) {
        0 => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << steps.below(8);
            }
        }
        1 => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte = u8::try_from(steps.below(256)).unwrap_or(0);
            }
        }
        2 => bytes.truncate(at),
        3 => drop(bytes.drain(span)),
        4 => {
            let again = bytes.get(span).unwrap_or_default().to_vec();
            bytes.splice(at..at, again);
        }
        5 => {
            let from = steps.below(other.len() + 1);
            let until = (from + steps.below(64)).min(other.len());
            let piece = other.get(from..until).unwrap_or_default().to_vec();
            bytes.splice(span, piece);
        }
        _ => {
            let token = TOKENS.get(steps.below(TOKENS.len())).copied();
            bytes.splice(at..at, token.unwrap_or_default().iter().copied());
        }
    }
}
