//! The command line.

mod apply;
mod certs;
mod diagnose;
mod drained;
mod fetch;
mod heads;
mod init;
mod interrupt;
mod kubeconfig;
mod leaving;
mod members;
mod outcome;
mod person;
mod plan;
mod pod;
mod preflight;
mod progress;
mod reach;
mod record;
mod requests;
mod reset;
mod round;
mod served;
mod status;
mod verify;

use std::io::BufReader;
use std::path::{Path, PathBuf};

use clap::{Args, Parser, Subcommand, ValueEnum};
use daemon::exit;

use crate::agent::{Agent, Systemd, attend};
use crate::import::{self, Verdict};
use crate::listing::listing;
use crate::render::{self, Known, Newcomers};
use crate::spec::{self, Cluster, Spec};

const SPEC: &str = "cluster.yaml";

/// Lays down a highly available Kubernetes cluster, and keeps it as it is described.
#[derive(Debug, Parser)]
#[command(version, arg_required_else_help = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Say whether a cluster's description is good; connect to nothing.
    Check {
        #[command(flatten)]
        spec: SpecFile,
    },
    /// Make the hosts what the description says, all at once; what is so already is left.
    Apply(apply::Apply),
    /// Name every certificate of every host, the days it has left, and why it is to be issued
    /// anew. Ends with 1 when one of them is.
    Certs(certs::Certs),
    /// Collect what a maintainer would ask for into one file, without secrets, and name the
    /// likely causes of what is not as it is to be. Hosts that are down are named.
    Diagnose(diagnose::Diagnose),
    /// Fetch the programs that the description names, check them and keep them here; touch no
    /// host. `apply` does so by itself.
    Fetch(fetch::Fetch),
    /// Write a first description, with a word about each choice; ask for what flags leave open.
    Init(init::Init),
    /// Print a kubeconfig for an administrator, or add it to the one that is there.
    Kubeconfig(kubeconfig::Kubeconfig),
    /// Look at every machine and name what speaks against it, with the way out. Ends with 1
    /// when something does.
    Preflight(preflight::Preflight),
    /// Show how every host of the cluster is, on one screen. Ends with 1 when something is not
    /// as it is to be.
    Status(status::Status),
    /// Write what the keepers of authorities that are not here are to sign, with the keys it is
    /// for. Ends with 1 while one of the certificates is missing or will not do.
    Requests(requests::Requests),
    /// Take everything of ours off the hosts, and leave everything of others.
    Reset(reset::Reset),
    /// Find out whether the cluster serves: ask every master, lay a Pod down on every node, ask
    /// that, and take it away again. Ends with 1 when something is not as it is to be.
    Verify(verify::Verify),
    /// Take orders on standard input, as `apply` gives them on each host.
    #[command(hide = true)]
    Agent {
        /// The machine's files lie below this folder.
        #[arg(long, default_value = "/")]
        root: PathBuf,
        /// Remove this program's own file first: it was put there for this run alone.
        #[arg(long)]
        vanish: bool,
    },
    /// Answer or ask in a Pod that `verify` has laid down.
    #[command(hide = true, subcommand)]
    Pod(pod::Pod),
    /// Print what `apply` would do on every host, with the difference of each file that changes
    /// and without secrets, and touch nothing; `render` prints what new files will hold. Ends
    /// with 3 when there is something to do.
    Plan(plan::Plan),
    /// Take over an `env.sh`: the description goes to standard output, what became of each
    /// variable to standard error.
    Import {
        /// The file; it is read and not run.
        file: PathBuf,
        /// End with 1 when something could not be taken over.
        #[arg(long)]
        strict: bool,
    },
    /// Print what each host is to hold, whatever it holds today; connect to nothing.
    Render {
        #[command(flatten)]
        spec: SpecFile,
        /// This host alone.
        #[arg(long)]
        host: Option<String>,
        /// The interface that has the hosts' addresses.
        #[arg(long, default_value = "eth0")]
        interface: String,
    },
    /// Print the JSON schema of a cluster's description, for editors.
    Schema,
}

#[derive(Debug, Args)]
struct SpecFile {
    /// The description of the cluster.
    #[arg(long, default_value = SPEC)]
    spec: PathBuf,
}

/// How something is printed.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Output {
    /// For people.
    Text,
    /// With all that is in it.
    Json,
}

/// Why a command was not done, for the person who gave it.
type Sentence = String;

impl Cli {
    /// Does what was asked; the exit code.
    pub fn execute(self) -> u8 {
        let done = match self.command {
            Command::Check { spec } => check(&spec.spec),
            Command::Render {
                spec,
                host,
                interface,
            } => rendered(&spec.spec, host.as_deref(), interface),
            Command::Apply(apply) => apply.execute(),
            Command::Certs(certs) => certs.execute(),
            Command::Diagnose(diagnose) => diagnose.execute(),
            Command::Fetch(fetch) => fetch.execute(),
            Command::Init(init) => init.execute(),
            Command::Kubeconfig(kubeconfig) => kubeconfig.execute(),
            Command::Preflight(preflight) => preflight.execute(),
            Command::Status(status) => status.execute(),
            Command::Requests(requests) => requests.execute(),
            Command::Reset(reset) => reset.execute(),
            Command::Verify(verify) => verify.execute(),
            Command::Pod(pod) => pod.execute(),
            Command::Agent { root, vanish } => {
                let free = match vanish {
                    true => gone(),
                    false => Ok(()),
                };
                free.and_then(|()| agent(&root))
            }
            Command::Import { file, strict } => imported(&file, strict),
            Command::Plan(plan) => plan.execute(),
            Command::Schema => schema(),
        };
        match done {
            Ok((text, code)) => {
                if !text.is_empty() {
                    say(&text);
                }
                code
            }
            Err(sentence) => {
                complain(&sentence);
                exit::USAGE
            }
        }
    }
}

fn check(path: &Path) -> Result<(String, u8), Sentence> {
    let spec = said(path)?;
    for advice in &spec.advice {
        complain(&format!("warning: {advice}"));
    }
    let hosts = spec.cluster.hosts.len();
    Ok((
        format!("{}: good, {hosts} host(s)", path.display()),
        exit::DONE,
    ))
}

/// The cluster of a description; what may not be meant is said before anything is done.
fn described(path: &Path) -> Result<Cluster, Sentence> {
    Ok(said(path)?.cluster)
}

fn said(path: &Path) -> Result<Spec, Sentence> {
    let spec = spec::read(path).map_err(|errors| errors.to_string())?;
    for warning in &spec.warnings {
        complain(&format!("warning: {warning}"));
    }
    Ok(spec)
}

fn rendered(
    path: &Path,
    wanted: Option<&str>,
    interface: String,
) -> Result<(String, u8), Sentence> {
    let cluster = described(path)?;
    let known = Known {
        interface,
        resolv_conf: None,
        newcomers: Newcomers::Expected,
        dials: None,
    };
    let hosts: Vec<_> = match wanted {
        Some(wanted) => vec![host(&cluster, path, wanted)?],
        None => cluster.hosts.iter().collect(),
    };
    let texts = hosts.iter().map(|host| {
        let resources = render::host(&cluster, host, &known);
        format!("=== {}\n{}", host.name, listing(&resources))
    });
    let text = texts.collect::<Vec<_>>().join("\n");
    Ok((text.trim_end().to_owned(), exit::DONE))
}

/// The host that somebody named.
fn host<'a>(
    cluster: &'a Cluster,
    path: &Path,
    wanted: &str,
) -> Result<&'a spec::Host, Sentence> {
    let found = cluster.hosts.iter().find(|host| host.name == wanted);
    found.ok_or_else(|| {
        let names = cluster.hosts.iter().map(|host| host.name.as_str());
        let way_out = config::suggest(wanted, names);
        format!(
            "--host {wanted}: is no host of {}; {way_out}",
            path.display()
        )
    })
}

fn imported(path: &Path, strict: bool) -> Result<(String, u8), Sentence> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| format!("{}: cannot be read: {error}", path.display()))?;
    let imported = import::env_sh(&text);
    let mut lost = false;
    for one in &imported.findings {
        lost |= one.verdict == Verdict::Unsupported;
        let (line, name) = (one.line, &one.name);
        complain(&format!(
            "{}:{line}: {name}: {}: {}",
            path.display(),
            one.verdict,
            one.why
        ));
    }
    for question in &imported.questions {
        complain(&format!("to be written by you: {question}"));
    }
    let code = if strict && lost {
        exit::FAILED
    } else {
        exit::DONE
    };
    Ok((imported.yaml.trim_end().to_owned(), code))
}

/// Removes this program's own file, which the kernel keeps for as long as it runs: a host that
/// loses its power meanwhile has nothing of it.
fn gone() -> Result<(), Sentence> {
    let removed = std::env::current_exe().and_then(std::fs::remove_file);
    removed.map_err(|error| format!("its own file stays: {error}"))
}

fn agent(root: &Path) -> Result<(String, u8), Sentence> {
    let orders = BufReader::new(std::io::stdin());
    let mut agent = Agent::new(root, Systemd::default());
    let abandon = || std::process::exit(exit::FAILED.into());
    let served = attend(&mut agent, orders, std::io::stdout().lock(), abandon);
    served.map_err(|error| error.to_string())?;
    Ok((String::new(), exit::DONE))
}

fn schema() -> Result<(String, u8), Sentence> {
    let text = serde_json::to_string_pretty(&spec::schema())
        .map_err(|error| error.to_string())?;
    Ok((text, exit::DONE))
}

#[expect(clippy::print_stdout, reason = "what was asked for")]
fn say(text: &str) {
    println!("{text}");
}

#[expect(clippy::print_stderr, reason = "for the person at the terminal")]
fn complain(text: &str) {
    eprintln!("{text}");
}

/// Text that brings its own ends of lines.
#[expect(clippy::print_stderr, reason = "for the person at the terminal")]
fn paint(text: &str) {
    eprint!("{text}");
}
