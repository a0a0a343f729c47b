//! The TLS handshake: silence, ends, peers that speak plain, certificates on both sides.

use std::time::{Duration, SystemTime};

use pki::{Name, Profile};
use probe::{Check, Heard, Identity, Outcome, Reach, Stage, Tls, Trust, Untrusted};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::certificates::{loopback, pki, pki_at, pki_of};
use crate::serve::{OK, against, against_tls, answer, hold, https, out_of_time};

#[tokio::test]
async fn hung_before_the_handshake_is_silent() {
    let check = pki().unwrap().https().unwrap();
    let report = out_of_time(check.clone(), hold).await.unwrap();
    assert_eq!(report.outcome, Outcome::HandshakeTimeout(Heard::Nothing));
    assert_eq!(report.outcome.reach(), Reach::Silent);
}

#[tokio::test]
async fn a_handshake_that_begins_and_stops_has_answered() {
    let check = pki().unwrap().https().unwrap();
    let report = out_of_time(check, |mut stream, done| async move {
        // The head of a handshake record of 122 bytes, and nothing of the record.
        stream.write_all(&[22, 3, 3, 0, 122]).await?;
        hold(stream, done).await
    });
    let outcome = report.await.unwrap().outcome;
    assert_eq!(outcome, Outcome::HandshakeTimeout(Heard::Bytes));
    assert_eq!(outcome.reach(), Reach::Answered);
}

#[tokio::test]
async fn closed_in_the_handshake() {
    let check = pki().unwrap().https().unwrap();
    let (outcome, _) = against(&check, |mut stream| async move {
        // All of the hello, so that the close is a FIN and no RST.
        let length = [0; 5];
        let mut record = length.to_vec();
        stream.read_exact(&mut record).await?;
        let length = u16::from_be_bytes([record[3], record[4]]);
        stream.read_exact(&mut vec![0; usize::from(length)]).await?;
        Ok(())
    })
    .await
    .unwrap();
    assert_eq!(outcome, Outcome::Closed(Stage::Handshake, Heard::Nothing));
    assert_eq!(outcome.reach(), Reach::Silent);
}

#[tokio::test]
async fn reset_in_the_handshake() {
    let check = pki().unwrap().https().unwrap();
    let (outcome, _) = against(&check, |mut stream| async move {
        stream.read_u8().await?;
        // Closed with the hello unread: the kernel sends RST.
        Ok(())
    })
    .await
    .unwrap();
    assert_eq!(outcome, Outcome::Reset(Stage::Handshake, Heard::Nothing));
}

#[tokio::test]
async fn a_peer_that_speaks_plain() {
    let check = pki().unwrap().https().unwrap();
    for greeting in [
        &b"HTTP/1.0 400 Bad Request\r\n\r\n"[..],
        b"SSH-2.0-OpenSSH_9.2\r\n",
    ] {
        let (outcome, _) = against(&check, move |mut stream| async move {
            stream.write_all(greeting).await?;
            stream.shutdown().await?;
            let _ = stream.read_to_end(&mut Vec::new()).await;
            Ok(())
        })
        .await
        .unwrap();
        assert_eq!(outcome, Outcome::TlsProtocol);
    }
}

#[tokio::test]
async fn certificates_that_are_not_to_be_trusted() {
    let now = SystemTime::now();
    let year = Duration::from_secs(366 * 86_400);
    let other = Profile::server("other", vec![Name::Dns("other.test".to_owned())]);
    let client = Profile::client("client", &[]);
    let client = Profile {
        names: loopback().names,
        ..client
    };
    for (profile, at, expected) in [
        (loopback(), now - year, Outcome::TlsExpired),
        (loopback(), now + year, Outcome::TlsNotYetValid),
        (other, now, Outcome::TlsUntrusted(Untrusted::Name)),
        (client, now, Outcome::TlsUntrusted(Untrusted::Purpose)),
    ] {
        let pki = pki_at(&profile, at).unwrap();
        let acceptor = pki.acceptor(false).unwrap();
        let serve = |stream| answer(stream, OK);
        let check = pki.https().unwrap();
        let (outcome, _) = against_tls(&check, acceptor, serve).await.unwrap();
        assert_eq!(outcome, expected);
    }
}

#[tokio::test]
async fn a_certificate_of_another_authority() {
    let trusted = pki().unwrap();
    for (name, expected) in [
        ("another-ca", Outcome::TlsUntrusted(Untrusted::Issuer)),
        // Two clusters' authorities are called alike: only the signature tells.
        ("test-ca", Outcome::TlsUntrusted(Untrusted::Signature)),
    ] {
        let other = pki_of(name, &loopback(), SystemTime::now()).unwrap();
        let acceptor = other.acceptor(false).unwrap();
        let check = trusted.https().unwrap();
        let (outcome, _) = against_tls(&check, acceptor, |s| answer(s, OK))
            .await
            .unwrap();
        assert_eq!(outcome, expected);
    }
}

#[tokio::test]
async fn insecure_asks_anybody_and_only_then() {
    let acceptor = pki().unwrap().acceptor(false).unwrap();
    let tls = Tls::new(&Trust::Insecure, None, None).unwrap();
    let (outcome, _) = against_tls(&https(tls).unwrap(), acceptor, |s| answer(s, OK))
        .await
        .unwrap();
    assert_eq!(outcome, Outcome::Passed);
}

#[tokio::test]
async fn a_server_name_stands_for_the_address() {
    let pki = pki().unwrap();
    for (name, expected) in [
        ("server.test", Outcome::Passed),
        ("another.test", Outcome::TlsUntrusted(Untrusted::Name)),
    ] {
        let tls = Tls::new(&pki.trust().unwrap(), Some(name), None).unwrap();
        let acceptor = pki.acceptor(false).unwrap();
        let (outcome, _) = against_tls(&https(tls).unwrap(), acceptor, |s| answer(s, OK))
            .await
            .unwrap();
        assert_eq!(outcome, expected);
    }
}

#[tokio::test]
async fn client_certificates() {
    let pki = pki().unwrap();
    let profile = Profile::client("checker", &[]);
    let own = pki.authority.issue(&profile, SystemTime::now()).unwrap();
    let identity = Identity::from_pem(
        own.certificate_pem.as_bytes(),
        own.key_pem.expose().as_bytes(),
    );
    let identity = identity.unwrap();
    // 116: certificate_required (RFC 8446, section 6).
    for (identity, expected) in [
        (Some(&identity), Outcome::Passed),
        (None, Outcome::TlsRefused(116)),
    ] {
        let tls = Tls::new(&pki.trust().unwrap(), None, identity).unwrap();
        let acceptor = pki.acceptor(true).unwrap();
        let (outcome, _) = against_tls(&https(tls).unwrap(), acceptor, |s| answer(s, OK))
            .await
            .unwrap();
        assert_eq!(outcome, expected);
    }
}

#[tokio::test]
async fn tls_alone_passes_and_says_goodbye() {
    let pki = pki().unwrap();
    let check = Check::Tls(pki.tls().unwrap());
    let acceptor = pki.acceptor(false).unwrap();
    let (outcome, end) = against_tls(&check, acceptor, |mut stream| async move {
        // Fails unless a close_notify came.
        Ok(stream.read_to_end(&mut Vec::new()).await?)
    })
    .await
    .unwrap();
    assert_eq!(outcome, Outcome::Passed);
    assert_eq!(end.unwrap(), 0);
}
