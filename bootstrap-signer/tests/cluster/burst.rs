//! Five hundred nodes at once beside kube-controller-manager: from each request's being made
//! to its certificate's being seen, and what it cost whom.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use k8s_openapi::api::certificates::v1::CertificateSigningRequest as Csr;
use kube::Api;
use kube::api::{DeleteParams, ListParams, PostParams};

use crate::Tried;
use crate::load::{USER, groups, token};
use crate::rig::Cluster;
use crate::servers::Running;
use crate::signing::{SETTINGS, SIGNS, client_of, name, signing};
use crate::wait::Res;

const NODES: usize = 500;
/// Requests on their way to the API server at a time.
const AT_ONCE: usize = 50;

/// What one round took.
struct Round {
    half: Duration,
    p99: Duration,
    /// From the first request's being sent to the last one's being answered.
    making: Duration,
    /// The processor's time of whom it is about, and of the API server and etcd.
    own: Duration,
    servers: Duration,
    memory: String,
}

impl fmt::Display for Round {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            half,
            p99,
            making,
            own,
            servers,
            memory,
        } = self;
        write!(
            f,
            "p50 {half:.0?} p99 {p99:.0?}, made within {making:.0?}; processor {own:.0?}, \
             the API server and etcd {servers:.0?}; {memory}"
        )
    }
}

/// Whom a round is about.
#[derive(Clone, Copy)]
enum Who {
    Ours,
    /// kube-controller-manager's approver and signer without limits.
    Theirs,
}

impl Who {
    /// Who goes first finds caches colder and a store smaller: that alternates.
    const fn order(round: usize) -> [Self; 2] {
        match round % 2 {
            0 => [Self::Ours, Self::Theirs],
            _ => [Self::Theirs, Self::Ours],
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Theirs => "theirs",
        }
    }

    /// One round, with a process that is started for it.
    async fn plays(self, cluster: &Cluster, settings: &str, label: &str) -> Res<Round> {
        let label = format!("{}-{label}", self.name());
        match self {
            Self::Ours => {
                let daemon = cluster.daemon("a", settings).await?;
                let taken = round(cluster, &daemon, &label).await;
                taken.map_err(|error| format!("{error}\n{}", cluster.log("a")).into())
            }
            Self::Theirs => {
                let peer = cluster
                    .controller_manager("csrapproving,csrsigning")
                    .await?;
                round(cluster, &peer, &label).await
            }
        }
    }
}

/// In turns with kube-controller-manager, after a round of each that warms the API server and
/// etcd up. So many rounds of each as `STERNPOST_ROUNDS` says.
pub(crate) async fn issued() -> Tried {
    const SLOWER: u32 = 3;
    let rounds: usize = match std::env::var("STERNPOST_ROUNDS") {
        Ok(number) => number.parse()?,
        Err(_) => 3,
    };
    let cluster = Cluster::start().await?;
    cluster.bind_rights()?;
    cluster.grant(&SIGNS)?;
    token(&cluster.client(None).await?, "abc123").await?;
    let settings = format!("{SETTINGS}{}", signing(&cluster, "ca"));
    for who in Who::order(0) {
        let taken = who.plays(&cluster, &settings, "warm-up").await?;
        println!("{:<6} {taken}; a warm-up, not counted", who.name());
    }
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for i in 0..rounds {
        for who in Who::order(i) {
            let taken = who.plays(&cluster, &settings, &i.to_string()).await?;
            println!("{:<6} {taken}", who.name());
            match who {
                Who::Ours => ours.push(taken),
                Who::Theirs => theirs.push(taken),
            }
        }
    }
    let (our, their) = (median(&ours, |one| one.p99), median(&theirs, |one| one.p99));
    let ratio = |of: fn(&Round) -> Duration| {
        median(&ours, of).as_secs_f64() / median(&theirs, of).as_secs_f64()
    };
    println!(
        "{NODES} at once, created to issued, p99: {our:.0?} beside {their:.0?} of \
         kube-controller-manager with its limits lifted; ratios of medians: p99 {:.2}, \
         processor {:.2}, that of the API server and etcd {:.2}",
        ratio(|one| one.p99),
        ratio(|one| one.own),
        ratio(|one| one.servers),
    );
    // In turns on one machine: what slows one slows the other. The bound itself (0.9) is
    // for a machine that does nothing else.
    if our > their * SLOWER {
        return Err(format!("{our:?} beside {their:?}").into());
    }
    Ok(())
}

fn median(all: &[Round], of: impl Fn(&Round) -> Duration) -> Duration {
    let mut all: Vec<Duration> = all.iter().map(of).collect();
    all.sort();
    all.get(all.len() / 2).copied().unwrap_or_default()
}

/// The time that processes were given of the processor.
fn cpu(processes: impl IntoIterator<Item = u32>) -> Res<Duration> {
    let mut all = 0;
    for process in processes {
        let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
        let (_, fields) = stat.rsplit_once(')').ok_or("no stat")?;
        let ticks = fields.split_whitespace().skip(11).take(2);
        all += ticks
            .filter_map(|text| text.parse::<u64>().ok())
            .sum::<u64>();
    }
    // USER_HZ is 100 on Linux.
    Ok(Duration::from_millis(all * 10))
}

fn memory(process: u32) -> Res<String> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let peak = status.lines().find(|line| line.starts_with("VmHWM"));
    Ok(peak
        .unwrap_or_default()
        .replace("VmHWM:", "")
        .trim()
        .to_owned())
}

async fn round(cluster: &Cluster, who: &Running, round: &str) -> Res<Round> {
    let client = cluster.client(Some((USER, &groups()))).await?;
    let requests: Api<Csr> = Api::all(client);
    let all = (0..NODES).map(|i| Ok(client_of(&format!("{round}-{i}"))?.csr));
    let all = all.collect::<Res<Vec<_>>>()?;
    let seen: Api<Csr> = Api::all(cluster.client(None).await?);
    let watching = tokio::spawn(issue_times(seen.clone(), round.to_owned(), NODES));
    let before = (cpu([who.id()])?, cpu(cluster.servers())?);
    let began = Instant::now();
    let made = stream::iter(all).map(|csr| {
        let requests = &requests;
        async move {
            let asked = Instant::now();
            let made = requests.create(&PostParams::default(), &csr).await;
            made.map(|_| (name(&csr).to_owned(), asked))
        }
    });
    let made: BTreeMap<String, Instant> =
        made.buffer_unordered(AT_ONCE).try_collect().await?;
    let making = began.elapsed();
    let times = watching.await??;
    let (own, servers) = (cpu([who.id()])?, cpu(cluster.servers())?);
    let mut took: Vec<Duration> = (times.iter())
        .filter_map(|(name, at)| Some(at.duration_since(*made.get(name)?)))
        .collect();
    took.sort();
    seen.delete_collection(&DeleteParams::default(), &ListParams::default())
        .await?;
    let nth = |place: usize| took.get(place).copied().ok_or("too few");
    Ok(Round {
        half: nth(NODES / 2)?,
        p99: nth(NODES * 99 / 100)?,
        making,
        own: own.saturating_sub(before.0),
        servers: servers.saturating_sub(before.1),
        memory: memory(who.id())?,
    })
}

/// When each certificate was seen by a watch.
async fn issue_times(
    requests: Api<Csr>,
    round: String,
    wanted: usize,
) -> Result<BTreeMap<String, Instant>, String> {
    use kube::runtime::{WatchStreamExt as _, watcher};
    let stream = watcher(requests, watcher::Config::default()).default_backoff();
    let mut stream = std::pin::pin!(stream.applied_objects());
    let mut times = BTreeMap::new();
    let all = async {
        while times.len() < wanted {
            let Ok(Some(csr)) = stream.try_next().await else {
                continue;
            };
            let status = csr.status.as_ref();
            let issued = status.is_some_and(|status| status.certificate.is_some());
            if issued && name(&csr).starts_with(&round) {
                times
                    .entry(name(&csr).to_owned())
                    .or_insert_with(Instant::now);
            }
        }
    };
    let done = tokio::time::timeout(crate::wait::PATIENCE, all)
        .await
        .is_ok();
    if done {
        return Ok(times);
    }
    Err(format!("{} of {wanted} certificates came", times.len()))
}
