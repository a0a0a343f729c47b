//! Real signals to this process, which is the reason for a file of its own.

use daemon::signals::{Signal, Signals};
use rustix::process::{Signal as Kernel, getpid, kill_process};
use std::time::Duration;
use tokio::time::timeout;

#[tokio::test]
async fn each_signal_is_told_and_none_kills() {
    let mut signals = Signals::new().unwrap();
    for (kernel, expected) in [
        (Kernel::HUP, Signal::Reload),
        (Kernel::TERM, Signal::Terminate),
        (Kernel::INT, Signal::Terminate),
        (Kernel::HUP, Signal::Reload),
    ] {
        kill_process(getpid(), kernel).unwrap();
        let got = timeout(Duration::from_secs(5), signals.next())
            .await
            .unwrap();
        assert_eq!(got, expected, "{kernel:?}");
    }
}
