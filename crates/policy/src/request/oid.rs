//! Object identifiers, in dotted form.

/// `id-at-commonName`.
pub const COMMON_NAME: &str = "2.5.4.3";
/// `id-at-organizationName`.
pub const ORGANIZATION: &str = "2.5.4.10";
/// `id-ce-subjectAltName`.
pub const SUBJECT_ALT_NAME: &str = "2.5.29.17";
/// `pkcs-9-at-extensionRequest` (RFC 2985, 5.4.2).
pub const EXTENSION_REQUEST: &str = "1.2.840.113549.1.9.14";
/// `rsaEncryption`.
pub const RSA: &str = "1.2.840.113549.1.1.1";
/// `sha256WithRSAEncryption`.
pub const RSA_SHA256: &str = "1.2.840.113549.1.1.11";
/// `sha384WithRSAEncryption`.
pub const RSA_SHA384: &str = "1.2.840.113549.1.1.12";
/// `sha512WithRSAEncryption`.
pub const RSA_SHA512: &str = "1.2.840.113549.1.1.13";
/// `id-ecPublicKey`.
pub const EC: &str = "1.2.840.10045.2.1";
/// `secp256r1`.
pub const P256: &str = "1.2.840.10045.3.1.7";
/// `secp384r1`.
pub const P384: &str = "1.3.132.0.34";
/// `ecdsa-with-SHA256`.
pub const ECDSA_SHA256: &str = "1.2.840.10045.4.3.2";
/// `ecdsa-with-SHA384`.
pub const ECDSA_SHA384: &str = "1.2.840.10045.4.3.3";
