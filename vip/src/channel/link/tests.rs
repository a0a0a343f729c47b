//! Two channels on loopback, and a network between them that loses offers. The clock is
//! paused: what is on the wire arrives before it moves.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::sleep;
use vrrp::Priority;

use super::*;
use crate::channel::message::Key;
use crate::channel::{Declined, Go};
use crate::driver::{Command, Record};

const GROUP: Group = Group {
    vrid: 51,
    address: std::net::IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)),
};

fn key() -> Key {
    Key::new(&[7; 32]).unwrap()
}

fn name(name: &str) -> Name {
    Name::new(name).unwrap()
}

fn bound() -> (Bound, SocketAddr) {
    let socket = Bound::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    socket.set_nonblocking(true).unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}

fn begin(own: &str, socket: Bound, peer: &str, address: SocketAddr) -> Client {
    let settings = Settings {
        name: name(own),
        key: key(),
        listen: socket.local_addr().unwrap(),
        peers: BTreeMap::from([(name(peer), address)]),
    };
    start(settings, socket, &Handle::current()).unwrap()
}

/// A network from one to the other that loses the first `lost` offers.
fn wire(to: SocketAddr, lost: u32) -> SocketAddr {
    let (socket, address) = bound();
    let left = Arc::new(AtomicU32::new(lost));
    let socket = UdpSocket::from_std(socket).unwrap();
    tokio::spawn(async move {
        let mut octets = vec![0; LONGEST + 1];
        loop {
            let (length, _) = socket.recv_from(&mut octets).await.unwrap();
            let octets = &octets[..length];
            let message = Message::parse(octets, &key()).unwrap();
            let offer = matches!(message.body, Body::Offer(..));
            if offer && left.load(Ordering::Relaxed) > 0 {
                left.fetch_sub(1, Ordering::Relaxed);
                continue;
            }
            socket.send_to(octets, to).await.unwrap();
        }
    });
    address
}

/// Offers the addresses of `a` to `b`; the answer, and how long it took.
async fn offered(lost: u32) -> (Result<Go, Declined>, Duration) {
    let ((a, at_a), (b, at_b)) = (bound(), bound());
    let ours = begin("a", a, "b", wire(at_b, lost));
    let theirs = begin("b", b, "a", at_a);
    let mut record = Record::new(Priority::DEFAULT, Instant::now());
    (record.state, record.running) = (State::Backup, true);
    let (_publish, record) = watch::channel(record);
    let (commands, _orders) = mpsc::channel::<Command>(1);
    let entry = Entry { commands, record };
    theirs.set_routers(BTreeMap::from([(GROUP, entry)]));
    sleep(HELLO * 3).await;
    let begun = Instant::now();
    let (answer, answered) = oneshot::channel();
    let ask = Ask {
        group: GROUP,
        to: None,
        above: None,
        answer,
    };
    assert!(ours.ask(ask));
    (answered.await.unwrap(), begun.elapsed())
}

#[tokio::test(start_paused = true)]
async fn an_offer_that_is_lost_is_made_once_more() {
    for (lost, accepted, at_least, at_most) in
        [(0, true, 0, 2), (1, true, 5, 8), (2, false, 15, 18)]
    {
        let (answer, took) = offered(lost).await;
        assert_eq!(answer.is_ok(), accepted, "{lost} lost: {answer:?}");
        let millis = took.as_millis();
        assert!(
            (at_least..=at_most).contains(&millis),
            "{lost} lost: {took:?}"
        );
    }
}
