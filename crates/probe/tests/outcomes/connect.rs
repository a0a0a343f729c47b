//! The connect: passed, refused, dropped; IPv6; the source address.

use probe::{Check, LocalFault, Outcome, Reach, Target, run};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use crate::serve::{HOUR, OK, Served, against, head, http, once};

#[tokio::test]
async fn tcp_passes() {
    let (outcome, _) = against(&Check::Tcp, |_| async { Ok(()) }).await.unwrap();
    assert_eq!(outcome, Outcome::Passed);
}

#[tokio::test]
async fn refused() {
    // Bound and not listening: nobody else can take the port meanwhile.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = socket.local_addr().unwrap();
    let report = run(&Check::Tcp, address, HOUR).await;
    assert_eq!(report.outcome, Outcome::Refused);
}

#[tokio::test]
async fn connect_timeout_when_no_syn_is_answered() {
    // A full accept queue: the kernel drops further SYNs.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let filled = [
        TcpStream::connect(address).await.unwrap(),
        TcpStream::connect(address).await.unwrap(),
    ];
    tokio::time::pause();
    let report = run(&Check::Tcp, address, HOUR).await;
    assert_eq!(report.outcome, Outcome::ConnectTimeout);
    assert!(report.took >= HOUR, "{report:?}");
    drop(filled);
}

#[tokio::test]
async fn ipv6_and_the_host_that_is_sent() {
    let listener = TcpListener::bind("[::1]:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let served = tokio::spawn(async move {
        let mut stream = listener.accept().await?.0;
        let head = head(&mut stream).await?;
        stream.write_all(OK).await?;
        Served::Ok(head)
    });
    let report = run(&http().unwrap(), address, HOUR).await;
    assert_eq!(report.outcome, Outcome::Passed);
    let head = served.await.unwrap().unwrap().to_lowercase();
    assert!(head.starts_with("get /readyz http/1.1\r\n"), "{head}");
    assert!(
        head.contains(&format!("host: [::1]:{}\r\n", address.port())),
        "{head}"
    );
    assert!(head.contains("connection: close\r\n"), "{head}");
}

#[tokio::test]
async fn asks_from_the_given_address() {
    let serve = |stream: TcpStream| async move { Ok(stream.peer_addr()?.ip()) };
    let (address, served) = once(serve).await.unwrap();
    let source = "127.0.0.9".parse().unwrap();
    let target = Target {
        address,
        source: Some(source),
    };
    assert_eq!(
        run(&Check::Tcp, target, HOUR).await.outcome,
        Outcome::Passed
    );
    assert_eq!(served.await.unwrap().unwrap(), source);
}

#[tokio::test]
async fn a_source_that_is_not_ours_says_nothing_about_the_server() {
    for source in ["192.0.2.1", "::1"] {
        let source = source.parse().ok();
        let target = Target {
            address: "127.0.0.1:1".parse().unwrap(),
            source,
        };
        let outcome = run(&Check::Tcp, target, HOUR).await.outcome;
        assert_eq!(outcome, Outcome::Local(LocalFault::Source));
        assert_eq!(outcome.reach(), Reach::Unknown);
    }
}
