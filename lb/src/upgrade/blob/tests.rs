//! The format against a text that is kept with the tests: a program of this version must read
//! it for as long as the version stands.

use proptest::prelude::*;

use super::*;

/// Whoever changes what is written raises [`VERSION`] and puts another file beside this one.
const TEXT: &str = include_str!("../../../tests/handover/v1.json");
/// What its connections hold: five bytes up, three down, a hello of four, half a one of two.
const BEHIND: &[u8] = b"updatfordhellhe";
/// One that listens, two with a server, one without.
const SOCKETS: u32 = 6;

fn blob(version: u32, sockets: u32, text: &str, behind: &[u8]) -> Vec<u8> {
    let len = text.len() as u64;
    [
        &NAME[..],
        &version.to_be_bytes(),
        &sockets.to_be_bytes(),
        &len.to_be_bytes(),
        text.as_bytes(),
        behind,
    ]
    .concat()
}

fn good() -> Vec<u8> {
    blob(1, SOCKETS, TEXT, &BEHIND[..14])
}

#[test]
fn what_version_one_has_written_is_read_and_written_again() {
    let state = State::decode(&good()).unwrap();
    assert_eq!(state.sockets(), SOCKETS as usize);
    let held: Vec<Vec<&[u8]>> = state
        .sessions
        .iter()
        .map(|session| session.bytes().map(crate::engine::Bytes::get).collect())
        .collect();
    let expected: [&[&[u8]]; 3] = [&[b"updat", b"for"], &[b"dhel"], &[b"lh"]];
    assert_eq!(held, expected);
    let again = state.encode().unwrap();
    let (_, text) = again.split_at(HEAD);
    let text = &text[..text.len() - 14];
    let value = |text: &[u8]| serde_json::from_slice::<serde_json::Value>(text).unwrap();
    assert_eq!(value(text), value(TEXT.as_bytes()));
    assert_eq!(&again[again.len() - 14..], &BEHIND[..14]);
}

#[test]
fn what_does_not_hold_together_is_refused() {
    let behind = &BEHIND[..14];
    let broken = |from: &str, to: &str| {
        assert!(TEXT.contains(from), "{from}");
        blob(1, SOCKETS, &TEXT.replacen(from, to, 1), behind)
    };
    let is = |blob: &[u8]| State::decode(blob).err();
    assert_eq!(is(b""), Some(BlobError::Foreign));
    assert_eq!(is(&[0; 64]), Some(BlobError::Foreign));
    assert_eq!(is(&good()[..HEAD + 10]), Some(BlobError::Foreign));
    let newer = blob(2, SOCKETS, TEXT, behind);
    assert_eq!(is(&newer), Some(BlobError::Version(2)));
    for blob in [
        blob(1, SOCKETS, TEXT, &BEHIND[..13]),
        blob(1, SOCKETS, TEXT, BEHIND),
        blob(1, SOCKETS + 1, TEXT, behind),
        // More is pending than is there, and a server that is none.
        broken("\"pending\": 5", "\"pending\": 6"),
        broken("\"pending\": 3", "\"pending\": 4294967295"),
        broken("\"kept\": 4, \"written\": 4", "\"kept\": 4, \"written\": 5"),
        broken(
            "{\"Hello\": {\"deadline\": 1001000}}",
            "{\"Relaying\": {\"settle\": null}}",
        ),
    ] {
        assert!(
            matches!(is(&blob), Some(BlobError::Broken(_))),
            "{:?}",
            is(&blob)
        );
    }
    for blob in [
        broken("\"Pipe\"", "\"Tube\""),
        broken("\"rise\": 2", "\"rise\": 0"),
        broken("\"worker\": 1", "\"worker\": 65536"),
        blob(1, SOCKETS, "", behind),
    ] {
        assert!(
            matches!(is(&blob), Some(BlobError::Text(_))),
            "{:?}",
            is(&blob)
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// Whatever a byte, a length or an end is changed into: it is read or refused.
    #[test]
    fn garbage_never_panics(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        end in any::<prop::sample::Index>(),
        is_cut in any::<bool>(),
    ) {
        let mut blob = good();
        for (at, byte) in changes {
            let at = at.index(blob.len());
            blob[at] = byte;
        }
        if is_cut {
            blob.truncate(end.index(blob.len()));
        }
        if let Ok(state) = State::decode(&blob) {
            prop_assert!(state.sessions.iter().all(Kept::is_sound));
            prop_assert!(State::decode(&state.encode().unwrap()).is_ok());
        }
    }

    #[test]
    fn noise_is_none_of_ours(noise in prop::collection::vec(any::<u8>(), 0..2_000)) {
        prop_assert!(State::decode(&noise).is_err());
    }
}
