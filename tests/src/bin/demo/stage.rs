//! What the demo plays on: three masters with all their programs, a client with its
//! instruments.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use lab::client::{Client, Question, once};
use lab::daemons::servers_up;
use lab::holders;
use lab::host::{Host, NamespaceHost};
use lab::prober::Prober;
use lab::watcher::Watchers;
use lab::{LabError, binaries, wait};

use crate::ground::Ground;
use crate::kubectl::Kubectl;
use crate::masters::{Door, MASTERS, Masters, Raised};
use crate::{machines, namespaces};

/// Long-lived connections.
pub(crate) const WATCHERS: usize = 60;
/// How long an API server may take until it is ready: a real one bootstraps itself.
const APISERVER: Duration = Duration::from_secs(180);
/// How long the rest may take.
const SETTLED: Duration = Duration::from_secs(60);

/// The group and everything that looks at it.
pub(crate) struct Stage {
    pub(crate) kubectl: Option<Kubectl>,
    pub(crate) instruments: Arc<Instruments>,
    pub(crate) masters: Masters,
    client: Arc<NamespaceHost>,
    door: Door,
}

/// What looks, shared with the drawing.
pub(crate) struct Instruments {
    pub(crate) requests: Client,
    pub(crate) watchers: Watchers,
    pub(crate) prober: Prober,
}

impl Instruments {
    /// Gives its share back; the last one ends the threads.
    pub(crate) fn end(self: Arc<Self>) {}
}

impl Stage {
    /// Builds and starts everything, and waits until it all works.
    ///
    /// # Errors
    /// The first thing that does not.
    pub(crate) fn raise(ground: Ground) -> Result<Self, LabError> {
        let logs = binaries::output("demo").join("logs");
        // The logs of an earlier run would only mislead.
        drop(std::fs::remove_dir_all(&logs));
        let raised = match ground {
            Ground::Machines => machines::raise(&logs)?,
            Ground::Namespaces(kind) => namespaces::raise(kind, &logs)?,
        };
        let Raised {
            masters,
            client,
            door,
            folder,
        } = raised;
        let hosts = masters.hosts();
        let prober = Prober::start(door.vip, &client, &hosts)?;
        for host in &hosts {
            apiserver_ready(&client, &door, host.address())?;
        }
        let requests = Client::start(&client, door.question(door.vip, "/version"))?;
        let watch: Question = door.question(door.vip, door.watch);
        let watchers = Watchers::start(&client, watch, WATCHERS)?;
        let instruments = Arc::new(Instruments {
            requests,
            watchers,
            prober,
        });
        let kubectl = match &door.kubeconfig {
            Some(file) => Some(Kubectl::start(&client, file, &folder)?),
            None => None,
        };
        let mut stage = Self {
            kubectl,
            instruments,
            masters,
            client,
            door,
        };
        stage.settled("m1")?;
        Ok(stage)
    }

    /// Waits until all is well: `owner` alone holds the address, every API server is ready and
    /// in use, requests are answered, the long-lived connections stand.
    ///
    /// # Errors
    /// What is not.
    pub(crate) fn settled(&mut self, owner: &str) -> Result<(), LabError> {
        wait::until(&format!("{owner} as the one holder"), SETTLED, || {
            self.held_by(owner)
        })?;
        let hosts = self.masters.hosts();
        for host in &hosts {
            apiserver_ready(&self.client, &self.door, host.address())?;
        }
        self.serving()?;
        for host in &hosts {
            let all = || (servers_up(host)? == MASTERS.len()).then_some(());
            wait::until("every server up for every api-lb", SETTLED, all)?;
        }
        self.masters.running()
    }

    /// Waits until requests are answered and the long-lived connections stand.
    ///
    /// # Errors
    /// What does not.
    pub(crate) fn serving(&self) -> Result<(), LabError> {
        let instruments = &self.instruments;
        let open = || (instruments.watchers.open() == WATCHERS).then_some(());
        wait::until("every long-lived connection", SETTLED, open)?;
        let answered = || instruments.requests.answered_last().then_some(());
        wait::until("an answered request", SETTLED, answered)
    }

    /// Whether `host` is the one holder.
    pub(crate) fn held_by(&self, host: &str) -> Option<()> {
        holders::sole_since(&self.masters.timeline().events(), host).map(drop)
    }
}

fn apiserver_ready(
    client: &NamespaceHost,
    door: &Door,
    at: Ipv4Addr,
) -> Result<(), LabError> {
    let question = door.question(at, "/readyz");
    let ready = || once(client, &question).ok()?.ok();
    wait::until(
        &format!("/readyz of the API server at {at}"),
        APISERVER,
        ready,
    )
}
