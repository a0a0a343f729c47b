//! Handover with a channel that the test answers for: what is done before and after the
//! answer, to the millisecond.

use tokio::net::UdpSocket;

use super::*;
use crate::channel::message::Name;
use crate::channel::{Ask, Client, Declined, Go};
use crate::driver::{Handed, Yield};

struct Asked {
    bench: Bench,
    asks: mpsc::Receiver<Ask>,
}

impl Asked {
    /// An Active with a channel.
    async fn active() -> Self {
        let (channel, asks) = Client::new();
        let bench = bench_with(clear(), Some(channel));
        bench.until(400).await;
        bench.deeds();
        Self { bench, asks }
    }

    async fn yields(&self, to: Option<&str>) -> oneshot::Receiver<Handed> {
        let (done, answer) = oneshot::channel();
        let asked = Yield {
            to: to.and_then(Name::new),
            hold: Duration::from_secs(60),
            done,
        };
        self.bench
            .commands
            .send(Command::Yield(asked))
            .await
            .unwrap();
        settle().await;
        answer
    }

    async fn asks(&mut self) -> Ask {
        self.asks.recv().await.unwrap()
    }
}

/// A successor that has accepted, and what hears that it may take.
async fn accepted() -> (Go, std::net::UdpSocket) {
    let hears = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_nonblocking(true).unwrap();
    hears.set_nonblocking(true).unwrap();
    let socket = UdpSocket::from_std(socket).unwrap();
    // As that of a channel, which has sent before.
    socket.writable().await.unwrap();
    let go = Go {
        socket: Arc::new(socket),
        octets: b"go".to_vec(),
        address: hears.local_addr().unwrap(),
        sent: Arc::default(),
        successor: Name::new("m2").unwrap(),
    };
    (go, hears)
}

fn heard(hears: &std::net::UdpSocket) -> bool {
    hears.recv(&mut [0; 8]).is_ok()
}

#[tokio::test(start_paused = true)]
async fn the_addresses_stay_until_a_successor_has_accepted() {
    let mut asked = Asked::active().await;
    let done = asked.yields(None).await;
    let ask = asked.asks().await;
    assert_eq!((ask.to, ask.above), (None, None));
    asked.bench.until(410).await;
    assert_eq!(asked.bench.deeds(), []);
    assert_eq!(asked.bench.state(), State::Active);
    let (go, hears) = accepted().await;
    assert!(!heard(&hears));
    ask.answer.send(Ok(go)).unwrap();
    settle().await;
    assert_eq!(asked.bench.deeds(), [(410, Advertise(0)), (410, Release)]);
    assert!(heard(&hears));
    assert_eq!(done.await.unwrap(), Handed::To(Name::new("m2").unwrap()));
    // It leaves the lower one alone.
    for millis in [500, 600, 700, 800, 900] {
        asked.bench.hears(100).await;
        asked.bench.until(millis).await;
    }
    assert_eq!(asked.bench.state(), State::Backup);
}

#[tokio::test(start_paused = true)]
async fn when_nobody_accepts_priority_0_remains() {
    let mut asked = Asked::active().await;
    let done = asked.yields(None).await;
    let ask = asked.asks().await;
    ask.answer.send(Err(Declined::Nobody)).unwrap();
    settle().await;
    assert_eq!(asked.bench.deeds(), [(400, Advertise(0)), (400, Release)]);
    assert_eq!(done.await.unwrap(), Handed::Released(Declined::Nobody));
}

#[tokio::test(start_paused = true)]
async fn a_named_node_that_does_not_accept_leaves_everything_as_it_is() {
    let mut asked = Asked::active().await;
    let done = asked.yields(Some("m3")).await;
    let ask = asked.asks().await;
    assert_eq!(ask.to, Name::new("m3"));
    ask.answer.send(Err(Declined::NotAccepted)).unwrap();
    settle().await;
    assert_eq!(asked.bench.deeds(), []);
    assert_eq!(done.await.unwrap(), Handed::Kept(Declined::NotAccepted));
    assert_eq!(asked.bench.state(), State::Active);
}

#[tokio::test(start_paused = true)]
async fn a_stop_waits_for_the_answer_and_a_channel_that_is_gone_is_none() {
    let mut asked = Asked::active().await;
    let (done, answer) = oneshot::channel();
    asked
        .bench
        .commands
        .send(Command::Stop(done))
        .await
        .unwrap();
    settle().await;
    let ask = asked.asks().await;
    assert_eq!(asked.bench.deeds(), []);
    drop(ask);
    answer.await.unwrap();
    assert_eq!(asked.bench.deeds(), [(400, Advertise(0)), (400, Release)]);
}

#[tokio::test(start_paused = true)]
async fn a_lower_priority_is_offered_to_a_higher_one_only() {
    let mut asked = Asked::active().await;
    asked.bench.stands(80, None).await;
    let ask = asked.asks().await;
    assert_eq!(ask.above, Some(80));
    ask.answer.send(Err(Declined::Nobody)).unwrap();
    settle().await;
    assert_eq!(asked.bench.deeds(), [(400, Advertise(80))]);
    assert_eq!(asked.bench.state(), State::Active);
}

#[tokio::test(start_paused = true)]
async fn a_higher_router_that_came_meanwhile_has_them_already() {
    let mut asked = Asked::active().await;
    let done = asked.yields(None).await;
    let ask = asked.asks().await;
    asked.bench.hears(250).await;
    assert_eq!(asked.bench.deeds(), [(400, Release)]);
    let (go, hears) = accepted().await;
    ask.answer.send(Ok(go)).unwrap();
    settle().await;
    assert!(!heard(&hears));
    assert_eq!(done.await.unwrap(), Handed::NotActive);
}

#[tokio::test(start_paused = true)]
async fn a_backup_takes_what_is_handed_to_it() {
    let (channel, _asks) = Client::new();
    let bench = bench_with(clear(), Some(channel));
    bench.until(10).await;
    let (done, held) = oneshot::channel();
    bench.commands.send(Command::Take(done)).await.unwrap();
    held.await.unwrap();
    let taken = [(10, Advertise(200)), (10, Acquire), (10, Burst)];
    assert_eq!(bench.deeds(), taken);
}

#[tokio::test(start_paused = true)]
async fn nothing_gets_between_a_stop_and_its_end() {
    let mut asked = Asked::active().await;
    let (done, answer) = oneshot::channel();
    asked
        .bench
        .commands
        .send(Command::Stop(done))
        .await
        .unwrap();
    settle().await;
    let ask = asked.asks().await;
    asked.bench.stands(80, None).await;
    asked.bench.stands(1, Some(Out::Fault)).await;
    let yielded = asked.yields(None).await;
    assert_eq!(yielded.await.unwrap(), Handed::Kept(Declined::NotAccepted));
    asked.bench.deeds();
    ask.answer.send(Err(Declined::Nobody)).unwrap();
    answer.await.unwrap();
    assert_eq!(asked.bench.deeds(), [(400, Advertise(0)), (400, Release)]);
    assert_eq!(asked.bench.task.await.unwrap(), Ended::Stopped);
}

#[tokio::test(start_paused = true)]
async fn a_fault_goes_before_a_yield_that_waits() {
    let mut asked = Asked::active().await;
    let yielded = asked.yields(Some("m3")).await;
    asked.asks().await;
    asked.bench.stands(1, Some(Out::Fault)).await;
    assert_eq!(yielded.await.unwrap(), Handed::Kept(Declined::NotAccepted));
    let ask = asked.asks().await;
    assert_eq!(ask.to, None);
    asked.bench.deeds();
    ask.answer.send(Err(Declined::Nobody)).unwrap();
    settle().await;
    assert_eq!(asked.bench.deeds(), [(400, Advertise(0)), (400, Release)]);
}
