//! A worker that works no longer, in a process that else does.

use std::time::{Duration, Instant};

use nix::sys::ptrace;
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;

use crate::rig::{CHECK_ONCE, Fallible, Lb, PATIENCE, loopback, simple};
use crate::servers::Echo;
use crate::upgrade::{exchange, upgrade};

/// The thread of a process that has this name.
pub(crate) fn thread(process: u32, name: &str) -> Fallible<Pid> {
    for task in std::fs::read_dir(format!("/proc/{process}/task"))? {
        let task = task?;
        if std::fs::read_to_string(task.path().join("comm"))?.trim() == name {
            let id = task.file_name().into_string().map_err(|_| "task")?;
            return Ok(Pid::from_raw(id.parse()?));
        }
    }
    Err(format!("no thread {name}").into())
}

/// A thread that stands still until this is dropped, by the thread that began it. Tracing
/// stops one thread and leaves the others, which no signal can do.
struct Stopped(Pid);

impl Stopped {
    fn begin(thread: Pid) -> nix::Result<Self> {
        ptrace::attach(thread)?;
        let stopped = Self(thread);
        waitpid(thread, Some(WaitPidFlag::__WALL))?;
        Ok(stopped)
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        // Fails only when the thread has ended.
        let _ = ptrace::detach(self.0, None);
    }
}

#[tokio::test(flavor = "current_thread")]
async fn a_stuck_worker_is_seen_and_one_that_goes_on_too() {
    let a = Echo::start(b'a').await.unwrap();
    let body = simple(loopback(6443), &[a.address], CHECK_ONCE);
    // Fed every 50 ms.
    let mut lb = Lb::start_after(
        &format!("workers: 2\n{body}"),
        "export WATCHDOG_USEC=100000;",
    )
    .unwrap();
    lb.enters("s0", "up").unwrap();
    assert!(lb.get("/livez").await.is_ok());
    assert!(lb.feeds_watchdog(PATIENCE).unwrap());
    let worker = thread(lb.id(), "worker-1").unwrap();
    let stopped = Stopped::begin(worker).unwrap();
    let started = Instant::now();
    while lb.get("/livez").await.is_ok() {
        assert!(started.elapsed() < PATIENCE, "nobody sees it");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let ready = lb.get("/readyz").await.unwrap_err().to_string();
    assert!(ready.contains("a worker does not work"), "{ready}");
    let metrics = lb.get("/metrics").await.unwrap();
    let stuck = "api_lb_worker_stuck{worker=\"1\"} 1\n";
    assert!(metrics.as_str().unwrap().contains(stuck), "{metrics}");
    assert!(!lb.feeds_watchdog(Duration::from_millis(500)).unwrap());
    drop(stopped);
    lb.line(|line| line["message"] == "the worker works again")
        .unwrap();
    assert!(lb.get("/livez").await.is_ok());
    assert!(lb.get("/readyz").await.is_ok());
    assert!(lb.feeds_watchdog(PATIENCE).unwrap());
}

#[tokio::test(flavor = "current_thread")]
async fn while_a_worker_is_late_nothing_is_given_away() {
    let a = Echo::start(b'a').await.unwrap();
    let bind = loopback(6443);
    let body = simple(bind, &[a.address], CHECK_ONCE);
    let mut lb = Lb::start(&format!("workers: 2\n{body}")).unwrap();
    lb.enters("s0", "up").unwrap();
    let stopped = Stopped::begin(thread(lb.id(), "worker-1").unwrap()).unwrap();
    let (code, said, error) = upgrade(&lb).await.unwrap();
    assert_eq!(code, 1, "{said}");
    assert!(error.contains("did not stop accepting in time"), "{error}");
    // The other one accepts again, and so does the late one.
    exchange(bind).await.unwrap();
    drop(stopped);
    let (code, said, error) = upgrade(&lb).await.unwrap();
    assert_eq!(code, 0, "{said}{error}");
    exchange(bind).await.unwrap();
}
