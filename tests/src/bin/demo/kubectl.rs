//! kubectl through the virtual address: one loop creates ConfigMaps, each with a process of
//! its own; another watches them, and goes on from the last version it saw whenever its
//! connection is lost. Whatever was created must have been seen.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use lab::host::NamespaceHost;
use lab::{LabError, requirement, wait};
use serde_json::Value;

/// Between two creations: a process of kubectl costs a good part of a core.
const EVERY: Duration = Duration::from_millis(250);
/// What the watch may lag behind at the end.
const LAG: Duration = Duration::from_secs(30);
/// The names of what is created, so that nothing else is counted.
const NAME: &str = "demo-";

/// Both loops.
pub(crate) struct Kubectl {
    tally: Arc<Tally>,
    threads: Vec<JoinHandle<()>>,
}

/// What it came to.
pub(crate) struct Seen {
    /// ConfigMaps whose creation kubectl reported.
    pub(crate) created: usize,
    /// Creations that kubectl reported as failed.
    pub(crate) refused: usize,
    /// Of all ConfigMaps, how many the watch saw.
    pub(crate) watched: usize,
    /// Created, never seen.
    pub(crate) missing: Vec<String>,
    /// How often the watch was taken up again.
    pub(crate) resumed: usize,
}

#[derive(Default)]
struct Tally {
    /// Nothing more is created.
    ending: AtomicBool,
    /// The watch is not taken up again.
    over: AtomicBool,
    counts: Mutex<Counts>,
}

#[derive(Default)]
struct Counts {
    created: BTreeSet<String>,
    refused: usize,
    seen: BTreeSet<String>,
    version: String,
    resumed: usize,
    watch: Option<Child>,
}

/// How kubectl is called.
#[derive(Clone)]
struct Call {
    bin: PathBuf,
    kubeconfig: PathBuf,
    cache: PathBuf,
}

impl Kubectl {
    /// Starts both on the client's host.
    ///
    /// # Errors
    /// When the first list fails: the watch needs a version to begin with.
    pub(crate) fn start(
        client: &NamespaceHost,
        kubeconfig: &Path,
        folder: &Path,
    ) -> Result<Self, LabError> {
        let call = Call {
            bin: requirement::kubernetes().join("kubectl"),
            kubeconfig: kubeconfig.to_owned(),
            cache: folder.join("kubectl"),
        };
        let first = call.clone();
        let version = wait::until("a list with kubectl", LAG, || {
            let call = first.clone();
            client.run(move || call.version()).ok()?
        })?;
        let tally = Arc::new(Tally::default());
        tally.counts().version = version;
        let (creating, watching) = (tally.clone(), tally.clone());
        let (create, watch) = (call.clone(), call);
        let threads = vec![
            client
                .netns()
                .thread("kubectl-create", move || create.create(&creating))?,
            client
                .netns()
                .thread("kubectl-watch", move || watch.watch(&watching))?,
        ];
        Ok(Self { tally, threads })
    }

    /// Ends both, after the watch had its time to see the last creation.
    pub(crate) fn finish(mut self) -> Seen {
        self.tally.ending.store(true, Ordering::Relaxed);
        if !self.threads.is_empty() {
            drop(self.threads.remove(0).join());
        }
        // What is missing then is reported as lost.
        drop(wait::until("the watch", LAG, || {
            self.tally.missing().is_empty().then_some(())
        }));
        let missing = self.tally.missing();
        self.tally.stop_watch();
        for thread in self.threads.drain(..) {
            drop(thread.join());
        }
        let counts = self.tally.counts();
        Seen {
            created: counts.created.len(),
            refused: counts.refused,
            watched: counts.seen.len(),
            resumed: counts.resumed,
            missing,
        }
    }
}

impl Tally {
    fn counts(&self) -> std::sync::MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_ending(&self) -> bool {
        self.ending.load(Ordering::Relaxed)
    }

    fn missing(&self) -> Vec<String> {
        let counts = self.counts();
        counts.created.difference(&counts.seen).cloned().collect()
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    fn stop_watch(&self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(mut child) = self.counts().watch.take() {
            drop(child.kill());
            drop(child.wait());
        }
    }

    /// Takes one event of the watch into account.
    fn event(&self, line: &str) {
        let Ok(event) = serde_json::from_str::<Value>(line) else {
            return;
        };
        let text = |pointer| event.pointer(pointer).and_then(Value::as_str);
        let mut counts = self.counts();
        if let Some(version) = text("/object/metadata/resourceVersion") {
            version.clone_into(&mut counts.version);
        }
        if let Some(name) = text("/object/metadata/name").filter(|n| n.starts_with(NAME))
        {
            counts.seen.insert(name.to_owned());
        }
    }
}

impl Call {
    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new("setpriv");
        command
            .args(["--pdeathsig", "KILL"])
            .arg(&self.bin)
            .args(args);
        command.arg("--kubeconfig").arg(&self.kubeconfig);
        command.arg("--cache-dir").arg(&self.cache);
        // A watch only listens: without this it takes a client half a minute to notice that
        // the other end of its connection is gone.
        command.env("HTTP2_READ_IDLE_TIMEOUT_SECONDS", "1");
        command.env("HTTP2_PING_TIMEOUT_SECONDS", "1");
        command.stdin(Stdio::null()).stderr(Stdio::null());
        command
    }

    fn version(&self) -> Option<String> {
        let path = "/api/v1/namespaces/default/configmaps?limit=1";
        let output = self.command(&["get", "--raw", path]).output().ok()?;
        let list: Value = serde_json::from_slice(&output.stdout).ok()?;
        list.pointer("/metadata/resourceVersion")?
            .as_str()
            .map(str::to_owned)
    }

    fn create(&self, tally: &Tally) {
        let mut number = 0;
        while !tally.is_ending() {
            number += 1;
            let name = format!("{NAME}{number}");
            let args = ["create", "configmap", &name, "--request-timeout=5s"];
            let status = self.command(&args).stdout(Stdio::null()).status();
            if status.is_ok_and(|status| status.success()) {
                tally.counts().created.insert(name);
            } else {
                tally.counts().refused += 1;
            }
            wait::pass(EVERY, || tally.is_ending());
        }
    }

    fn watch(&self, tally: &Tally) {
        while !tally.is_over() {
            let from = tally.counts().version.clone();
            let path = format!(
                "/api/v1/namespaces/default/configmaps?watch=1&resourceVersion={from}"
            );
            let child = self
                .command(&["get", "--raw", &path])
                .stdout(Stdio::piped())
                .spawn();
            let Ok(mut child) = child else { return };
            let lines = child.stdout.take().map(BufReader::new);
            tally.counts().watch = Some(child);
            if tally.is_over() {
                tally.stop_watch();
            }
            for line in lines
                .into_iter()
                .flat_map(BufRead::lines)
                .map_while(Result::ok)
            {
                tally.event(&line);
            }
            let Some(mut ended) = tally.counts().watch.take() else {
                return;
            };
            drop(ended.wait());
            tally.counts().resumed += 1;
            wait::pass(EVERY / 2, || false);
        }
    }
}
