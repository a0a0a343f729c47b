//! Every worked case as if a person had approved it: what is signed is a node's
//! certificate that says what the request says and no more, and what never may be one is
//! not signed.
//!
//! Leaves to `tests/cluster`: who takes the certificates, and upstream's beside them.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "a test that cannot read its cases, or finds another kind, has failed"
)]

use std::collections::BTreeSet;
use std::fs;
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use bootstrap_signer::signing::judge;
use csr_cases::case::{Case, Expected};
use csr_cases::forge;
use csr_cases::stage::Stage;
use pki::{Authority, Validity};
use policy::{Reason, Request, Signer};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::prelude::{FromDer, GeneralName, ParsedExtension, X509Certificate};

/// What no approval makes a certificate of.
const NEVER: [Reason; 21] = [
    Reason::RequestTooLarge,
    Reason::PemNotAlone,
    Reason::PemTypeWrong,
    Reason::PemInvalid,
    Reason::DerTrailing,
    Reason::DerInvalid,
    Reason::KeyNotAllowed,
    Reason::KeyTooWeak,
    Reason::SignatureInvalid,
    Reason::AttributeNotAllowed,
    Reason::ExtensionNotAllowed,
    Reason::SubjectNotExact,
    Reason::OrganizationNotExact,
    Reason::CommonNameNotNode,
    Reason::NodeNameInvalid,
    Reason::NodeNameReserved,
    Reason::UsagesNotExact,
    Reason::SanOnClient,
    Reason::SanKindNotAllowed,
    Reason::SanNameInvalid,
    Reason::SanReserved,
];

#[test]
fn a_certificate_says_what_its_request_says() {
    let authority = Authority::new("ca", SystemTime::now()).unwrap();
    let (mut signed, mut refused) = (0, BTreeSet::new());
    for case in cases() {
        let Some(signer) = Signer::named(&case.signer_name) else {
            continue;
        };
        let stage = Stage::of(&case).unwrap();
        let pem = forge::pem(&case).unwrap();
        let reason = stage.decide(&pem).reason;
        let judged = judge(signer, stage.submitted(), &pem, stage.settings());
        if NEVER.contains(&reason) {
            assert!(judged.is_err(), "{}: {reason:?} is signed", case.name);
            refused.insert(reason);
        }
        if case.expected == Expected::Approve {
            assert!(judged.is_ok(), "{}: {judged:?}", case.name);
        }
        let Ok(wish) = judged else { continue };
        let lifetime = wish.lifetime(Duration::from_secs(86_400));
        let validity = Validity::of(lifetime, SystemTime::now(), &authority);
        let made = authority
            .certify(&wish.profile, &wish.key, wish.encipherment, validity)
            .unwrap();
        let request = Request::read(&pem).unwrap();
        compare(&case, signer, &request, &pem, &made);
        signed += 1;
    }
    assert!(signed > 50, "{signed} were signed");
    assert_eq!(refused, NEVER.into(), "a reason without a case");
}

fn cases() -> Vec<Case> {
    let read = |file: &str| -> Vec<Case> {
        let path = format!("../tests/csr-cases/cases/{file}");
        serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
    };
    [read("csr.json"), read("own.json")].concat()
}

fn compare(case: &Case, signer: Signer, request: &Request, pem: &[u8], made: &str) {
    let der = CertificateDer::from_pem_slice(made.as_bytes()).unwrap();
    let (_, made) = X509Certificate::from_der(&der).unwrap();
    let (_, block) = x509_parser::pem::parse_x509_pem(pem).unwrap();
    let (_, asked) = X509CertificationRequest::from_der(&block.contents).unwrap();
    let name = &case.name;
    let asked = &asked.certification_request_info;
    assert_eq!(made.public_key().raw, asked.subject_pki.raw, "{name}");
    assert_eq!(
        made.subject().to_string(),
        asked.subject.to_string(),
        "{name}"
    );
    assert_eq!(made.subject().iter_attributes().count(), 2, "{name}");
    let (mut dns, mut addresses) = (Vec::new(), Vec::new());
    let mut kinds = BTreeSet::new();
    for extension in made.extensions() {
        assert!(kinds.insert(extension.oid.to_id_string()), "{name}: twice");
        match extension.parsed_extension() {
            ParsedExtension::SubjectAlternativeName(names) => {
                for one in &names.general_names {
                    match one {
                        GeneralName::DNSName(text) => dns.push((*text).to_owned()),
                        GeneralName::IPAddress(octets) => addresses.push(address(octets)),
                        other => panic!("{name}: {other:?}"),
                    }
                }
            }
            ParsedExtension::BasicConstraints(basic) => {
                assert!(!basic.ca && extension.critical, "{name}");
            }
            ParsedExtension::KeyUsage(usage) => {
                // digitalSignature, and keyEncipherment where it was asked for.
                let wraps = case.usages.iter().any(|each| each == "key encipherment");
                assert_eq!(usage.flags, if wraps { 0b101 } else { 1 }, "{name}");
            }
            ParsedExtension::ExtendedKeyUsage(usage) => {
                let serving = signer == Signer::Serving;
                let both = (usage.server_auth, usage.client_auth);
                assert_eq!(both, (serving, !serving), "{name}");
                assert!(!usage.any && usage.other.is_empty(), "{name}");
            }
            ParsedExtension::AuthorityKeyIdentifier(_)
            | ParsedExtension::SubjectKeyIdentifier(_) => {}
            other => panic!("{name}: {other:?}"),
        }
    }
    assert_eq!(dns, request.names.dns, "{name}");
    assert_eq!(addresses, request.names.addresses, "{name}");
    assert_eq!(
        signer == Signer::Client,
        dns.len() + addresses.len() == 0,
        "{name}"
    );
}

fn address(octets: &[u8]) -> IpAddr {
    match octets.len() {
        4 => <[u8; 4]>::try_from(octets).unwrap().into(),
        _ => <[u8; 16]>::try_from(octets).unwrap().into(),
    }
}
