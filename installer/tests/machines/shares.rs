//! Where the time of a run goes: what each host waited for, and when the API was there.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use lab::command::run;
use lab::wait;
use libtest_mimic::Failed;

use lab::rig::{Rig, Run, VIP};

/// Longer than any run of `apply`.
const PATIENCE: Duration = Duration::from_secs(300);
/// Between two questions: asking takes little from what is asked about.
const PAUSE: Duration = Duration::from_millis(50);

/// What a host did, or waited for, by the words of its steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    /// Over ssh, the agent there, looked at, planned.
    Reached,
    /// Copied and checked.
    Programs,
    /// Files, folders, certificates, users, kernel settings.
    Files,
    /// etcd, with its peers.
    Etcd,
    /// kube-apiserver.
    Apiserver,
    /// Other units of Kubernetes and of its nodes.
    Others,
    /// api-lb, vip-daemon, bootstrap-signer.
    Daemons,
}

const KINDS: [(Kind, &str); 7] = [
    (Kind::Reached, "reached"),
    (Kind::Programs, "programs"),
    (Kind::Files, "files"),
    (Kind::Daemons, "our units"),
    (Kind::Etcd, "etcd"),
    (Kind::Apiserver, "apiserver"),
    (Kind::Others, "others"),
];

impl Kind {
    fn of(step: &str) -> Self {
        let unit = ["start ", "restart ", "reload "]
            .into_iter()
            .find_map(|verb| step.strip_prefix(verb));
        let Some(unit) = unit else {
            let program = step.starts_with("install ") || step.starts_with("replace ");
            return if program { Self::Programs } else { Self::Files };
        };
        let ours = ["api-lb", "vip-daemon", "bootstrap-signer"];
        match unit {
            _ if unit.starts_with("etcd") => Self::Etcd,
            _ if unit.starts_with("kube-apiserver") => Self::Apiserver,
            _ if ours.iter().any(|name| unit.starts_with(name)) => Self::Daemons,
            _ => Self::Others,
        }
    }
}

/// `sternpost apply` to its end, and a table of where its time went.
pub(crate) fn applied(rig: &Rig) -> Result<(Run, String), Failed> {
    let begun = Instant::now();
    let mut steps: Vec<(Duration, String)> = Vec::new();
    let (run, served) = served(rig, || {
        rig.watched(|line, _| steps.push((begun.elapsed(), line.to_owned())))
    })?;
    let table = table(&steps, run.took, served);
    Ok((run, table))
}

/// A run that lays a cluster down, and how long after its beginning the API first answered
/// through the address; it is waited for when the run has ended well.
pub(crate) fn served(
    rig: &Rig,
    run: impl FnOnce() -> Result<Run, Failed>,
) -> Result<(Run, Option<Duration>), Failed> {
    let begun = Instant::now();
    let in_vain = AtomicBool::new(false);
    let (run, served) = thread::scope(|scope| {
        let served = scope.spawn(|| serves(rig, begun, &in_vain));
        let run = run();
        let well = run.as_ref().is_ok_and(|run| run.code == Some(0));
        in_vain.store(!well, Ordering::Relaxed);
        (run, served.join().ok().flatten())
    });
    Ok((run?, served))
}

fn serves(rig: &Rig, begun: Instant, in_vain: &AtomicBool) -> Option<Duration> {
    let url = format!("https://{VIP}:6443/readyz");
    let netns = rig.operator.netns().name();
    let words = [
        "netns",
        "exec",
        netns,
        "curl",
        "-skf",
        "--max-time",
        "1",
        &url,
    ];
    let answered = wait::until("the API", PATIENCE, || {
        if run("ip", &words).is_ok_and(|text| text == "ok") {
            return Some(true);
        }
        wait::pass(PAUSE, || false);
        in_vain.load(Ordering::Relaxed).then_some(false)
    });
    answered.ok()?.then(|| begun.elapsed())
}

fn table(
    steps: &[(Duration, String)],
    took: Duration,
    served: Option<Duration>,
) -> String {
    let mut hosts: BTreeMap<&str, Vec<(Duration, Kind)>> = BTreeMap::new();
    for (at, line) in steps {
        if let Some((host, step)) = line.split_once(": ")
            && host != "warning"
        {
            hosts.entry(host).or_default().push((*at, Kind::of(step)));
        }
    }
    let mut text = String::from("host    ");
    for (_, name) in KINDS {
        let _ = write!(text, "{name:>11}");
    }
    text.push('\n');
    for (host, steps) in &hosts {
        let mut sums: BTreeMap<Kind, Duration> = BTreeMap::new();
        let first = steps.first().map_or(took, |(at, _)| *at);
        sums.insert(Kind::Reached, first);
        let ends = steps.iter().skip(1).map(|(at, _)| *at).chain([took]);
        for ((at, kind), end) in steps.iter().zip(ends) {
            *sums.entry(*kind).or_default() += end.saturating_sub(*at);
        }
        let _ = write!(text, "{host:<8}");
        for (kind, _) in KINDS {
            let sum = sums.get(&kind).copied().unwrap_or_default();
            let _ = write!(text, "{:>9.1} s", sum.as_secs_f64());
        }
        text.push('\n');
    }
    let served = served.map_or("never".to_owned(), |at| format!("{at:.1?}"));
    let _ = writeln!(
        text,
        "the API through the address after {served}; all after {took:.1?}. Ours: reached, \
         programs, files, our units; the rest is waited for."
    );
    text
}
