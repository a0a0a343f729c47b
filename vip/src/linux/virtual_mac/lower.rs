//! Setting the interface down while its router is not Active: by a task beside the driver, or
//! by the guard of a daemon that is dead or frozen.

use std::time::Duration;

use daemon::chain;
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use vrrp::Family;

use super::rules::is_marked;
use crate::linux::LIFETIME;
use crate::linux::links::Link;
use crate::linux::macvlan::Turn;
use crate::linux::netlink::{Netlink, RequestError};

/// How long after the addresses the interface goes. Longer than they take to be held
/// elsewhere, shorter than anybody looks.
const SETTLE: Duration = Duration::from_millis(500);

/// The same over IPv6: the kernel says again and again that it leaves the address's group (RFC
/// 3810 section 6.1), which tells switches that the hardware address is here, and the next
/// owner announces it anew after 20 ms. Not at once: other routers of this daemon that leave at
/// the same time have let go of their addresses by then, an answer over the channel included.
const SETTLE_V6: Duration = Duration::from_millis(15);

/// Sets the interface down when it is not wanted any more, a while after the addresses have
/// left it; again when `wanted` says so again. The kernel waits for every CPU then, some twenty
/// milliseconds in which nothing else can be asked of it: not while the addresses are on their
/// way to another node, and not on the adverts' thread. Ends when `wanted` does.
pub(in crate::linux) async fn lower(
    link: Link,
    family: Family,
    mut wanted: watch::Receiver<Turn>,
) {
    let settle = settle(family);
    while unwanted(settle, &mut wanted).await == Wanted::NoMore {
        let (index, seen) = (link.index, wanted.clone());
        let lowered = spawn_blocking(move || lowered(index, &seen)).await;
        if let Ok(Err(error)) = lowered {
            // It is up and holds no address; tried again with the next move.
            tracing::error!(interface = link.name, "{}", chain(&error));
        }
        // A move while it was set down counts as well: what was read there may be old.
        if wanted.changed().await.is_err() {
            return;
        }
    }
}

fn settle(family: Family) -> Duration {
    match family {
        Family::V4 => SETTLE,
        Family::V6 => SETTLE_V6,
    }
}

/// What has become of an interface that was not wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    /// It was not for as long as was asked for.
    NoMore,
    /// Nobody is left who could want it.
    ByNobody,
}

/// Waits until it has not been wanted for so long, without a break.
async fn unwanted(settle: Duration, wanted: &mut watch::Receiver<Turn>) -> Wanted {
    let is_down = |turn: &Turn| *turn == Turn::Down;
    loop {
        if wanted.wait_for(is_down).await.is_err() {
            return Wanted::ByNobody;
        }
        let again = wanted.wait_for(|turn| !is_down(turn));
        match timeout(settle, again).await {
            Ok(Ok(_)) => {}
            Ok(Err(_)) => return Wanted::ByNobody,
            Err(_) => return Wanted::NoMore,
        }
    }
}

fn lowered(index: u32, wanted: &watch::Receiver<Turn>) -> Result<(), RequestError> {
    let mut netlink = Netlink::open()?;
    turned(&mut netlink, index, Turn::Down)?;
    // The addresses may have come back meanwhile.
    let now = *wanted.borrow();
    match now {
        Turn::Up => turned(&mut netlink, index, Turn::Up),
        Turn::Down => Ok(()),
    }
}

/// One that is gone is no error.
fn turned(netlink: &mut Netlink, index: u32, turn: Turn) -> Result<(), RequestError> {
    match netlink.turn(index, turn) {
        Err(error) if !error.is_about_nothing() => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

impl Netlink {
    /// Sets an interface with a virtual hardware address down that is ours and has no address
    /// of ours left, or of any daemon that runs. Returns its name; `None` when there is nothing
    /// to do.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn lower_unused(&mut self, index: u32) -> Result<Option<String>, RequestError> {
        let all = self.macvlans()?;
        let ours = all.iter().find(|it| it.index == index && is_marked(it));
        let Some(ours) = ours.filter(|it| it.up) else {
            return Ok(None);
        };
        let present = self.addresses(index)?;
        if present.iter().any(|there| there.left <= LIFETIME) {
            return Ok(None);
        }
        self.turn(index, Turn::Down)?;
        Ok(Some(ours.name.clone()))
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::{Instant, sleep};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_goes_half_a_second_after_the_addresses_and_over_ipv6_15_ms() {
        for (family, millis) in [(Family::V4, 500), (Family::V6, 15)] {
            let (_turn, mut wanted) = watch::channel(Turn::Down);
            let began = Instant::now();
            let ended = unwanted(settle(family), &mut wanted).await;
            assert_eq!(ended, Wanted::NoMore);
            assert_eq!(began.elapsed(), Duration::from_millis(millis), "{family:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn addresses_that_come_back_meanwhile_keep_it_up() {
        let (turn, mut wanted) = watch::channel(Turn::Up);
        let began = Instant::now();
        tokio::spawn(async move {
            for step in [Turn::Down, Turn::Up, Turn::Down] {
                sleep(Duration::from_millis(10)).await;
                turn.send_replace(step);
            }
            // Whoever wants it lives for as long as it is looked at.
            sleep(Duration::from_millis(100)).await;
            drop(turn);
        });
        let settle = Duration::from_millis(15);
        assert_eq!(unwanted(settle, &mut wanted).await, Wanted::NoMore);
        assert_eq!(began.elapsed(), Duration::from_millis(45));
        wanted.mark_unchanged();
        let ended = unwanted(Duration::from_secs(1), &mut wanted).await;
        assert_eq!(ended, Wanted::ByNobody);
    }
}
