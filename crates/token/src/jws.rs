//! Signatures of a text that stands elsewhere (RFC 7515, appendix F), with a token's
//! secret as the key: HS256 (RFC 7518, section 3.2).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;

use crate::Secret;

/// Signs `content` in the name of the token `id`: header and signature, nothing between.
#[must_use]
pub fn detached(id: &str, secret: &Secret, content: &str) -> String {
    // An id is letters and digits: nothing in it is to be escaped.
    let header = URL_SAFE_NO_PAD.encode(format!(r#"{{"alg":"HS256","kid":"{id}"}}"#));
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose().as_bytes());
    let mut signed = hmac::Context::with_key(&key);
    signed.update(header.as_bytes());
    signed.update(b".");
    signed.update(URL_SAFE_NO_PAD.encode(content).as_bytes());
    let signature = URL_SAFE_NO_PAD.encode(signed.sign());
    format!("{header}..{signature}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By Python's hmac and base64 over the same texts.
    #[test]
    fn a_known_signature() {
        let secret = Secret::new("0123456789abcdef");
        let signed = detached("abcdef", &secret, "apiVersion: v1\nkind: Config\n");
        assert_eq!(
            signed,
            "eyJhbGciOiJIUzI1NiIsImtpZCI6ImFiY2RlZiJ9..\
             vH_kT4yiol-nrAWgjfCYqvum5wsKETXe0S7OOp1VgnE"
        );
    }
}
