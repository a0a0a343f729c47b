//! What asks bootstrap-signer for something.

use bootstrap_signer::manifest::Manifest;
use policy::{Request, SelfSignature};
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::prelude::FromDer;

/// A certificate request in PEM. One that is signed with its own key is one for a second
/// parser too, and wherever both take it they see the same subject: nobody is to read
/// another name than we do.
///
/// # Panics
/// When that does not hold.
pub fn request(data: &[u8]) {
    let Ok(request) = Request::read(data) else {
        return;
    };
    let pem = x509_parser::pem::parse_x509_pem(data).ok();
    let contents = pem.map(|(_, pem)| pem.contents).unwrap_or_default();
    let Ok((rest, other)) = X509CertificationRequest::from_der(&contents) else {
        let signed = request.signature == SelfSignature::Valid;
        assert!(!signed, "no request for another parser: {request:?}");
        return;
    };
    assert!(rest.is_empty(), "bytes behind the request");
    let theirs: Vec<_> = other
        .certification_request_info
        .subject
        .iter_attributes()
        .map(|attribute| attribute.as_str().unwrap_or_default().to_owned())
        .collect();
    let ours: Vec<_> = request.subject.iter().map(|each| &each.value).collect();
    assert!(ours.iter().copied().eq(&theirs), "{ours:?} and {theirs:?}");
}

/// What `kubectl get csr -o yaml` prints.
pub fn manifest(data: &[u8]) {
    if let Ok(text) = str::from_utf8(data)
        && let Ok(manifest) = Manifest::parse("fuzzed", text)
    {
        let _ = Request::read(&manifest.pem);
    }
}

/// A `token.csv`, and each of its lines as a token.
///
/// # Panics
/// When a token that was read is not written as it was.
pub fn token(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else {
        return;
    };
    let _ = token::csv::read(text);
    for line in text.lines() {
        if let Ok(token) = token::Token::parse(line) {
            assert_eq!(token.expose(), line);
        }
    }
}
