//! Who waits for a place at a server.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use api_lb::config::Dial;
use api_lb::pool::{Seat, Server};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::rig::{Options, Rig};

const SOON: Duration = Duration::from_secs(10);

fn seat(rig: &Rig, server: usize) -> Seat {
    let server: &Arc<Server> = &rig.frontend().backend.servers()[server].0;
    Seat::take(server).unwrap()
}

/// No TCP goes to a broadcast address: a dial fails before anything was sent.
const UNROUTABLE: SocketAddr = SocketAddr::V4(std::net::SocketAddrV4::new(
    std::net::Ipv4Addr::new(127, 255, 255, 255),
    6443,
));

#[tokio::test]
async fn who_dials_in_vain_from_the_line_is_in_it_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let options = Options {
        dial: Dial {
            connect: SOON,
            time: 6 * SOON,
            attempts: 6,
        },
        places: NonZeroU32::new(1),
        ..Options::default()
    };
    let servers = [listener.local_addr().unwrap(), UNROUTABLE];
    let rig = Rig::start(&servers, &options).unwrap();
    let (reached, unroutable) = (seat(&rig, 0), seat(&rig, 1));
    let mut client = TcpStream::connect(rig.address).await.unwrap();
    let waits = |rig: &Rig| rig.frontend().backend.cursor.waiting() == 1;
    assert!(rig.until(SOON, waits).await, "it does not wait");

    drop(unroutable);
    let tried = |rig: &Rig| {
        rig.servers()
            .any(|s| s.counters.dial_failures.load(Ordering::Relaxed) > 0)
    };
    assert!(rig.until(SOON, tried).await, "it was not dialled");
    assert!(rig.until(SOON, waits).await, "it waits no longer");

    drop(reached);
    let served = tokio::time::timeout(SOON, listener.accept()).await;
    let (mut server, _) = served.expect("it was forgotten").unwrap();
    server.write_all(b"!").await.unwrap();
    assert_eq!(client.read_u8().await.unwrap(), b'!');
}
