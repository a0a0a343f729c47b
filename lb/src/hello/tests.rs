use proptest::prelude::*;

use super::*;

/// First flights of real clients, as they came over the wire: curl (OpenSSL), `openssl
/// s_client`, kubectl (Go); `http` is curl's without TLS.
const CORPUS: [(&str, &[u8]); 5] = [
    ("curl", include_bytes!("corpus/curl.bin")),
    ("tls13", include_bytes!("corpus/openssl-tls13-alpn.bin")),
    ("tls12", include_bytes!("corpus/openssl-tls12.bin")),
    ("kubectl", include_bytes!("corpus/kubectl.bin")),
    ("http", include_bytes!("corpus/http.bin")),
];

fn of(name: &str) -> &'static [u8] {
    CORPUS.iter().find(|(n, _)| *n == name).unwrap().1
}

fn hellos() -> impl Iterator<Item = &'static [u8]> {
    CORPUS.iter().filter(|(n, _)| *n != "http").map(|(_, b)| *b)
}

#[test]
fn what_real_clients_say() {
    for (client, name, alpn, version) in [
        (
            "curl",
            Some("k8s.example"),
            &["h2", "http/1.1"][..],
            Version::Tls13,
        ),
        (
            "tls13",
            Some("api.example"),
            &["h2", "http/1.1"],
            Version::Tls13,
        ),
        ("tls12", None, &[], Version::Tls12),
        ("kubectl", None, &["h2", "http/1.1"], Version::Tls13),
    ] {
        let hello = read(of(client)).unwrap().unwrap();
        assert_eq!(hello.server_name.as_deref(), name, "{client}");
        let alpn: Vec<Box<[u8]>> = alpn.iter().map(|a| a.as_bytes().into()).collect();
        assert_eq!(hello.alpn, alpn, "{client}");
        assert_eq!(hello.version, version, "{client}");
        assert_eq!(hello.len, of(client).len(), "{client}");
    }
    assert_eq!(read(of("http")), Err(Flaw::NotTls));
}

#[test]
fn a_part_is_more_and_what_follows_is_not_its() {
    for bytes in hellos() {
        for cut in 0..bytes.len() {
            assert_eq!(extent(&bytes[..cut]), Extent::More, "{cut}");
            assert_eq!(read(&bytes[..cut]), Ok(None), "{cut}");
        }
        let early_data = [bytes, &[23, 3, 3, 0, 1, 0]].concat();
        assert_eq!(extent(&early_data), Extent::Whole(bytes.len()));
    }
}

/// The same message in records of this many bytes each.
fn in_records(bytes: &[u8], len: usize) -> Vec<u8> {
    let chunks = bytes[RECORD_HEAD..].chunks(len);
    chunks
        .flat_map(|chunk| {
            let [high, low] = u16::try_from(chunk.len()).unwrap().to_be_bytes();
            [&[22, 3, 1, high, low], chunk].concat()
        })
        .collect()
}

#[test]
fn records_may_end_anywhere() {
    for bytes in hellos() {
        let whole = read(bytes).unwrap().unwrap();
        for len in [1, 2, 3, 4, 5, 7, 100] {
            let split = in_records(bytes, len);
            let hello = read(&split).unwrap().unwrap();
            assert_eq!(
                Hello {
                    len: whole.len,
                    ..hello
                },
                whole
            );
            assert_eq!(extent(&split), Extent::Whole(split.len()));
        }
    }
}

/// A whole hello with this body.
fn with_body(body: &[u8]) -> Vec<u8> {
    let len = u16::try_from(body.len()).unwrap();
    let [high, low] = len.to_be_bytes();
    let [rhigh, rlow] = (len + 4).to_be_bytes();
    [&[22, 3, 1, rhigh, rlow, 1, 0, high, low], body].concat()
}

/// A body with these extensions, each a kind and a value.
fn with_extensions(all: &[(u16, &[u8])]) -> Vec<u8> {
    let vector = |bytes: &[u8]| -> Vec<u8> {
        let len = u16::try_from(bytes.len()).unwrap().to_be_bytes();
        [&len, bytes].concat()
    };
    let each = all
        .iter()
        .flat_map(|(kind, value)| [kind.to_be_bytes().to_vec(), vector(value)].concat());
    let extensions: Vec<u8> = each.collect();
    let start = [&[3, 3][..], &[7; 32], &[0, 0, 2, 0x13, 1, 1, 0]].concat();
    with_body(&[start, vector(&extensions)].concat())
}

#[test]
fn each_flaw() {
    let name = |name: &[u8]| -> Vec<u8> {
        let len = u8::try_from(name.len()).unwrap();
        [&[0, len + 3, 0, 0, len], name].concat()
    };
    let too_long = name("a.".repeat(100).trim_end_matches('.').as_bytes());
    assert!(read(&with_extensions(&[(0, &too_long)])).is_ok());
    for (bytes, flaw) in [
        (b"GET / HTTP/1.1\r\n".to_vec(), Flaw::NotTls),
        (b"SSH-2.0-x\r\n".to_vec(), Flaw::NotTls),
        (vec![22, 2, 0], Flaw::NotTls),
        // An alert, and an answer of a server.
        (vec![21, 3, 1, 0, 2, 2, 40], Flaw::NotTls),
        (vec![22, 3, 3, 0, 4, 2, 0, 0, 0], Flaw::NotHello),
        (vec![22, 3, 1, 0, 0], Flaw::Record),
        (vec![22, 3, 1, 0x40, 1], Flaw::Record),
        (vec![22, 3, 1, 0, 4, 1, 0, 0x40, 0], Flaw::TooLong),
        // A second message in the same record.
        (vec![22, 3, 1, 0, 5, 1, 0, 0, 0, 1], Flaw::Length),
        // The record will go on behind the hello: known before its last byte is here.
        (vec![22, 3, 1, 0, 6, 1, 0, 0, 1, 3], Flaw::Length),
        (with_body(&[]), Flaw::Length),
        (with_body(&[3; 20]), Flaw::Length),
        (
            with_extensions(&[(0, &name(b"a")), (0, &name(b"b"))]),
            Flaw::Twice,
        ),
        (with_extensions(&[(0, &name(b""))]), Flaw::Name),
        (with_extensions(&[(0, &name(b"a..b"))]), Flaw::Name),
        (with_extensions(&[(0, &name(b"a\0b"))]), Flaw::Name),
        (with_extensions(&[(0, &name(&[b'a'; 64]))]), Flaw::Name),
        (
            with_extensions(&[(0, &[0, 8, 0, 0, 1, b'a', 0, 0, 1, b'b'])]),
            Flaw::Name,
        ),
        (
            with_extensions(&[(0, &[0, 9, 0, 0, 1, b'a'])]),
            Flaw::Length,
        ),
        (with_extensions(&[(16, &[0, 0])]), Flaw::Alpn),
        (with_extensions(&[(16, &[0, 1, 0])]), Flaw::Alpn),
        (with_extensions(&[(43, &[2, 0x7f, 0x1c])]), Flaw::Version),
        (with_extensions(&[(43, &[3, 3, 4, 3])]), Flaw::Length),
        (
            with_body(&[&[2, 0][..], &[7; 32], &[0, 0, 2, 0x13, 1, 1, 0]].concat()),
            Flaw::Version,
        ),
    ] {
        assert_eq!(read(&bytes), Err(flaw), "{bytes:?}");
    }
    assert!(Flaw::ALL.iter().all(|flaw| !flaw.to_string().is_empty()));
}

#[test]
fn what_is_not_known_is_passed_over() {
    let grease: (u16, &[u8]) = (0x0a0a, &[0]);
    let versions: (u16, &[u8]) = (43, &[4, 0x1a, 0x1a, 3, 4]);
    let hello = read(&with_extensions(&[grease, versions]))
        .unwrap()
        .unwrap();
    assert_eq!(hello.version, Version::Tls13);
}

proptest! {
    /// Whatever comes, it is judged and never more is read than is there.
    #[test]
    fn any_bytes_are_judged(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let _ = read(&bytes);
        let hello = [&[22, 3, 1, 2, 0, 1, 0, 1, 252][..], &bytes].concat();
        let _ = read(&hello);
    }

    /// Some bytes of a real hello are others: what is still read takes what it says, and
    /// the cheap look agrees with the thorough one.
    #[test]
    fn mutations_are_judged(
        which in 0usize..4,
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = hellos().nth(which).unwrap().to_vec();
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        bytes.truncate(cut.index(bytes.len()) + 1);
        match (extent(&bytes), read(&bytes)) {
            (Extent::More, got) => prop_assert_eq!(got, Ok(None)),
            (Extent::Whole(len), Ok(Some(hello))) => prop_assert_eq!(hello.len, len),
            (Extent::Whole(len), got) => prop_assert!(got.is_err() && len <= bytes.len()),
            (Extent::Not(flaw), got) => prop_assert_eq!(got, Err(flaw)),
        }
    }

    /// Bytes that come one by one are never judged otherwise than in one go.
    #[test]
    fn a_flaw_stays_a_flaw(bytes in proptest::collection::vec(any::<u8>(), 1..40)) {
        let bytes = [&[22, 3, 1][..], &bytes].concat();
        let mut before = Extent::More;
        for cut in 0..=bytes.len() {
            let now = extent(&bytes[..cut]);
            prop_assert!(before == Extent::More || now == before || matches!(now, Extent::Not(_)));
            before = now;
        }
    }
}
