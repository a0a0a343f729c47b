//! The reader of requests against a reader of somebody else's (x509-parser): whatever is
//! read here and truly signed is accepted there too, and means the same.
//!
//! Leaves to `csr-cases`: requests that no library writes, and what is decided on them.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot make its request has failed"
)]
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "somebody else's enums of many kinds"
)]

use policy::{Key, Request, SelfSignature, oid};
use proptest::prelude::*;
use rcgen::{
    CertificateParams, DistinguishedName, DnType, KeyPair, PKCS_ECDSA_P256_SHA256,
    PKCS_ECDSA_P384_SHA384, PKCS_ED25519, SanType, SignatureAlgorithm,
};
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::FromDer;

fn made(algorithm: &'static SignatureAlgorithm, names: Vec<SanType>) -> Vec<u8> {
    let mut params = CertificateParams::default();
    let mut subject = DistinguishedName::new();
    subject.push(DnType::OrganizationName, "system:nodes");
    subject.push(DnType::CommonName, "system:node:node-a");
    params.distinguished_name = subject;
    params.subject_alt_names = names;
    let key = KeyPair::generate_for(algorithm).unwrap();
    params.serialize_request(&key).unwrap().der().to_vec()
}

fn names() -> Vec<SanType> {
    let dns = SanType::DnsName("node-a.example.org".try_into().unwrap());
    let ip = |text: &str| SanType::IpAddress(text.parse().unwrap());
    vec![dns, ip("10.0.0.11"), ip("fd00::11")]
}

fn pem(der: &[u8]) -> Vec<u8> {
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let lines: Vec<&str> = (0..text.len())
        .step_by(64)
        .map(|start| &text[start..text.len().min(start + 64)])
        .collect();
    let (begin, end) = ("-----BEGIN", "-----END");
    let label = "CERTIFICATE REQUEST-----";
    format!("{begin} {label}\n{}\n{end} {label}\n", lines.join("\n")).into_bytes()
}

/// Subject, names and key as the other reader sees them; `None` when it refuses.
fn elsewhere(der: &[u8]) -> Option<(Vec<String>, Vec<String>, Vec<u8>)> {
    let (rest, request) = X509CertificationRequest::from_der(der).ok()?;
    let info = &request.certification_request_info;
    let subject = info.subject.iter_attributes().map(|attribute| {
        let value = attribute.as_str().unwrap_or("?");
        kind(&attribute.attr_type().to_id_string(), value)
    });
    let extensions = request.requested_extensions().into_iter().flatten();
    let names = extensions.flat_map(|extension| match extension {
        ParsedExtension::SubjectAlternativeName(names) => {
            names.general_names.iter().map(name).collect()
        }
        _ => Vec::new(),
    });
    let found = (
        subject.collect(),
        names.collect(),
        info.subject_pki.raw.to_vec(),
    );
    rest.is_empty().then_some(found)
}

/// The other reader prints identifiers whose first number takes two octets (2.999) wrong:
/// those that matter are compared, the others are one.
fn kind(oid: &str, value: &str) -> String {
    let known = [oid::COMMON_NAME, oid::ORGANIZATION].contains(&oid);
    format!("{}={value}", if known { oid } else { "other" })
}

fn name(name: &GeneralName<'_>) -> String {
    match name {
        GeneralName::DNSName(name) => format!("DNS:{name}"),
        GeneralName::IPAddress(octets) => {
            let v4 = <[u8; 4]>::try_from(*octets).map(std::net::IpAddr::from);
            let v6 = <[u8; 16]>::try_from(*octets).map(std::net::IpAddr::from);
            v4.or(v6).map_or_else(
                |_| "IP:?".to_owned(),
                |address| format!("IP:{}", address.to_canonical()),
            )
        }
        _ => "other".to_owned(),
    }
}

fn here(request: &Request) -> (Vec<String>, Vec<String>) {
    let subject = request.subject.iter();
    let subject = subject.map(|each| kind(&each.oid, &each.value));
    let names = &request.names;
    let dns = names.dns.iter().map(|name| format!("DNS:{name}"));
    let addresses = names
        .addresses
        .iter()
        .map(|address| format!("IP:{address}"));
    let others = names.others.iter().map(|_| "other".to_owned());
    let names = dns.chain(addresses).chain(others);
    (subject.collect(), names.collect())
}

#[test]
fn reads_what_a_library_writes() {
    for (algorithm, key) in [
        (&PKCS_ECDSA_P256_SHA256, "P-256"),
        (&PKCS_ECDSA_P384_SHA384, "P-384"),
        (&PKCS_ED25519, "1.3.101.112"),
    ] {
        let request = Request::read(&pem(&made(algorithm, names()))).unwrap();
        assert_eq!(request.key.to_string(), key);
        assert_eq!(request.node(), Some("node-a"));
        assert_eq!(request.extensions.len(), 1);
        assert_eq!(request.extensions[0].oid, oid::SUBJECT_ALT_NAME);
        assert_eq!(request.names.dns, ["node-a.example.org"]);
        assert_eq!(request.names.addresses.len(), 2);
        let verified = !matches!(request.key, Key::Other(_));
        assert_eq!(request.signature == SelfSignature::Valid, verified);
        let bare = Request::read(&pem(&made(algorithm, vec![]))).unwrap();
        assert!(bare.extensions.is_empty() && bare.names.is_empty());
        assert_ne!(bare.key_id, request.key_id);
    }
}

/// No octet can be changed without the request becoming unreadable or unsigned.
#[test]
fn every_octet_is_signed() {
    let der = made(&PKCS_ECDSA_P256_SHA256, names());
    for place in 0..der.len() {
        for bit in [0x01, 0x80] {
            let mut bent = der.clone();
            bent[place] ^= bit;
            if let Ok(request) = Request::read(&pem(&bent)) {
                assert_eq!(request.signature, SelfSignature::Invalid, "octet {place}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn whatever_is_accepted_means_the_same_elsewhere(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut der = made(&PKCS_ECDSA_P256_SHA256, names());
        for (place, octet) in &changes {
            let place = place.index(der.len());
            der[place] = *octet;
        }
        if let Some(place) = cut {
            der.truncate(place.index(der.len()));
        }
        if let Ok(request) = Request::read(&pem(&der)) {
            let (subject, names) = here(&request);
            // What is refused elsewhere may be readable here only if it is denied for its
            // signature anyway.
            let Some((other_subject, mut other_names, _)) = elsewhere(&der) else {
                prop_assert_ne!(request.signature, SelfSignature::Valid, "{:?}", request);
                return Ok(());
            };
            prop_assert_eq!(subject, other_subject);
            let mut names = names;
            names.sort();
            other_names.sort();
            prop_assert_eq!(names, other_names);
        }
    }

    #[test]
    fn odd_bytes_do_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..512)) {
        prop_assert!(Request::read(&bytes).is_err());
        let _ = Request::read(&pem(&bytes));
    }
}
