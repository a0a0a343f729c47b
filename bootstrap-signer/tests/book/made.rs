//! Requests and books as the tests have them, and what is asked of a book.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use bootstrap_signer::book::{Book, Change, Kind, Ledger, Seen};
use policy::{Known, Reason, Settings, Signer, State, Submitted, Token};
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};

pub(crate) const START: SystemTime = SystemTime::UNIX_EPOCH;

pub(crate) fn at(seconds: u64) -> SystemTime {
    START + Duration::from_secs(1_000_000 + seconds)
}

pub(crate) fn pem(node: &str, key: &KeyPair) -> Vec<u8> {
    let mut params = CertificateParams::default();
    let mut subject = DistinguishedName::new();
    subject.push(DnType::OrganizationName, "system:nodes");
    subject.push(DnType::CommonName, format!("system:node:{node}"));
    params.distinguished_name = subject;
    let request = params.serialize_request(key).unwrap();
    request.pem().unwrap().into_bytes()
}

pub(crate) fn seen(name: &str, pem: Vec<u8>, created: SystemTime) -> Seen {
    let groups = ["system:bootstrappers", "system:authenticated"];
    Seen {
        submitted: Submitted {
            name: name.to_owned(),
            uid: name.to_owned(),
            signer: Signer::Client.name().to_owned(),
            username: "system:bootstrap:abc123".to_owned(),
            groups: groups.into_iter().map(str::to_owned).collect(),
            usages: ["digital signature", "client auth"]
                .map(str::to_owned)
                .into(),
            expiration: None,
            created,
            state: State::Pending,
        },
        pem,
        version: "1".to_owned(),
        denied: false,
        approved: None,
        stranger: None,
        issued: None,
        requester_uid: String::new(),
        extra: BTreeMap::new(),
    }
}

pub(crate) fn put(book: &mut Book, seen: Seen) {
    book.apply(Change::Request(Box::new(seen)));
}

/// A book that has seen all there is: one token, nothing else.
pub(crate) fn whole() -> Book {
    let mut book = Book::default();
    let token = Token::default();
    book.apply(Change::Token("abc123".to_owned(), token, Ledger::default()));
    for kind in Kind::ALL {
        let names = match kind {
            Kind::Tokens => ["abc123".to_owned()].into(),
            Kind::Requests | Kind::Nodes | Kind::Leases => BTreeSet::new(),
        };
        book.apply(Change::Whole(kind, names));
    }
    book
}

pub(crate) fn reason(book: &mut Book, name: &str, now: SystemTime) -> Reason {
    let settings = Settings::default();
    let granted = |_: &Seen, _| Known::Known(true);
    let decided = book.decide(name, &settings, None, granted, now);
    decided.unwrap().0.reason
}

pub(crate) fn drain(book: &mut Book) -> Vec<String> {
    std::iter::from_fn(|| book.pop()).collect()
}
