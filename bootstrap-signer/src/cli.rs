//! The command line.

mod inspect;

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use clap::{Args, Parser, Subcommand};
use daemon::terminal::{complain, fail, say};
use daemon::{chain, exit, log};
use policy::{Explanation, Facts, Question, Request};
use tokio::runtime;

use crate::config::Config;
use crate::context::Context;
use crate::explain;
use crate::manifest::Manifest;
use crate::rbac::{self, Part};
use crate::run;
use crate::signing::Authorities;
use crate::tokens;

const CONFIG: &str = "/etc/sternpost/bootstrap-signer.yaml";

/// Threads for what takes a processor its time: signatures. Four sign more with RSA than
/// an API server takes.
const BLOCKING: usize = 4;

/// Decides about the certificate requests of joining kubelets.
#[derive(Debug, Parser)]
#[command(version, arg_required_else_help = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run in the foreground until a signal ends it; SIGHUP reads the file again.
    Run {
        #[command(flatten)]
        config: ConfigFile,
    },
    /// Say whether a configuration file is good; with --cluster, whether somebody else
    /// approves beside this daemon. Touches nothing.
    Check {
        #[command(flatten)]
        config: ConfigFile,
        /// Ask the cluster too: fails when another approver is, or may be, at work.
        #[arg(long)]
        cluster: bool,
        /// Ask it with these credentials instead of the daemon's, which may not read
        /// roles, bindings and pods.
        #[arg(long, requires = "cluster")]
        kubeconfig: Option<PathBuf>,
    },
    /// Print the RBAC objects it needs, for `kubectl apply -f -`.
    Rbac {
        /// What it is to do.
        #[arg(value_enum, default_value = "approve")]
        parts: Vec<Part>,
    },
    /// Print the certificates that must be trusted while any authority of `signing` signs:
    /// for kube-apiserver's --client-ca-file and --kubelet-certificate-authority.
    Bundle {
        #[command(flatten)]
        config: ConfigFile,
    },
    /// Make, list, delete and import bootstrap tokens.
    Token {
        #[command(subcommand)]
        command: tokens::cli::Command,
    },
    /// Show every rule, what it looked at and what it found for one request.
    Explain {
        #[command(flatten)]
        config: ConfigFile,
        #[command(flatten)]
        request: Asked,
        /// What is known of the cluster a --file is for; without it, nothing is.
        #[arg(long, requires = "file")]
        context: Option<PathBuf>,
        /// Ask the cluster with these credentials instead of the daemon's.
        #[arg(long, requires = "csr")]
        kubeconfig: Option<PathBuf>,
        /// Everything, as JSON.
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Args)]
struct ConfigFile {
    /// The configuration file.
    #[arg(long, default_value = CONFIG)]
    config: PathBuf,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Asked {
    /// The request, as `kubectl get csr NAME -o yaml` prints it.
    #[arg(long)]
    file: Option<PathBuf>,
    /// A request of the cluster, with all that is known there.
    #[arg(long, value_name = "NAME")]
    csr: Option<String>,
}

/// Why a command was not done, for the person who gave it.
type Sentence = String;

/// The same with the exit code.
type Refused = (u8, Sentence);

impl Cli {
    /// Does what was asked; the exit code.
    pub fn execute(self) -> u8 {
        let done = match self.command {
            Command::Run { config } => return daemon(&config.config),
            Command::Token { command } => return token(command),
            Command::Rbac { parts } => Ok(rbac::objects(&parts.into_iter().collect())),
            Command::Bundle { config } => bundle(&config.config).map_err(usage),
            Command::Check {
                config,
                cluster: false,
                ..
            } => check(&config.config).map_err(usage),
            Command::Check {
                config, kubeconfig, ..
            } => inspect::check(&config.config, kubeconfig.as_deref()),
            Command::Explain {
                config,
                request,
                context,
                kubeconfig,
                json,
            } => match (request.csr, request.file) {
                (Some(name), _) => {
                    inspect::explain(&config.config, kubeconfig.as_deref(), &name)
                        .map(|explanation| shown(&explanation, json))
                }
                (None, file) => {
                    let file = file.unwrap_or_default();
                    read(&config.config, &file, context.as_deref())
                        .map(|inputs| inputs.explained(json))
                        .map_err(usage)
                }
            },
        };
        match done {
            Ok(text) => {
                say(&text);
                exit::DONE
            }
            Err((code, sentence)) => fail(code, &sentence),
        }
    }
}

fn usage(sentence: Sentence) -> Refused {
    (exit::USAGE, sentence)
}

fn shown(explanation: &Explanation, json: bool) -> String {
    if json {
        format!("{:#}", explain::json(explanation))
    } else {
        explain::text(explanation)
    }
}

fn daemon(path: &Path) -> u8 {
    let config = match Config::read(path) {
        Ok(config) => config,
        Err(errors) => return fail(exit::USAGE, &errors.to_string()),
    };
    let log = match log::init(&config.log) {
        Ok(log) => log,
        Err(error) => return fail(exit::USAGE, &format!("log: {error}")),
    };
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(BLOCKING)
        .build();
    let ran = runtime.map(|runtime| runtime.block_on(run::run(path, config, log)));
    match ran {
        Ok(Ok(())) => exit::DONE,
        Ok(Err(error)) => fail(exit::FAILED, &chain(&error)),
        Err(error) => fail(exit::FAILED, &error.to_string()),
    }
}

/// What was asked for cannot be done, or the API server did not: both are failures here.
fn token(command: tokens::cli::Command) -> u8 {
    match command.execute(SystemTime::now()) {
        Ok(said) => {
            say(&said.text);
            if said.whole { exit::DONE } else { exit::FAILED }
        }
        Err(sentence) => fail(exit::FAILED, &sentence),
    }
}

fn check(path: &Path) -> Result<String, Sentence> {
    let config = Config::read(path).map_err(|errors| errors.to_string())?;
    for warning in &config.warnings {
        complain(&format!("warning: {warning}"));
    }
    let signing = signing(&config)?;
    let listed = config
        .inventory
        .map_or(0, |inventory| inventory.nodes.len());
    Ok(format!(
        "{}: good, {listed} node(s) in the inventory{signing}",
        path.display()
    ))
}

/// Who would sign.
fn signing(config: &Config) -> Result<String, Sentence> {
    let now = SystemTime::now();
    let authorities = run::authorities(&config.signing, now);
    let authorities = authorities.map_err(|error| chain(&error))?;
    let lines = authorities.signers().filter_map(|signer| {
        let (authority, _) = authorities.signing(signer, now)?;
        let until = daemon::rfc3339(authority.not_after());
        let (name, signer) = (authority.name(), signer.name());
        Some(format!("\n{signer}: {name} signs, until {until}"))
    });
    Ok(lines.collect())
}

fn bundle(path: &Path) -> Result<String, Sentence> {
    let config = Config::read(path).map_err(|errors| errors.to_string())?;
    if config.signing.0.is_empty() {
        return Err(format!("{}: has no `signing`", path.display()));
    }
    let authorities =
        Authorities::load(&config.signing).map_err(|error| chain(&error))?;
    Ok(authorities.bundle().trim_end().to_owned())
}

struct Inputs {
    config: Config,
    manifest: Manifest,
    context: Option<Context>,
    clock: SystemTime,
}

fn read(config: &Path, file: &Path, context: Option<&Path>) -> Result<Inputs, Sentence> {
    let clock = SystemTime::now();
    Ok(Inputs {
        clock,
        config: Config::read(config).map_err(|errors| errors.to_string())?,
        manifest: Manifest::read(file).map_err(|error| chain(&error))?,
        context: context
            .map(|path| Context::read(path, clock))
            .transpose()
            .map_err(|errors| errors.to_string())?,
    })
}

impl Inputs {
    fn explained(&self, json: bool) -> String {
        let context = self.context.as_ref();
        let now = context.map_or(self.clock, |context| context.now);
        let request = Request::read(&self.manifest.pem);
        let submitted = self.manifest.submitted(now);
        let mut question = Question {
            submitted: &submitted,
            request: &request,
            facts: Facts::unknown("no context file"),
            settings: &self.config.settings,
            now,
        };
        question.facts = match context {
            Some(context) => context.facts(&question),
            None => question.facts,
        };
        question.facts.inventory = self.config.inventory.as_ref();
        shown(&policy::explain(&question), json)
    }
}
