//! What the demo plays on: three masters with all their programs, a client with its
//! instruments.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use lab::client::{Client, Question, once};
use lab::control_plane::{ControlPlane, Kind, PORT};
use lab::daemons::{LbConfig, Track, VipConfig, api_lb, vip_daemon};
use lab::group::{Group, Role};
use lab::holders;
use lab::host::{Host, NamespaceHost};
use lab::prober::Prober;
use lab::segment::Segment;
use lab::watcher::Watchers;
use lab::{LabError, binaries, wait};

use crate::kubectl::Kubectl;

/// The address everything is about.
pub(crate) const VIP: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 100);
/// The masters with their VRRP priorities.
pub(crate) const MASTERS: [(&str, Ipv4Addr, u8); 3] = [
    ("m1", Ipv4Addr::new(10, 77, 0, 11), 200),
    ("m2", Ipv4Addr::new(10, 77, 0, 12), 150),
    ("m3", Ipv4Addr::new(10, 77, 0, 13), 100),
];
/// Where the requests come from.
const CLIENT: (&str, Ipv4Addr) = ("client", Ipv4Addr::new(10, 77, 0, 50));
/// Long-lived connections.
pub(crate) const WATCHERS: usize = 60;
/// Between two checks of an API server by api-lb; two failures in a row count.
const CHECK_INTERVAL: &str = "250ms";
/// More than the difference between the first and the last priority.
const WEIGHT: i32 = -120;
/// How long an API server may take until it is ready: a real one bootstraps itself.
const APISERVER: Duration = Duration::from_secs(60);
/// How long the rest may take.
const SETTLED: Duration = Duration::from_secs(15);

/// The group and everything that looks at it.
pub(crate) struct Stage {
    pub(crate) kubectl: Option<Kubectl>,
    pub(crate) instruments: Arc<Instruments>,
    pub(crate) group: Group,
    client: Arc<NamespaceHost>,
    plane: ControlPlane,
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

/// What is real and what stands in, in one sentence.
pub(crate) fn describe(kind: Kind) -> &'static str {
    match kind {
        Kind::Real => {
            "3 masters with real etcd 3.6, kube-apiserver 1.36, api-lb and vip-daemon; kubectl \
             and the client come through the virtual address"
        }
        Kind::StandIn => {
            "3 masters with real etcd, api-lb and vip-daemon, but a small TLS server in place \
             of kube-apiserver (`make kubernetes` builds the real one)"
        }
    }
}

impl Stage {
    /// Builds and starts everything, and waits until it all works.
    ///
    /// # Errors
    /// The first thing that does not.
    pub(crate) fn raise(kind: Kind) -> Result<Self, LabError> {
        let logs = binaries::output("demo").join("logs");
        // The logs of an earlier run would only mislead.
        drop(std::fs::remove_dir_all(&logs));
        let hosts = MASTERS.map(|(name, at, _)| (name, at));
        let segment = Segment::new(&logs, &[hosts.as_slice(), &[CLIENT]].concat())?;
        let client = segment.host(CLIENT.0)?.clone();
        let mut group = Group::new(segment, VIP, &hosts.map(|(name, _)| name))?;
        let masters = group.hosts();
        let folder = group.segment().files().to_owned();
        let plane = ControlPlane::new(kind, &folder, &logs, VIP, &masters)?;
        assign(&mut group, &plane, &masters)?;
        for role in [Role::Etcd, Role::Apiserver, Role::ApiLb, Role::VipDaemon] {
            group.start_all(role)?;
        }
        let prober = Prober::start(VIP, &client, &masters)?;
        for host in &masters {
            apiserver_ready(&client, &plane, host.address())?;
        }
        let question = question(&plane, VIP, "/version")?;
        let watch = Question {
            path: plane.watch_path().into(),
            ..question.clone()
        };
        let requests = Client::start(&client, question)?;
        let watchers = Watchers::start(&client, watch, WATCHERS)?;
        let instruments = Arc::new(Instruments {
            requests,
            watchers,
            prober,
        });
        let kubectl = match kind {
            Kind::Real => Some(Kubectl::start(&client, &plane, &folder)?),
            Kind::StandIn => None,
        };
        let mut stage = Self {
            kubectl,
            instruments,
            group,
            client,
            plane,
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
        for (_, at, _) in MASTERS {
            apiserver_ready(&self.client, &self.plane, at)?;
        }
        self.serving()?;
        for host in self.group.hosts() {
            wait::until("every server up for every api-lb", SETTLED, || {
                in_use(&host)
            })?;
        }
        self.group.running()
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
        holders::sole_since(&self.group.timeline().events(), host).map(drop)
    }
}

fn question(
    plane: &ControlPlane,
    at: Ipv4Addr,
    path: &str,
) -> Result<Question, LabError> {
    Ok(Question {
        target: (at, PORT).into(),
        tls: plane.client_tls()?,
        path: path.into(),
    })
}

fn apiserver_ready(
    client: &NamespaceHost,
    plane: &ControlPlane,
    at: Ipv4Addr,
) -> Result<(), LabError> {
    let question = question(plane, at, "/readyz")?;
    let ready = || once(client, &question).ok()?.ok();
    wait::until(
        &format!("/readyz of the API server at {at}"),
        APISERVER,
        ready,
    )
}

/// Whether the api-lb of `host` counts every server as up, by its own metrics.
fn in_use(host: &NamespaceHost) -> Option<()> {
    let metrics = host
        .output("curl", &["-sf", "http://127.0.0.1:9000/metrics"])
        .ok()?;
    let up = metrics.lines().filter(|line| {
        line.starts_with("api_lb_server_state{")
            && line.contains("state=\"up\"")
            && line.ends_with(" 1")
    });
    (up.count() == MASTERS.len()).then_some(())
}

fn assign(
    group: &mut Group,
    plane: &ControlPlane,
    masters: &[Arc<NamespaceHost>],
) -> Result<(), LabError> {
    let logs = group.segment().logs().to_owned();
    let servers = MASTERS.map(|(name, at, _)| (name.to_owned(), at)).to_vec();
    for (host, (name, at, priority)) in masters.iter().zip(MASTERS) {
        let lb = LbConfig {
            vip: VIP,
            servers: servers.clone(),
            ca_file: plane.ca_file(name),
            check_interval: CHECK_INTERVAL,
            socket: host.file("api-lb.sock"),
        };
        let vip = VipConfig {
            vip: VIP,
            source: at,
            peers: MASTERS
                .iter()
                .map(|m| m.1)
                .filter(|peer| *peer != at)
                .collect(),
            priority,
            version: 3,
            interval: "100ms".into(),
            preempt: true,
            tracked: Some(Track { weight: WEIGHT }),
            socket: host.file("vip-daemon.sock"),
        };
        let programs = [
            (Role::Etcd, plane.etcd(name)),
            (Role::Apiserver, plane.apiserver(name)?),
            (Role::ApiLb, api_lb(&lb, &host.file("api-lb.yaml"), &logs)?),
            (
                Role::VipDaemon,
                vip_daemon(&vip, &host.file("vip-daemon.yaml"), &logs)?,
            ),
        ];
        for (role, program) in programs {
            group.assign(name, role, program)?;
        }
    }
    Ok(())
}
