//! The request and its response: statuses, bodies, ends, silence.

use probe::{Check, Heard, Http, Outcome, Reach, Secrecy, Stage};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use crate::certificates::pki;
use crate::serve::{
    OK, against, against_plain, against_tls, answer, head, hold, http, out_of_time,
};

#[tokio::test]
async fn https_passes_over_http11_and_says_goodbye() {
    let pki = pki().unwrap();
    let acceptor = pki.acceptor(false).unwrap();
    let (outcome, end) = against_tls(&pki.https().unwrap(), acceptor, |stream| async {
        let alpn = stream.get_ref().1.alpn_protocol().map(<[u8]>::to_vec);
        Ok((alpn, answer(stream, OK).await?))
    })
    .await
    .unwrap();
    assert_eq!(outcome, Outcome::Passed);
    assert_eq!(end.unwrap(), (Some(b"http/1.1".to_vec()), 0));
}

#[tokio::test]
async fn a_server_that_leaves_the_closing_to_us() {
    let pki = pki().unwrap();
    let acceptor = pki.acceptor(false).unwrap();
    let serve = |mut stream: TlsStream<TcpStream>| async move {
        head(&mut stream).await?;
        stream.write_all(OK).await?;
        Ok(stream.read_to_end(&mut Vec::new()).await?)
    };
    let (outcome, end) = against_tls(&pki.https().unwrap(), acceptor, serve)
        .await
        .unwrap();
    assert_eq!(outcome, Outcome::Passed);
    assert_eq!(end.unwrap(), 0);
}

#[tokio::test]
async fn statuses() {
    for (status, expected) in [
        ("200 OK", Outcome::Passed),
        ("204 No Content", Outcome::Passed),
        ("302 Found", Outcome::Passed),
        ("401 Unauthorized", Outcome::Status(401)),
        ("500 Internal Server Error", Outcome::Status(500)),
    ] {
        let response = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n");
        let outcome = against_plain(&http().unwrap(), response.into_bytes())
            .await
            .unwrap();
        assert_eq!(outcome, expected);
    }
}

#[tokio::test]
async fn statuses_can_be_named() {
    let statuses = "200,401".parse().unwrap();
    let check = Check::Http(Http::new("/").unwrap().with_statuses(statuses));
    for (status, expected) in [(401, Outcome::Passed), (204, Outcome::Status(204))] {
        let response = format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n");
        let outcome = against_plain(&check, response.into_bytes()).await.unwrap();
        assert_eq!(outcome, expected);
    }
}

#[tokio::test]
async fn what_a_body_holds() {
    let http = Http::new("/").unwrap().with_body("ok: ready");
    let check = Check::Http(http);
    for (body, status, expected) in [
        ("all is ok: ready or not", "200 OK", Outcome::Passed),
        ("ok: ready", "200 OK", Outcome::Passed),
        ("ok: read", "200 OK", Outcome::BodyMismatch),
        ("", "200 OK", Outcome::BodyMismatch),
        ("ok: ready", "500 No", Outcome::Status(500)),
    ] {
        let length = body.len();
        let response =
            format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n{body}");
        let outcome = against_plain(&check, response.into_bytes()).await.unwrap();
        assert_eq!(outcome, expected, "{body}");
    }
}

#[tokio::test]
async fn headers_are_sent() {
    let http = Http::new("/").unwrap();
    let http = http
        .with_header("X-Check", "api-lb", Secrecy::Open)
        .unwrap();
    let http = http
        .with_header("Authorization", "Bearer abc", Secrecy::Secret)
        .unwrap();
    let serve = |mut stream: TcpStream| async move {
        let head = head(&mut stream).await?;
        stream.write_all(OK).await?;
        Ok(head.to_ascii_lowercase())
    };
    let (_, head) = against(&Check::Http(http), serve).await.unwrap();
    let head = head.unwrap();
    assert!(head.contains("\r\nx-check: api-lb\r\n"), "{head}");
    assert!(head.contains("\r\nauthorization: bearer abc\r\n"), "{head}");
}

#[tokio::test]
async fn bodies_without_a_length() {
    for response in [
        "HTTP/1.1 200 OK\r\n\r\nup to the end",
        "HTTP/1.0 200 OK\r\n\r\nup to the end",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    ] {
        let response = response.as_bytes().to_vec();
        assert_eq!(
            against_plain(&http().unwrap(), response).await.unwrap(),
            Outcome::Passed
        );
    }
}

#[tokio::test]
async fn what_is_no_response() {
    let long = format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(64 * 1024));
    for response in [
        "SSH-2.0-OpenSSH_9.2\r\n",
        "\u{15}\u{3}\u{3}\u{0}\u{2}",
        "200\r\n\r\n",
        &long,
    ] {
        let response = response.as_bytes().to_vec();
        let outcome = against_plain(&http().unwrap(), response).await.unwrap();
        assert_eq!(outcome, Outcome::BadResponse);
    }
}

#[tokio::test]
async fn bodies_up_to_the_limit() {
    for (length, status, expected) in [
        (64 * 1024, 200, Outcome::Passed),
        (64 * 1024 + 1, 200, Outcome::BodyTooLarge),
        (1024 * 1024, 200, Outcome::BodyTooLarge),
        (1024 * 1024, 500, Outcome::Status(500)),
    ] {
        let head = format!("HTTP/1.1 {status} X\r\nContent-Length: {length}\r\n\r\n");
        let mut response = head.into_bytes();
        response.resize(response.len() + length, b'x');
        let outcome = against_plain(&http().unwrap(), response).await.unwrap();
        assert_eq!(outcome, expected, "{length}");
    }
}

#[tokio::test]
async fn ends_before_and_within_the_response() {
    for (response, expected) in [
        ("", Outcome::Closed(Stage::Request, Heard::Nothing)),
        ("HTTP/1.1 20", Outcome::Closed(Stage::Request, Heard::Bytes)),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok",
            Outcome::Closed(Stage::Body, Heard::Bytes),
        ),
    ] {
        let response = response.as_bytes().to_vec();
        assert_eq!(
            against_plain(&http().unwrap(), response).await.unwrap(),
            expected
        );
    }
}

#[tokio::test]
async fn reset_before_the_response() {
    let (outcome, _) = against(&http().unwrap(), |mut stream| async move {
        // Closed with the rest of the request unread: the kernel sends RST.
        stream.read_u8().await?;
        Ok(())
    })
    .await
    .unwrap();
    assert_eq!(outcome, Outcome::Reset(Stage::Request, Heard::Nothing));
    assert_eq!(outcome.reach(), Reach::Silent);
}

#[tokio::test]
async fn a_body_cut_off_without_goodbye_is_no_whole_one() {
    let pki = pki().unwrap();
    let acceptor = pki.acceptor(false).unwrap();
    let serve = |mut stream: TlsStream<TcpStream>| async move {
        head(&mut stream).await?;
        stream
            .write_all(b"HTTP/1.1 200 OK\r\n\r\nup to the")
            .await?;
        stream.flush().await?;
        stream.get_mut().0.shutdown().await?;
        let _ = stream.read_to_end(&mut Vec::new()).await;
        Ok(())
    };
    let (outcome, _) = against_tls(&pki.https().unwrap(), acceptor, serve)
        .await
        .unwrap();
    assert_eq!(outcome, Outcome::Closed(Stage::Body, Heard::Bytes));
}

#[tokio::test]
async fn no_response_is_silent_only_when_no_handshake_was() {
    let report = out_of_time(http().unwrap(), |mut stream, done| async move {
        head(&mut stream).await?;
        hold(stream, done).await
    });
    let outcome = report.await.unwrap().outcome;
    assert_eq!(outcome, Outcome::NoResponse(Heard::Nothing));
    assert_eq!(outcome.reach(), Reach::Silent);
}

#[tokio::test]
async fn no_response_after_a_handshake_has_answered() {
    let pki = pki().unwrap();
    let acceptor = pki.acceptor(false).unwrap();
    let report = out_of_time(pki.https().unwrap(), |stream, done| async move {
        let mut stream = acceptor.accept(stream).await?;
        head(&mut stream).await?;
        hold(stream, done).await
    });
    assert_eq!(
        report.await.unwrap().outcome,
        Outcome::NoResponse(Heard::Bytes)
    );
}

#[tokio::test]
async fn a_head_that_does_not_end() {
    let report = out_of_time(http().unwrap(), |mut stream, done| async move {
        head(&mut stream).await?;
        stream.write_all(b"HTTP/1.1 200 OK\r\nX-Slow: ").await?;
        hold(stream, done).await
    });
    assert_eq!(
        report.await.unwrap().outcome,
        Outcome::NoResponse(Heard::Bytes)
    );
}

#[tokio::test]
async fn a_body_that_does_not_end() {
    for (status, expected) in [(200, Outcome::BodyTimeout), (500, Outcome::Status(500))] {
        let report = out_of_time(http().unwrap(), move |mut stream, done| async move {
            head(&mut stream).await?;
            let head = format!("HTTP/1.1 {status} X\r\nContent-Length: 9\r\n\r\nok");
            stream.write_all(head.as_bytes()).await?;
            hold(stream, done).await
        });
        assert_eq!(report.await.unwrap().outcome, expected);
        tokio::time::resume();
    }
}
