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
    let settle = match family {
        Family::V4 => SETTLE,
        Family::V6 => SETTLE_V6,
    };
    loop {
        let is_down = |turn: &Turn| *turn == Turn::Down;
        if wanted.wait_for(is_down).await.is_err() {
            return;
        }
        let again = wanted.wait_for(|turn| !is_down(turn));
        match timeout(settle, again).await {
            Ok(Ok(_)) => continue,
            Ok(Err(_)) => return,
            Err(_) => {}
        }
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
