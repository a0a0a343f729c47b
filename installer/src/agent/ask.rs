//! What the programs of a host say. Each question leads to one command line, which is written
//! here and nowhere else: nobody can have anything else run.

use std::io;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;

use super::files::below;
use super::image;
use super::watch::watch;
use crate::layout;
use crate::pod::{self, Asked};

/// What members of etcd get to answer: an election is over within that.
const MEMBERS: &str = "--command-timeout=3s";
/// What an API server gets to answer.
const API: &str = "--request-timeout=5s";
/// What any program gets to answer, seconds: none holds up a run for ever. Longer than a Pod
/// tries its questions.
const LONGEST: &str = "60";
/// Where kubectl keeps what it has learned of an API: in the folder of the unit that runs it
/// at boot, which goes with that.
pub(super) const CACHE: &str = "--cache-dir=/run/sternpost-addons";

/// Something that a program of a host is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Question {
    /// What api-lb shows of itself.
    Balancer,
    /// What vip-daemon shows of itself.
    Address,
    /// What members of etcd say of themselves, those at these endpoints; on a host with one.
    Members(Vec<String>),
    /// Whom the member at this endpoint counts among its cluster; on a host with one.
    MemberList(String),
    /// The same by what this member alone knows: also while it has no majority.
    MemberListAlone(String),
    /// Whether they take a write, and how long that takes; on a host with one.
    Health(Vec<String>),
    /// What an API server gives an administrator; on a master.
    #[serde(rename_all = "camelCase")]
    Api {
        /// `https://…`; nothing: the one beside it.
        server: Option<String>,
        /// What is asked for.
        path: String,
    },
    /// The version of a program of Kubernetes that is there, as it says it itself.
    Version(Kube),
    /// The names of the images that containerd has for Kubernetes; on a node.
    Images,
    /// The first line that a Pod has said, by an API server; on a master.
    Said(Inside),
    /// What a Pod of `verify` finds out where it is, by an API server; on a master.
    Inside(Inside, Asked),
    /// What this host finds out where it is.
    Here(Asked),
    /// How the API answers for a while, by each of these at once; on a master.
    #[serde(rename_all = "camelCase")]
    Watch {
        /// `https://…`
        servers: Vec<String>,
        /// How long.
        milliseconds: u64,
    },
}

/// A program of Kubernetes by whose version it is known what a host has; it is asked where it is
/// ours and has run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Kube {
    /// An API server; on a master.
    ApiServer,
    /// A kubelet; on a node.
    Kubelet,
}

impl Kube {
    /// Its name.
    #[must_use]
    pub fn program(self) -> &'static str {
        match self {
            Self::ApiServer => "kube-apiserver",
            Self::Kubelet => "kubelet",
        }
    }
}

/// A Pod, and the API server by which it is reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Inside {
    /// `https://…`
    pub server: String,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub pod: String,
}

/// Why there is no answer.
#[derive(Debug, Error)]
pub enum AskError {
    /// The program is not there.
    #[error("{program} cannot be run")]
    Run {
        /// Which.
        program: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The program got none.
    #[error("{program}: {said}")]
    Failed {
        /// Which.
        program: &'static str,
        /// The last line it said.
        said: String,
    },
}

/// Asks a program of the host whose files lie below `root`.
pub(super) fn ask(root: &Path, question: &Question) -> Result<Value, AskError> {
    let (program, arguments) = match command(question) {
        Way::Program(program, arguments) => (program, arguments),
        Way::Here(answer) => return Ok(answer(root)),
    };
    let run = |source| AskError::Run { program, source };
    let path = below(root, &layout::program(program));
    path.metadata().map_err(run)?;
    let output = Command::new("timeout")
        .args(["--kill-after=1", LONGEST])
        .arg(path)
        .args(arguments)
        .output()
        .map_err(run)?;
    understood(&output).ok_or_else(|| AskError::Failed {
        program,
        said: last_line(&output),
    })
}

/// etcdctl ends with 1 when one of several members does not answer, and has told of the
/// others all the same.
fn understood(output: &Output) -> Option<Value> {
    if let Ok(value) = serde_json::from_slice(&output.stdout) {
        return Some(value);
    }
    let text = String::from_utf8_lossy(&output.stdout);
    output
        .status
        .success()
        .then(|| Value::String(text.trim().to_owned()))
}

pub(super) fn last_line(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr);
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let last = lines.next_back().map(str::to_owned);
    last.unwrap_or_else(|| output.status.to_string())
}

/// Who has the answer.
enum Way<'a> {
    /// A program, with its arguments.
    Program(&'static str, Vec<String>),
    /// This agent.
    Here(Box<dyn Fn(&Path) -> Value + 'a>),
}

fn command(question: &Question) -> Way<'_> {
    let daemon = || ["status", "--json"].map(str::to_owned).to_vec();
    match question {
        Question::Balancer => Way::Program("api-lb", daemon()),
        Question::Address => Way::Program("vip-daemon", daemon()),
        Question::Members(endpoints) => {
            Way::Program("etcdctl", etcdctl(["endpoint", "status"], endpoints))
        }
        Question::MemberList(endpoint) => {
            let endpoint = std::slice::from_ref(endpoint);
            Way::Program("etcdctl", etcdctl(["member", "list"], endpoint))
        }
        Question::MemberListAlone(endpoint) => {
            let endpoint = std::slice::from_ref(endpoint);
            let mut all = etcdctl(["member", "list"], endpoint);
            all.push("--consistency=s".to_owned());
            Way::Program("etcdctl", all)
        }
        Question::Health(endpoints) => {
            Way::Program("etcdctl", etcdctl(["endpoint", "health"], endpoints))
        }
        Question::Api { server, path } => {
            let mut all = kubectl(server.as_deref());
            all.extend([API.to_owned(), "get".to_owned(), format!("--raw={path}")]);
            Way::Program("kubectl", all)
        }
        Question::Version(kube) => {
            Way::Program(kube.program(), vec!["--version".to_owned()])
        }
        Question::Images => {
            let mut all = image::NAMESPACE.map(str::to_owned).to_vec();
            all.extend(["images", "list", "--quiet"].map(str::to_owned));
            Way::Program("ctr", all)
        }
        Question::Said(inside) => {
            let mut all = inside.kubectl("logs");
            // Of a Pod that was started anew, the words of its newest container.
            all.push("--limit-bytes=200".to_owned());
            Way::Program("kubectl", all)
        }
        Question::Inside(inside, asked) => {
            let mut all = inside.kubectl("exec");
            let asked = serde_json::to_string(asked).unwrap_or_default();
            all.extend(["--", image::PROGRAM, "pod", "ask"].map(str::to_owned));
            all.push(asked);
            Way::Program("kubectl", all)
        }
        Question::Here(asked) => Way::Here(Box::new(|_| {
            serde_json::to_value(pod::ask(asked)).unwrap_or_default()
        })),
        Question::Watch {
            servers,
            milliseconds,
        } => Way::Here(Box::new(|root| {
            let long = Duration::from_millis(*milliseconds);
            serde_json::to_value(watch(root, servers, long)).unwrap_or_default()
        })),
    }
}

/// kubectl as an administrator, who asks an API server; nothing: the one beside it.
pub(super) fn kubectl(server: Option<&str>) -> Vec<String> {
    let kubeconfig = layout::kubeconfig("admin");
    let mut all = vec![format!("--kubeconfig={kubeconfig}")];
    all.extend(server.map(|server| format!("--server={server}")));
    all
}

impl Inside {
    fn kubectl(&self, verb: &str) -> Vec<String> {
        let mut all = kubectl(Some(&self.server));
        all.extend([
            CACHE.to_owned(),
            format!("--namespace={}", self.namespace),
            verb.to_owned(),
            self.pod.clone(),
        ]);
        all
    }
}

fn etcdctl(what: [&str; 2], endpoints: &[String]) -> Vec<String> {
    let identity = "etcd/healthcheck-client";
    let mut all = vec![
        format!("--endpoints={}", endpoints.join(",")),
        format!("--cacert={}", layout::certificate("etcd/ca")),
        format!("--cert={}", layout::certificate(identity)),
        format!("--key={}", layout::key(identity)),
        MEMBERS.to_owned(),
        "--write-out=json".to_owned(),
    ];
    all.extend(what.map(str::to_owned));
    all
}

#[cfg(test)]
mod tests {
    use std::fs;

    use serde_json::json;

    use super::*;

    /// What comes of a program that is this script.
    fn said(program: &str, script: &str, question: &Question) -> Result<Value, String> {
        let root = tempfile::tempdir().unwrap();
        let path = below(root.path(), &layout::program(program));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        // By a process of its own: a file that this one has open cannot be run while another
        // thread's child still holds it (ETXTBSY).
        let write = "printf '#!/bin/sh\n%s\n' \"$1\" >\"$0\" && chmod 755 \"$0\"";
        let mut shell = Command::new("sh");
        let written = shell.args(["-c", write]).arg(&path).arg(script).status();
        assert!(written.unwrap().success());
        ask(root.path(), question).map_err(|error| error.to_string())
    }

    #[test]
    fn an_answer_is_json_or_a_text_and_a_failure_says_why() {
        let ready = Question::Api {
            server: Some("https://192.0.2.9:6443".to_owned()),
            path: "/readyz".to_owned(),
        };
        let members = Question::Members(vec!["https://192.0.2.1:2379".to_owned()]);
        for (program, script, question, wanted) in [
            (
                "api-lb",
                "echo '{\"a\": 1}'",
                &Question::Balancer,
                Ok(json!({"a": 1})),
            ),
            ("kubectl", "printf ok", &ready, Ok(json!("ok"))),
            ("etcdctl", "echo '[]'; exit 1", &members, Ok(json!([]))),
            (
                "vip-daemon",
                "echo a >&2; echo no such socket >&2; exit 1",
                &Question::Address,
                Err("vip-daemon: no such socket".to_owned()),
            ),
            (
                "kubectl",
                "exit 3",
                &ready,
                Err("kubectl: exit status: 3".to_owned()),
            ),
            (
                "kubectl",
                "",
                &Question::Balancer,
                Err("api-lb cannot be run".to_owned()),
            ),
        ] {
            assert_eq!(said(program, script, question), wanted, "{script}");
        }
        let all = said("kubectl", "echo \"$*\"", &ready).unwrap();
        let wanted = "--kubeconfig=/etc/kubernetes/admin.conf \
                      --server=https://192.0.2.9:6443 --request-timeout=5s get --raw=/readyz";
        assert_eq!(all, json!(wanted));
    }

    #[test]
    fn a_pod_is_asked_by_the_api_server_that_is_named() {
        let inside = || Inside {
            server: "https://192.0.2.9:6443".to_owned(),
            namespace: "n".to_owned(),
            pod: "p".to_owned(),
        };
        let first = "--kubeconfig=/etc/kubernetes/admin.conf --server=https://192.0.2.9:6443 \
                     --cache-dir=/run/sternpost-addons --namespace=n";
        let all = said("kubectl", "echo \"$*\"", &Question::Said(inside())).unwrap();
        assert_eq!(all, json!(format!("{first} logs p --limit-bytes=200")));
        let asked = Asked::default();
        let question = Question::Inside(inside(), asked.clone());
        let all = said("kubectl", "echo \"$*\"", &question).unwrap();
        let asked = serde_json::to_string(&asked).unwrap();
        let wanted = format!("{first} exec p -- /sternpost pod ask {asked}");
        assert_eq!(all, json!(wanted));
    }
}
