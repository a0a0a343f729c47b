//! One router that runs: its driver on the adverts' thread, its checks on this one.

use std::sync::Arc;
use std::time::Duration;

use daemon::chain;
use daemon::metrics::Histogram;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{AbortHandle, JoinHandle};
use tokio::time::timeout;

use crate::ask::Board;
use crate::channel::message::Name;
use crate::config::{Router, Travel};
use crate::driver::{Change, Command, Handed, Record, Yield};
use crate::track::{Tracker, follow};

/// A release is one advert and one netlink request per address: milliseconds. A router
/// that needs longer is stuck; the kernel's lifetime then takes the address away.
const STOP: Duration = Duration::from_secs(2);

/// One router that runs.
pub struct Member {
    /// As configured.
    pub router: Router,
    /// Its checks and what they make of its priority.
    pub tracker: Arc<Tracker>,
    /// What its driver publishes.
    pub record: watch::Receiver<Record>,
    /// How late its driver wakes.
    pub lateness: Arc<Histogram>,
    pub(super) commands: mpsc::Sender<Command>,
    pub(super) task: Arc<JoinHandle<()>>,
    pub(super) checks: Checks,
}

/// The running checks of a router; dropped, they end.
pub(super) struct Checks(Vec<AbortHandle>);

impl Checks {
    fn end(&self) {
        self.0.iter().for_each(AbortHandle::abort);
    }
}

impl Drop for Checks {
    fn drop(&mut self) {
        self.end();
    }
}

impl Member {
    /// Is its task still there?
    pub fn alive(&self) -> bool {
        !self.task.is_finished()
    }

    /// Does it wait for its interface, or for an address there?
    pub fn lacks(&self) -> bool {
        self.record.borrow().lacks.is_some()
    }

    /// Gives the addresses away; `None` when the router has ended.
    pub async fn hand_over(&self, to: Option<Name>, hold: Duration) -> Option<Handed> {
        let (done, answer) = oneshot::channel();
        let asked = Command::Yield(Yield { to, hold, done });
        self.commands.send(asked).await.ok()?;
        answer.await.ok()
    }

    /// Has the router go on as another file describes it; false where it cannot.
    pub(super) async fn change(&self, router: &Router) -> bool {
        let (done, answer) = oneshot::channel();
        let change = Change {
            router: router.clone(),
            done,
        };
        let asked = async {
            let sent = self.commands.send(Command::Change(Box::new(change))).await;
            sent.is_ok() && answer.await.unwrap_or(false)
        };
        timeout(STOP, asked).await.unwrap_or(false)
    }

    /// Priority 0, then the addresses are removed.
    async fn stop(&self) {
        let (done, answer) = oneshot::channel();
        let asked = async {
            if self.commands.send(Command::Stop(done)).await.is_ok() {
                // An error means that it has ended, which is what was asked for.
                let _ = answer.await;
            }
            // Until what was made for it is gone, too.
            self.commands.closed().await;
        };
        if timeout(STOP, asked).await.is_err() {
            tracing::error!(router = self.router.name, "did not stop in time");
            self.task.abort();
        }
    }
}

/// Stops them all at once.
pub(super) async fn stop(members: Vec<Arc<Member>>) {
    let all = members.iter().map(|member| member.stop());
    futures_util::future::join_all(all).await;
}

/// Can a running router become this one without an election?
pub(super) fn lives_on(running: &Router, wanted: &Router) -> bool {
    let same = Router {
        priority: running.priority,
        tracks: running.tracks.clone(),
        notify: running.notify.clone(),
        ..wanted.clone()
    };
    same == *running
}

/// Can it, with other sockets and frames for the same driver? Peers must go on hearing it,
/// and take it for the same router.
pub(super) fn changes_live(running: &Router, wanted: &Router) -> bool {
    let same = Router {
        travel: match same_end(&running.travel, &wanted.travel) {
            true => running.travel.clone(),
            false => wanted.travel.clone(),
        },
        addresses: running.addresses.clone(),
        excluded: running.excluded.clone(),
        announce: running.announce,
        preempt: running.preempt,
        misconfigured_peer: running.misconfigured_peer,
        checksum: running.checksum,
        ..wanted.clone()
    };
    let ip = |of: &Router| -> Vec<_> { of.addresses.iter().map(|it| it.ip()).collect() };
    let (before, after) = (ip(running), ip(wanted));
    lives_on(running, &same)
        && running.virtual_mac.is_none()
        && running.family() == wanted.family()
        // Without any in common, peers would take it for a router of another group.
        && after.iter().any(|address| before.contains(address))
}

/// Do both speak from the same address of their own, to whichever peers?
fn same_end(running: &Travel, wanted: &Travel) -> bool {
    match (running, wanted) {
        (Travel::Multicast, Travel::Multicast) => true,
        (Travel::Unicast { source: one, .. }, Travel::Unicast { source: other, .. }) => {
            one == other
        }
        (Travel::Multicast, Travel::Unicast { .. })
        | (Travel::Unicast { .. }, Travel::Multicast) => false,
    }
}

/// The same router as another file describes it: what runs, goes on.
pub(super) fn adjusted(member: &Member, router: &Router, board: &Arc<Board>) -> Member {
    // They know their checks by the places of the file before.
    member.checks.end();
    member.tracker.reconfigure(&member.router, router);
    Member {
        router: router.clone(),
        tracker: Arc::clone(&member.tracker),
        record: member.record.clone(),
        lateness: Arc::clone(&member.lateness),
        commands: member.commands.clone(),
        task: Arc::clone(&member.task),
        checks: checks(router, &member.tracker, board),
    }
}

/// Starts the checks of a router.
pub(super) fn checks(
    router: &Router,
    tracker: &Arc<Tracker>,
    board: &Arc<Board>,
) -> Checks {
    let all = router.tracks.iter().cloned().enumerate();
    let running = all.map(|(position, track)| {
        let tracker = Arc::clone(tracker);
        let board = Arc::clone(board);
        let name = router.name.clone();
        let check = async move {
            let error = follow(&tracker, &name, position, &track, &board).await;
            tracing::error!(router = name, "cannot check: {}", chain(&error));
        };
        tokio::spawn(check).abort_handle()
    });
    Checks(running.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    const FILE: &str = "apiVersion: sternpost/v1\nkind: VipDaemon\nrouters:\n- {name: api, \
        interface: eth0, vrid: 51, advertInterval: 100ms, \
        addresses: [10.55.0.100, 10.55.0.101], \
        unicast: {source: 10.55.0.11, peers: [10.55.0.12]}}\n";

    fn router(text: &str) -> Router {
        Config::parse("test", text).unwrap().routers.remove(0)
    }

    #[test]
    fn what_changes_while_a_router_runs_and_what_takes_another_one() {
        let add = |more: &str| ("}}", format!("}}, {more}}}"));
        let (peers, addresses) = ("[10.55.0.12]", "[10.55.0.100, 10.55.0.101]");
        for ((before, after), at_once, live) in [
            (add("priority: 7"), true, true),
            (add("track: [{tcp: {address: '10.0.0.1:1'}}]"), true, true),
            (add("excluded: [10.55.0.102]"), false, true),
            (add("announce: {refresh: 1s}"), false, true),
            (add("preempt: false"), false, true),
            (add("preemptDelay: 5s"), false, true),
            (add("misconfiguredPeer: ignore"), false, true),
            (add("checksum: rfc9568"), false, true),
            (add("virtualMac: {}"), false, false),
            ((addresses, "[10.55.0.101]".to_owned()), false, true),
            (
                (addresses, "[10.55.0.101, 10.55.0.9]".to_owned()),
                false,
                true,
            ),
            ((addresses, "[10.55.0.9]".to_owned()), false, false),
            ((peers, "[10.55.0.12, 10.55.0.13]".to_owned()), false, true),
            (
                ("source: 10.55.0.11", "source: 10.55.0.9".to_owned()),
                false,
                false,
            ),
            (("100ms", "200ms".to_owned()), false, false),
            (("vrid: 51", "vrid: 52".to_owned()), false, false),
            (
                ("interface: eth0", "interface: eth1".to_owned()),
                false,
                false,
            ),
        ] {
            assert!(FILE.contains(before), "{before}");
            let wanted = router(&FILE.replacen(before, &after, 1));
            let running = router(FILE);
            assert_eq!(lives_on(&running, &wanted), at_once, "{after}");
            assert_eq!(changes_live(&running, &wanted), live, "{after}");
        }
    }
}
