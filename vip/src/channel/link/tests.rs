//! Two channels on loopback, and a network between them that loses offers. The clock is
//! paused: what is on the wire arrives before it moves.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

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

/// What a network loses.
#[derive(Clone, Copy)]
struct Loses {
    offers: u32,
    orders: u32,
}

/// A network from one to the other that loses the first of each.
fn wire(to: SocketAddr, mut loses: Loses) -> SocketAddr {
    let (socket, address) = bound();
    let socket = UdpSocket::from_std(socket).unwrap();
    tokio::spawn(async move {
        let mut octets = vec![0; LONGEST + 1];
        loop {
            let (length, _) = socket.recv_from(&mut octets).await.unwrap();
            let octets = &octets[..length];
            let message = Message::parse(octets, &key()).unwrap();
            let left = match message.body {
                Body::Offer(..) => &mut loses.offers,
                Body::Go(_) => &mut loses.orders,
                Body::Hello(_)
                | Body::Challenge(_)
                | Body::Proof(_)
                | Body::Accept(_)
                | Body::Refuse(_)
                | Body::Taken(_) => &mut 0,
            };
            match left.checked_sub(1) {
                Some(fewer) => *left = fewer,
                None => drop(socket.send_to(octets, to).await.unwrap()),
            }
        }
    });
    address
}

/// Two nodes, and the addresses of one offered to the other.
struct Pair {
    answer: Result<Go, Declined>,
    /// From the question on.
    took: Duration,
    /// What the other's driver is told.
    orders: mpsc::Receiver<Command>,
    theirs: Client,
    _publish: watch::Sender<Record>,
}

async fn offered(loses: Loses) -> Pair {
    let ((a, at_a), (b, at_b)) = (bound(), bound());
    let ours = begin("a", a, "b", wire(at_b, loses));
    let theirs = begin("b", b, "a", at_a);
    let mut record = Record::new(Priority::DEFAULT, Instant::now());
    (record.state, record.running) = (State::Backup, true);
    let (publish, record) = watch::channel(record);
    let (commands, orders) = mpsc::channel::<Command>(2);
    let entry = Entry {
        commands,
        record,
        place: 0,
    };
    theirs.set_routers(BTreeMap::from([(GROUP, entry)]));
    sleep(HELLO * 3).await;
    let begun = Instant::now();
    let (answer, answered) = oneshot::channel();
    let ask = Ask {
        groups: vec![GROUP],
        to: None,
        above: None,
        answer,
    };
    assert!(ours.ask(ask));
    Pair {
        answer: answered.await.unwrap(),
        took: begun.elapsed(),
        orders,
        theirs,
        _publish: publish,
    }
}

#[tokio::test(start_paused = true)]
async fn who_holds_back_from_a_stranger_takes_nothing() {
    let mut record = Record::new(Priority::DEFAULT, Instant::now());
    (record.state, record.running) = (State::Backup, true);
    for (stranger, expected) in [(false, Ready::Yes), (true, Ready::No)] {
        record.rival = stranger.then(|| crate::driver::Heard {
            from: [10, 0, 0, 9].into(),
            priority: Priority::DEFAULT,
            interval: vrrp::AdvertInterval::DEFAULT,
            at: Instant::now(),
        });
        let (_publish, record) = watch::channel(record.clone());
        let (commands, _orders) = mpsc::channel(1);
        let entry = Entry {
            commands,
            record,
            place: 0,
        };
        assert_eq!(ready(&entry), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn an_offer_that_is_lost_is_made_once_more() {
    for (lost, accepted, at_least, at_most) in
        [(0, true, 0, 2), (1, true, 5, 8), (2, false, 15, 18)]
    {
        let offers = lost;
        let Pair { answer, took, .. } = offered(Loses { offers, orders: 0 }).await;
        assert_eq!(answer.is_ok(), accepted, "{lost} lost: {answer:?}");
        let millis = took.as_millis();
        assert!(
            (at_least..=at_most).contains(&millis),
            "{lost} lost: {took:?}"
        );
    }
}

/// Once the addresses are let go of, the one that has accepted takes them, also where the word
/// for it was lost; and never before.
#[tokio::test(start_paused = true)]
async fn a_lost_word_to_take_is_said_once_more() {
    const SLOW: Duration = Duration::from_millis(20);
    for (orders, at_most) in [(0, 1), (1, 8)] {
        let mut pair = offered(Loses { offers: 0, orders }).await;
        sleep(SLOW).await;
        assert!(pair.orders.try_recv().is_err(), "not let go of yet");
        let begun = Instant::now();
        pair.answer.unwrap().send().unwrap();
        let Some(Command::Take(taken)) = pair.orders.recv().await else {
            panic!("{orders} lost: nothing is to be taken");
        };
        let millis = begun.elapsed().as_millis();
        assert!(millis <= at_most, "{orders} lost: {millis} ms");
        taken.send(()).unwrap();
        sleep(SLOW).await;
        assert!(pair.orders.try_recv().is_err(), "said twice, taken once");
        assert!(pair.theirs.facts().refused.is_empty());
    }
    // Both lost: priority 0 has said it.
    let mut pair = offered(Loses {
        offers: 0,
        orders: 2,
    })
    .await;
    pair.answer.unwrap().send().unwrap();
    sleep(SLOW).await;
    assert!(pair.orders.try_recv().is_err());
}
