//! A token as it is written: six characters that name it, a dot, sixteen that are secret.

use std::fmt;

use ring::rand::{SecureRandom, SystemRandom};
use thiserror::Error;

/// Characters of the part that names a token.
pub(crate) const ID: usize = 6;
/// Characters of the part that is secret: 82 bits.
pub(crate) const SECRET: usize = 16;
const ALPHABET: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";
/// The largest multiple of the alphabet's length in an octet: octets from here on would
/// make its first characters likelier.
const FAIR: u8 = 252;

/// A bootstrap token. `Debug` and `Display` show its id.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    id: String,
    secret: Secret,
}

/// What nobody is shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

/// Why a text is no token; it does not repeat the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum TokenError {
    /// There is no dot.
    #[error("has no dot; a bootstrap token is 6 characters, a dot and 16 more")]
    NoDot,
    /// What stands before the dot is no id.
    #[error("its id, before the dot, is not 6 characters of a-z and 0-9")]
    Id,
    /// What stands after it is no secret.
    #[error("its secret, after the dot, is not 16 characters of a-z and 0-9")]
    Secret,
}

/// The machine gave no randomness.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the machine gave no random bytes")]
pub struct RandomError;

impl Token {
    /// Makes a new one.
    ///
    /// # Errors
    /// When the machine gives no randomness.
    pub fn generate() -> Result<Self, RandomError> {
        Ok(Self::of(characters(ID)?, &characters(SECRET)?))
    }

    pub(crate) fn of(id: String, secret: &str) -> Self {
        let secret = Secret::new(secret);
        Self { id, secret }
    }

    /// Reads `id.secret`, and nothing around it.
    ///
    /// # Errors
    /// It is none.
    pub fn parse(text: &str) -> Result<Self, TokenError> {
        let (id, secret) = text.split_once('.').ok_or(TokenError::NoDot)?;
        if !is_id(id) {
            return Err(TokenError::Id);
        }
        if !of_alphabet(secret, SECRET) {
            return Err(TokenError::Secret);
        }
        Ok(Self::of(id.to_owned(), secret))
    }

    /// What names it.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What is secret of it.
    #[must_use]
    pub fn secret(&self) -> &Secret {
        &self.secret
    }

    /// The whole of it, for whoever is to join; never for a log.
    #[must_use]
    pub fn expose(&self) -> String {
        format!("{}.{}", self.id, self.secret.0)
    }
}

impl Secret {
    pub(crate) fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The text, for the Secret it is kept in; never for a log.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({}, ..)", self.id)
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.id)
    }
}

/// Whether `text` can name a token.
pub(crate) fn is_id(text: &str) -> bool {
    of_alphabet(text, ID)
}

fn of_alphabet(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|byte| ALPHABET.contains(&byte))
}

fn characters(count: usize) -> Result<String, RandomError> {
    let random = SystemRandom::new();
    let mut text = String::with_capacity(count);
    while text.len() < count {
        let mut octets = [0; 32];
        random.fill(&mut octets).map_err(|_| RandomError)?;
        let missing = count - text.len();
        text.extend(octets.into_iter().filter_map(letter).take(missing));
    }
    Ok(text)
}

/// The character that a random octet stands for, or none, so that all are as likely.
pub(crate) fn letter(octet: u8) -> Option<char> {
    let fair = octet < FAIR;
    let drawn = ALPHABET.get(usize::from(octet % 36)).filter(|_| fair);
    drawn.map(|byte| char::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_a_token() {
        let token = Token::parse("abc123.0123456789abcdef").unwrap();
        assert_eq!(token.id(), "abc123");
        assert_eq!(token.secret().expose(), "0123456789abcdef");
        assert_eq!(token.expose(), "abc123.0123456789abcdef");
        for (text, error) in [
            ("", TokenError::NoDot),
            ("0123456789abcdef0123456789abcdef", TokenError::NoDot),
            ("abc12.0123456789abcdef", TokenError::Id),
            ("abc1234.0123456789abcdef", TokenError::Id),
            ("Abc123.0123456789abcdef", TokenError::Id),
            ("abc123.0123456789abcde", TokenError::Secret),
            ("abc123.0123456789abcdef0", TokenError::Secret),
            ("abc123.0123456789abcde.", TokenError::Secret),
            ("abc123.0123456789ABCDEF", TokenError::Secret),
            ("abc123.0123456789abcdef\n", TokenError::Secret),
            ("äbc12.0123456789abcdef", TokenError::Id),
        ] {
            assert_eq!(Token::parse(text), Err(error), "{text:?}");
        }
    }

    #[test]
    fn nothing_shows_a_secret() {
        let token = Token::parse("abc123.0123456789abcdef").unwrap();
        for shown in [format!("{token:?}"), format!("{token}")] {
            assert!(!shown.contains("0123"), "{shown}");
            assert!(shown.contains("abc123"), "{shown}");
        }
        assert_eq!(format!("{:?}", token.secret()), "Secret(..)");
    }

    /// Each character about as often as the others, and no token twice.
    #[test]
    fn new_ones_are_random() {
        let mut seen = std::collections::BTreeMap::new();
        let mut all = std::collections::BTreeSet::new();
        for _ in 0..2_000 {
            let token = Token::generate().unwrap();
            assert_eq!(Token::parse(&token.expose()).as_ref(), Ok(&token));
            for character in token.secret().expose().chars() {
                *seen.entry(character).or_insert(0) += 1;
            }
            assert!(all.insert(token.expose()));
        }
        // 32,000 characters, 889 of each; five deviations of 29 are 150.
        assert_eq!(seen.len(), 36);
        for (character, count) in seen {
            assert!((739..=1_039).contains(&count), "{character}: {count}");
        }
    }
}
