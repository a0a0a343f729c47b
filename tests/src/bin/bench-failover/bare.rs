//! What an owner's adverts cost the kernel alone: its datagrams, sent at its interval to
//! receivers that wait for them, by a thread that does nothing else.
//!
//! Whatever a daemon does besides is on top of it: a bound below it is a bound on the machine.

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use lab::error::{Doing, LabError};
use lab::segment::Segment;
use nix::sys::time::TimeSpec;
use nix::time::{ClockId, ClockNanosleepFlags, clock_gettime, clock_nanosleep};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use crate::cycle::{Figures, OWNER};
use crate::group::MASTERS;
use crate::row::Row;

/// IANA's number of VRRP (RFC 9568, section 5.1.1.4).
const VRRP: i32 = 112;
/// As long as an advert of version 3 with one address (RFC 9568, section 5.2).
const ADVERT: [u8; 12] = [0x31, 51, 200, 1, 0, 1, 0, 0, 10, 77, 0, 100];
/// How often a receiver looks whether it is to end.
const LOOK: Duration = Duration::from_millis(200);

/// The sender's share of one core while the row is watched.
pub(crate) fn run(row: Row, segment: &Segment) -> Result<Figures, LabError> {
    let sender = raw(segment, OWNER)?;
    let others = MASTERS.iter().filter(|(name, ..)| *name != OWNER);
    let others: Vec<_> = others.map(|(name, address, _)| (*name, *address)).collect();
    let receivers = others.iter().map(|(name, _)| raw(segment, name));
    let receivers: Vec<_> = receivers.collect::<Result<_, _>>()?;
    let to: Vec<_> = others.iter().map(|(_, address)| *address).collect();
    let over = AtomicBool::new(false);
    let used = thread::scope(|scope| {
        for receiver in &receivers {
            scope.spawn(|| drained(receiver, &over));
        }
        let used = sent(&sender, &to, row);
        over.store(true, Ordering::Relaxed);
        used
    })?;
    let watched = row.watched().as_secs_f64();
    Ok(Figures {
        cpu: Some(100.0 * used.as_secs_f64() / watched),
        ..Figures::default()
    })
}

fn raw(segment: &Segment, host: &str) -> Result<Socket, LabError> {
    let open = || Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::from(VRRP)));
    let socket = segment.host(host)?.netns().run(open)?;
    let socket = socket.doing("open a raw socket")?;
    socket
        .set_read_timeout(Some(LOOK))
        .doing("set how long a socket waits")?;
    Ok(socket)
}

/// Reads as a Backup would; what it reads is nobody's.
fn drained(receiver: &Socket, over: &AtomicBool) {
    let mut buffer = [std::mem::MaybeUninit::uninit(); 128];
    while !over.load(Ordering::Relaxed) {
        // A time that is up is as good as an advert.
        drop(receiver.recv(&mut buffer));
    }
}

/// Sends to each at the row's interval for as long as it is watched; the thread's CPU time.
fn sent(sender: &Socket, to: &[Ipv4Addr], row: Row) -> Result<Duration, LabError> {
    let interval = TimeSpec::from(row.speech().interval);
    let clock = |clock| clock_gettime(clock).doing("read a clock");
    let begun = clock(ClockId::CLOCK_MONOTONIC)?;
    let end = begun + TimeSpec::from(row.watched());
    let before = clock(ClockId::CLOCK_THREAD_CPUTIME_ID)?;
    let mut due = begun + interval;
    while due < end {
        let flag = ClockNanosleepFlags::TIMER_ABSTIME;
        clock_nanosleep(ClockId::CLOCK_MONOTONIC, flag, &due).doing("wait")?;
        for address in to {
            let address = SockAddr::from(std::net::SocketAddrV4::new(*address, 0));
            sender.send_to(&ADVERT, &address).doing("send an advert")?;
        }
        due = due + interval;
    }
    Ok((clock(ClockId::CLOCK_THREAD_CPUTIME_ID)? - before).into())
}
