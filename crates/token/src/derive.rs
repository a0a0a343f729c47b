//! A token that follows from a key and a purpose: whoever has the key finds it again, so
//! that work which was broken off goes on with the token it began with.

use ring::hmac;

use crate::Token;
use crate::text::{ID, SECRET, letter};

impl Token {
    /// The token of `purpose` under `key`: HMAC-SHA256 (RFC 2104) over a counter and the
    /// purpose, as many blocks as it takes. Without the key nothing is known of it.
    #[must_use]
    pub fn derived(key: &[u8], purpose: &str) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, key);
        let block = |counter: u32| {
            let mut context = hmac::Context::with_key(&key);
            context.update(&counter.to_be_bytes());
            context.update(purpose.as_bytes());
            context.sign().as_ref().to_vec()
        };
        let mut letters = (0..).flat_map(block).filter_map(letter);
        let id: String = letters.by_ref().take(ID).collect();
        let secret: String = letters.take(SECRET).collect();
        Self::of(id, &secret)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_key_and_purpose_lead_to_the_same_token_and_no_other() {
        let token = Token::derived(b"key", "join 20000");
        assert_eq!(token, Token::derived(b"key", "join 20000"));
        assert_eq!(Token::parse(&token.expose()).as_ref(), Ok(&token));
        for other in [
            Token::derived(b"key", "join 20001"),
            Token::derived(b"kez", "join 20000"),
        ] {
            assert_ne!(other.id(), token.id());
            assert_ne!(other.secret(), token.secret());
        }
    }
}
