//! Follows the apiservers that the cluster itself names: the EndpointSlices of the service
//! `default/kubernetes`, which each apiserver writes itself into while it runs. Asks one
//! server at a time, any that is usable, and goes on at another where it was. Ends when
//! nobody takes the answers.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hyper::StatusCode;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

use super::client::{Client, Lines};
use super::slices::{Event, GONE, Slices};
use super::{Answer, Credentials, Failure, Found};
use crate::pool::Tier;
use crate::roster::View;

const SLICES: &str = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices?labelSelector=kubernetes.io%2Fservice-name%3Dkubernetes";

/// How long a watch is asked to last. An apiserver ends one after five to ten minutes by
/// itself.
const WATCH: Duration = Duration::from_secs(240);

/// A watch that lasts longer by this is one whose end was lost.
const OVERDUE: Duration = Duration::from_secs(15);

/// Between two visits, also of servers that answer at once: nobody is asked in a tight loop.
const REST: Duration = Duration::from_millis(250);

/// After all servers have failed: at first, and at the most.
const PAUSE: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(15);

/// How a visit ends that was none in vain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    /// The server has ended the watch, or it is overdue.
    Over,
    /// The version is too old: all is to be read anew.
    Gone,
    /// The server is no longer one to ask, and another is.
    Left,
}

/// One backend's servers, followed.
pub(super) struct Follower {
    pub(super) backend: Arc<str>,
    pub(super) kubeconfig: PathBuf,
    pub(super) view: watch::Receiver<Arc<View>>,
    pub(super) out: mpsc::Sender<Found>,
}

/// Nobody takes the answers.
struct Unheard;

/// Why a visit is over.
enum Break {
    Unheard,
    Failure(Failure),
}

impl From<Failure> for Break {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

impl From<Unheard> for Break {
    fn from(_: Unheard) -> Self {
        Self::Unheard
    }
}

impl Follower {
    pub(super) async fn follow(mut self) {
        // Begun before control has shown the servers for the first time.
        let is_shown = |view: &Arc<View>| !view.backends.is_empty();
        if self.view.wait_for(is_shown).await.is_err() {
            return;
        }
        let mut slices = Slices::default();
        let mut tried: Vec<SocketAddr> = Vec::new();
        let mut pause = PAUSE;
        loop {
            let next = choose(&self.candidates(), &tried);
            let Some(address) = next else {
                let nobody = tried.is_empty();
                if nobody && self.tell(Answer::None(Failure::Nobody)).await.is_err() {
                    return;
                }
                tried.clear();
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST);
                continue;
            };
            match self.visit(address, &mut slices).await {
                Ok(Ended::Over | Ended::Gone) => {
                    pause = PAUSE;
                    tried.clear();
                }
                Ok(Ended::Left) => {
                    pause = PAUSE;
                    tried = vec![address];
                }
                Err(Break::Unheard) => return,
                Err(Break::Failure(failure)) => {
                    tried.push(address);
                    if self.tell(Answer::None(failure)).await.is_err() {
                        return;
                    }
                }
            }
            tokio::time::sleep(REST).await;
        }
    }

    async fn tell(&self, answer: Answer) -> Result<(), Unheard> {
        let backend = Arc::clone(&self.backend);
        let told = self.out.send(Found { backend, answer }).await;
        told.map_err(|_| Unheard)
    }

    async fn visit(
        &mut self,
        address: SocketAddr,
        slices: &mut Slices,
    ) -> Result<Ended, Break> {
        let credentials = read(&self.kubeconfig).await?;
        let mut client = Client::open(&credentials, address).await?;
        let malformed =
            |what: super::slices::Malformed| Failure::Malformed(address, what.0);
        if slices.version.is_none() {
            let (status, response) = client.get(SLICES).await?;
            expect(status, address)?;
            let text = client.whole(response).await?;
            slices.list(&text).map_err(malformed)?;
        }
        let version = slices.version.as_deref().unwrap_or_default();
        let seconds = WATCH.as_secs();
        let path = format!(
            "{SLICES}&watch=1&allowWatchBookmarks=true&timeoutSeconds={seconds}&resourceVersion={version}"
        );
        let (status, response) = client.get(&path).await?;
        if status.as_u16() == GONE {
            slices.version = None;
            return Ok(Ended::Gone);
        }
        expect(status, address)?;
        self.tell(Answer::All(slices.servers())).await?;
        let mut lines = Lines::of(response, address);
        let mut view = self.view.clone();
        let listen = async {
            loop {
                let line = tokio::select! {
                    line = lines.next() => line?,
                    () = left(&mut view, &self.backend, address) => return Ok(Ended::Left),
                };
                let Some(line) = line else {
                    return Ok(Ended::Over);
                };
                match slices.event(&line).map_err(malformed)? {
                    Event::Taken | Event::Bookmark => {
                        self.tell(Answer::All(slices.servers())).await?;
                    }
                    Event::Gone => return Ok(Ended::Gone),
                    Event::Status(code) => {
                        return Err(Failure::Status(address, code).into());
                    }
                }
            }
        };
        timeout(WATCH + OVERDUE, listen)
            .await
            .unwrap_or(Ok(Ended::Over))
    }

    fn candidates(&self) -> Vec<(SocketAddr, Tier)> {
        candidates(&self.view.borrow(), &self.backend)
    }
}

/// The servers of a backend that may be asked.
fn candidates(view: &View, backend: &str) -> Vec<(SocketAddr, Tier)> {
    let back = view
        .backends
        .iter()
        .find(|back| *back.meant.name == *backend);
    let members = back.into_iter().flat_map(|back| &back.members);
    members
        .filter_map(|member| Some((member.server.address, member.state.tier()?)))
        .collect()
}

/// The best server that was not tried.
fn choose(candidates: &[(SocketAddr, Tier)], tried: &[SocketAddr]) -> Option<SocketAddr> {
    let left = candidates
        .iter()
        .filter(|(address, _)| !tried.contains(address));
    left.min_by_key(|(_, tier)| *tier)
        .map(|(address, _)| *address)
}

/// Whether another server is to be asked instead of this one.
fn is_left(candidates: &[(SocketAddr, Tier)], address: SocketAddr) -> bool {
    let of = |(at, _): &&(SocketAddr, Tier)| *at == address;
    let tier = candidates.iter().find(of).map(|(_, tier)| *tier);
    let is_up = |(at, tier): &(SocketAddr, Tier)| *at != address && *tier == Tier::Up;
    tier != Some(Tier::Up) && candidates.iter().any(is_up)
}

/// Returns when another server is to be asked.
async fn left(view: &mut watch::Receiver<Arc<View>>, backend: &str, address: SocketAddr) {
    while !is_left(&candidates(&view.borrow_and_update(), backend), address) {
        if view.changed().await.is_err() {
            return;
        }
    }
}

fn expect(status: StatusCode, address: SocketAddr) -> Result<(), Failure> {
    match status {
        StatusCode::OK => Ok(()),
        other => Err(Failure::Status(address, other.as_u16())),
    }
}

/// Its files may lie where a read takes long.
async fn read(kubeconfig: &Path) -> Result<Credentials, Failure> {
    let path = kubeconfig.to_owned();
    let read = tokio::task::spawn_blocking(move || Credentials::read(&path)).await;
    // Fails only when the reading has panicked or the process ends.
    Ok(read.map_err(|_| Failure::Nobody)??)
}

#[cfg(test)]
mod tests {
    use super::*;
    use Tier::{Doubtful, Draining, Up};

    fn at(last: u8) -> SocketAddr {
        ([192, 0, 2, last], 6443).into()
    }

    #[test]
    fn whom_to_ask() {
        let all = |tiers: &[Tier]| -> Vec<(SocketAddr, Tier)> {
            (1..)
                .zip(tiers)
                .map(|(last, tier)| (at(last), *tier))
                .collect()
        };
        // The tiers of 1, 2, ...; who was tried; who is asked.
        for (tiers, tried, expected) in [
            (&[Up, Up][..], &[][..], Some(1)),
            (&[Doubtful, Draining, Up], &[], Some(3)),
            (&[Doubtful, Draining, Up], &[3], Some(2)),
            (&[Doubtful, Draining, Up], &[3, 2], Some(1)),
            (&[Doubtful], &[1], None),
            (&[], &[], None),
        ] {
            let tried: Vec<SocketAddr> = tried.iter().map(|last| at(*last)).collect();
            assert_eq!(choose(&all(tiers), &tried), expected.map(at), "{tiers:?}");
        }
        // The tiers; whether 1 is left; whether 9, which is none of them.
        for (tiers, one, nine) in [
            (&[Up, Up][..], false, true),
            (&[Draining, Up], true, true),
            (&[Doubtful, Up], true, true),
            (&[Doubtful, Draining], false, false),
            (&[Doubtful], false, false),
        ] {
            assert_eq!(is_left(&all(tiers), at(1)), one, "{tiers:?}");
            assert_eq!(is_left(&all(tiers), at(9)), nine, "{tiers:?}");
        }
    }
}
