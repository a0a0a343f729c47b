//! A worker that works no longer, in a process that else does.

use std::time::{Duration, Instant};

use nix::sys::ptrace;
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;

use crate::rig::{CHECK_ONCE, Fallible, Lb, PATIENCE, loopback, simple};
use crate::servers::Echo;

/// The thread of a process that has this name.
fn thread(process: u32, name: &str) -> Fallible<Pid> {
    for task in std::fs::read_dir(format!("/proc/{process}/task"))? {
        let task = task?;
        if std::fs::read_to_string(task.path().join("comm"))?.trim() == name {
            let id = task.file_name().into_string().map_err(|_| "task")?;
            return Ok(Pid::from_raw(id.parse()?));
        }
    }
    Err(format!("no thread {name}").into())
}

/// Tracing stops one thread and leaves the others, which no signal can do. The tracer is
/// the thread that begins it: the test's own.
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
    ptrace::attach(worker).unwrap();
    waitpid(worker, Some(WaitPidFlag::__WALL)).unwrap();
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
    ptrace::detach(worker, None).unwrap();
    lb.line(|line| line["message"] == "the worker works again")
        .unwrap();
    assert!(lb.get("/livez").await.is_ok());
    assert!(lb.get("/readyz").await.is_ok());
    assert!(lb.feeds_watchdog(PATIENCE).unwrap());
}
