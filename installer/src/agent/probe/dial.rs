//! Calls the ears of other hosts, all at once, and says of each what came back.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::runtime::Builder;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::raw::{self, Before};
use super::{ProbeError, Words};
use crate::flows::{Ear, Reply, Way};

/// Calls under way at a time: many enough that silent ones are waited for together, few enough
/// for every host's limit of descriptors.
const AT_ONCE: usize = 128;
/// A SYN that was lost is sent again after 1 s; one more answer fits in.
const PATIENCE: Duration = Duration::from_millis(2500);
/// A datagram that was lost is sent again.
const AGAIN: Duration = Duration::from_millis(500);
const PACKET: usize = 256;

/// Calls, and what came back, in the same order.
pub(super) fn dial(calls: &[Ear], word: &str) -> Result<Vec<Reply>, ProbeError> {
    let runtime = Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(ProbeError::Runtime)?;
    let words = Arc::new(Words::of(word));
    let gate = Arc::new(Semaphore::new(AT_ONCE));
    Ok(runtime.block_on(async {
        let tasks = calls.iter().map(|call| {
            let (call, words, gate) = (call.clone(), words.clone(), gate.clone());
            tokio::spawn(async move {
                // It is never closed, so there is always a place in the end.
                let _place = gate.acquire().await;
                tried(&call, &words).await
            })
        });
        let tasks: Vec<_> = tasks.collect();
        let mut replies = Vec::new();
        for task in tasks {
            let died = |error: tokio::task::JoinError| Reply::NotSent(error.to_string());
            replies.push(task.await.unwrap_or_else(died));
        }
        replies
    }))
}

async fn tried(call: &Ear, words: &Words) -> Reply {
    match timeout(PATIENCE, ask(call, words)).await {
        Ok(Ok(())) => Reply::Heard,
        Ok(Err(error)) => meaning(&error),
        Err(_) => Reply::Silence,
    }
}

fn meaning(error: &io::Error) -> Reply {
    let kind = error.kind();
    if kind == io::ErrorKind::ConnectionRefused {
        Reply::Refused
    } else if matches!(
        kind,
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable
    ) {
        Reply::Unreachable
    } else if kind == io::ErrorKind::TimedOut {
        Reply::Silence
    } else if kind == io::ErrorKind::PermissionDenied {
        Reply::Forbidden
    } else {
        Reply::NotSent(error.to_string())
    }
}

async fn ask(call: &Ear, words: &Words) -> io::Result<()> {
    let at = |port| SocketAddr::new(call.address, port);
    match call.way {
        Way::Tcp(port) => TcpStream::connect(at(port)).await.map(drop),
        Way::Udp(port) => {
            let any: IpAddr = match call.address {
                IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
                IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
            };
            let socket = UdpSocket::bind(SocketAddr::new(any, 0))?;
            exchange(socket, at(port), Before::Nothing, words).await
        }
        Way::Protocol(number) => {
            let socket = raw::open(call.address, number)?;
            exchange(socket, at(0), Before::raw(call.address), words).await
        }
    }
}

/// Asks again and again until it is heard, or the caller has waited long enough.
async fn exchange(
    socket: UdpSocket,
    to: SocketAddr,
    before: Before,
    words: &Words,
) -> io::Result<()> {
    // Connected: what others send is not received, and an ICMP error is told.
    socket.connect(to)?;
    socket.set_nonblocking(true)?;
    let socket = tokio::net::UdpSocket::from_std(socket)?;
    loop {
        socket.send(&words.asks).await?;
        if let Ok(heard) = timeout(AGAIN, heard(&socket, before, words)).await {
            return heard;
        }
    }
}

async fn heard(
    socket: &tokio::net::UdpSocket,
    before: Before,
    words: &Words,
) -> io::Result<()> {
    let mut buffer = [0_u8; PACKET];
    loop {
        let length = socket.recv(&mut buffer).await?;
        let packet = buffer.get(..length).unwrap_or_default();
        if before.payload(packet) == Some(words.hears.as_slice()) {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::super::Ears;
    use super::*;
    use crate::flows::Standing;

    const TRIES: usize = 50;
    const LOOK: Duration = Duration::from_millis(20);

    fn at(way: Way) -> Ear {
        Ear {
            address: Ipv4Addr::LOCALHOST.into(),
            way,
        }
    }

    /// A port of each kind that the system gave away and that nobody has any more.
    fn free() -> [Ear; 2] {
        let tcp = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        [
            at(Way::Tcp(tcp.local_addr().unwrap().port())),
            at(Way::Udp(udp.local_addr().unwrap().port())),
        ]
    }

    /// Ears at ports that were free. A port is lost where the system gives it to somebody else
    /// first, and for as long as a process that another test starts has what was open when it
    /// was forked: until its exec. So others are tried.
    fn listening() -> (Ears, [Ear; 2]) {
        for _ in 0..TRIES {
            let calls = free();
            let (ears, standing) = Ears::open(&calls, "a").unwrap();
            if standing == [Standing::Listening, Standing::Listening] {
                return (ears, calls);
            }
        }
        panic!("none of {TRIES} pairs of ports could be listened at");
    }

    #[test]
    fn ears_answer_their_own_run_and_are_gone_with_it() {
        let (ears, calls) = listening();
        let (_second, taken) = Ears::open(&calls, "a").unwrap();
        assert_eq!(taken, [Standing::Taken, Standing::Taken]);
        let replies = dial(&calls, "a").unwrap();
        assert_eq!(replies, [Reply::Heard, Reply::Heard]);
        assert_eq!(dial(&calls[1..], "b").unwrap(), [Reply::Silence]);
        drop(ears);
        // A process that was forked just before has them until its exec, as above.
        let gone = |_| {
            thread::park_timeout(LOOK);
            dial(&calls, "a").unwrap() == [Reply::Refused, Reply::Refused]
        };
        assert!((0..TRIES).any(gone), "somebody still listens");
    }

    #[test]
    fn an_address_of_others_cannot_be_listened_at() {
        let ear = Ear {
            address: "192.0.2.1".parse().unwrap(),
            way: Way::Tcp(1),
        };
        let (_ears, standing) = Ears::open(&[ear], "a").unwrap();
        assert!(
            matches!(standing[..], [Standing::Refused(_)]),
            "{standing:?}"
        );
    }
}
