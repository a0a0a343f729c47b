//! Memory that the kernel does not have, in each state of a session that calls for it: calls of
//! a worker fail with ENOMEM or ENOBUFS, and established connections go on.

use std::sync::mpsc;
use std::time::Duration;

use nix::errno::Errno;
use nix::libc;
use nix::sys::ptrace::{self, Options};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

use crate::rig::{CHECK_ONCE, Fallible, Lb, PATIENCE, loopback, simple};
use crate::servers::Echo;
use crate::stuck::thread;

/// What is told: that it has begun, and how it ended.
const WORDS: usize = 2;

/// Calls of one thread that fail.
pub(crate) struct Starved(mpsc::Receiver<nix::Result<()>>);

impl Starved {
    /// From here on, the thread's next calls of this number fail.
    pub(crate) fn begin(
        worker: Pid,
        call: i64,
        errno: Errno,
        times: u32,
    ) -> Fallible<Self> {
        let (tell, told) = mpsc::sync_channel(WORDS);
        // Only the thread that traces may say how it goes on.
        std::thread::spawn(move || {
            let begun = ptrace::attach(worker)
                .and_then(|()| waitpid(worker, Some(WaitPidFlag::__WALL)))
                .and_then(|_| ptrace::setoptions(worker, Options::PTRACE_O_TRACESYSGOOD));
            // Whoever listened is gone when the test has failed.
            let _ = tell.send(begun);
            let _ = tell.send(starve(worker, call, errno, times));
        });
        told.recv_timeout(PATIENCE)??;
        Ok(Self(told))
    }

    /// All of them have failed.
    pub(crate) fn end(self) -> Fallible<()> {
        Ok(self.0.recv_timeout(PATIENCE)??)
    }
}

/// Ends with the last of them, or with the thread.
fn starve(worker: Pid, call: i64, errno: Errno, mut times: u32) -> nix::Result<()> {
    while times > 0 {
        until_call(worker)?;
        let mut at = ptrace::getregs(worker)?;
        let is_it = at.orig_rax.cast_signed() == call;
        if is_it {
            // No such call: the kernel does nothing.
            at.orig_rax = u64::MAX;
            ptrace::setregs(worker, at)?;
        }
        until_call(worker)?;
        if is_it {
            let mut at = ptrace::getregs(worker)?;
            at.rax = (-i64::from(errno as i32)).cast_unsigned();
            ptrace::setregs(worker, at)?;
            times -= 1;
        }
    }
    ptrace::detach(worker, None)
}

/// Lets the thread go on until it enters or leaves a call.
fn until_call(worker: Pid) -> nix::Result<()> {
    let mut signal = None;
    loop {
        ptrace::syscall(worker, signal)?;
        signal = match waitpid(worker, Some(WaitPidFlag::__WALL))? {
            WaitStatus::PtraceSyscall(_) => return Ok(()),
            WaitStatus::Stopped(_, signal) => Some(signal),
            WaitStatus::Exited(..)
            | WaitStatus::Signaled(..)
            | WaitStatus::PtraceEvent(..)
            | WaitStatus::Continued(_)
            | WaitStatus::StillAlive => return Err(Errno::ESRCH),
        };
    }
}

async fn start(server: &Echo) -> Fallible<(Lb, Pid, std::net::SocketAddr)> {
    start_with(server, "").await
}

/// With this in the backend.
async fn start_with(
    server: &Echo,
    more: &str,
) -> Fallible<(Lb, Pid, std::net::SocketAddr)> {
    let bind = loopback(6443);
    let body = simple(bind, &[server.address], &format!("{CHECK_ONCE}{more}"));
    let mut lb = Lb::start(&format!("workers: 1\n{body}"))?;
    lb.enters("s0", "up")?;
    lb.rests().await?;
    let worker = thread(lb.id(), "worker-0")?;
    Ok((lb, worker, bind))
}

/// A session whose server has answered.
async fn served(bind: std::net::SocketAddr) -> Fallible<TcpStream> {
    let mut client = TcpStream::connect(bind).await?;
    let answer = tokio::time::timeout(PATIENCE, client.read_u8()).await;
    assert_eq!(answer??, b'a');
    Ok(client)
}

pub(crate) async fn echoes(client: &mut TcpStream, what: &[u8]) -> Fallible<()> {
    let mut back = vec![0; what.len()];
    let (mut from, mut to) = client.split();
    let both = async { tokio::join!(to.write_all(what), from.read_exact(&mut back)) };
    let (wrote, read) = tokio::time::timeout(PATIENCE, both).await?;
    wrote?;
    read?;
    assert!(back == what, "other bytes came back");
    Ok(())
}

/// How often bytes had to wait for memory.
async fn waited(lb: &Lb) -> Fallible<f64> {
    let metrics = lb.get("/metrics").await?;
    let metrics = metrics.as_str().ok_or("no text")?;
    let line = metrics
        .lines()
        .find_map(|line| line.strip_prefix("api_lb_starved_turns_total{worker=\"0\"} "));
    Ok(line.ok_or("not counted")?.parse()?)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn to_carry_with_and_bytes_wait() {
    let server = Echo::start(b'a').await.unwrap();
    let (lb, worker, bind) = start(&server).await.unwrap();
    let mut client = served(bind).await.unwrap();
    for (call, errno) in [
        (libc::SYS_sendto, Errno::ENOBUFS),
        (libc::SYS_sendto, Errno::ENOMEM),
        (libc::SYS_recvfrom, Errno::ENOMEM),
    ] {
        let before = waited(&lb).await.unwrap();
        let starved = Starved::begin(worker, call, errno, 3).unwrap();
        echoes(&mut client, b"!").await.unwrap();
        starved.end().unwrap();
        let times = waited(&lb).await.unwrap() - before;
        assert!((times - 3.0).abs() < 0.5, "{call} {errno}: {times}");
    }
    // An idle one beside them, and bulk that is spliced.
    let mut bulk = served(bind).await.unwrap();
    let poured: Vec<u8> = (0..=250u8).cycle().take(16 << 20).collect();
    let starved = Starved::begin(worker, libc::SYS_splice, Errno::ENOMEM, 5).unwrap();
    echoes(&mut bulk, &poured).await.unwrap();
    starved.end().unwrap();
    echoes(&mut client, b"!").await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn to_let_in_with_and_established_ones_go_on() {
    let server = Echo::start(b'a').await.unwrap();
    let (mut lb, worker, bind) = start(&server).await.unwrap();
    let mut first = served(bind).await.unwrap();
    // To accept: who comes waits.
    let starved = Starved::begin(worker, libc::SYS_accept4, Errno::ENOMEM, 2).unwrap();
    served(bind).await.unwrap();
    starved.end().unwrap();
    echoes(&mut first, b"!").await.unwrap();
    // To watch who has come, to dial, to watch the dial: who comes is told.
    for (call, errno) in [
        (libc::SYS_epoll_ctl, Errno::ENOMEM),
        (libc::SYS_socket, Errno::ENOBUFS),
        (libc::SYS_socket, Errno::ENOMEM),
        (libc::SYS_connect, Errno::ENOBUFS),
    ] {
        let starved = Starved::begin(worker, call, errno, 1).unwrap();
        let second = TcpSocket::new_v4().unwrap();
        second.bind(([127, 0, 0, 1], 0).into()).unwrap();
        let address = second.local_addr().unwrap();
        // The reset may come before the connect is seen to have succeeded.
        if let Ok(mut second) = second.connect(bind).await {
            let answer = tokio::time::timeout(PATIENCE, second.read_u8()).await;
            assert!(answer.unwrap().is_err(), "{call} {errno}");
        }
        starved.end().unwrap();
        assert_eq!(lb.end(address).unwrap(), "noResources", "{call} {errno}");
        echoes(&mut first, b"!").await.unwrap();
        served(bind).await.unwrap();
    }
    // All that while the first one was never cut.
    tokio::time::timeout(Duration::from_millis(50), first.read_u8())
        .await
        .unwrap_err();
}

/// The PROXY header is the first that a server is given.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn to_say_who_comes_with_and_the_server_is_not_blamed() {
    let server = Echo::start(b'a').await.unwrap();
    let more = "  sendProxy: v1\n";
    let (mut lb, worker, bind) = start_with(&server, more).await.unwrap();
    for errno in [Errno::ENOBUFS, Errno::ENOMEM] {
        let starved = Starved::begin(worker, libc::SYS_sendto, errno, 1).unwrap();
        let client = TcpSocket::new_v4().unwrap();
        client.bind(([127, 0, 0, 1], 0).into()).unwrap();
        let address = client.local_addr().unwrap();
        // The reset may come before the connect is seen to have succeeded.
        if let Ok(mut client) = client.connect(bind).await {
            let answer = tokio::time::timeout(PATIENCE, client.read_u8()).await;
            assert!(answer.unwrap().is_err(), "{errno}");
        }
        starved.end().unwrap();
        assert_eq!(lb.end(address).unwrap(), "noResources", "{errno}");
    }
    served(bind).await.unwrap();
    let status = lb.get("/status").await.unwrap();
    let server = &status["backends"][0]["servers"][0];
    assert_eq!(server["dialFailures"], 0);
    assert_eq!(server["state"], "up");
}
