//! The command line.

use std::path::{Path, PathBuf};

use clap::{Args, Parser, Subcommand};
use daemon::exit;

use crate::spec;

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
    /// Print the JSON schema of a cluster's description, for editors.
    Schema,
}

#[derive(Debug, Args)]
struct SpecFile {
    /// The description of the cluster.
    #[arg(long, default_value = SPEC)]
    spec: PathBuf,
}

/// Why a command was not done, for the person who gave it.
type Sentence = String;

impl Cli {
    /// Does what was asked; the exit code.
    pub fn execute(self) -> u8 {
        let done = match self.command {
            Command::Check { spec } => check(&spec.spec),
            Command::Schema => schema(),
        };
        match done {
            Ok(text) => {
                say(&text);
                exit::DONE
            }
            Err(sentence) => {
                complain(&sentence);
                exit::USAGE
            }
        }
    }
}

fn check(path: &Path) -> Result<String, Sentence> {
    let spec = spec::read(path).map_err(|errors| errors.to_string())?;
    for warning in &spec.warnings {
        complain(&format!("warning: {warning}"));
    }
    let hosts = spec.cluster.hosts.len();
    Ok(format!("{}: good, {hosts} host(s)", path.display()))
}

fn schema() -> Result<String, Sentence> {
    let schema = schemars::schema_for!(spec::File);
    serde_json::to_string_pretty(&schema).map_err(|error| error.to_string())
}

#[expect(clippy::print_stdout, reason = "what was asked for")]
fn say(text: &str) {
    println!("{text}");
}

#[expect(clippy::print_stderr, reason = "for the person at the terminal")]
fn complain(text: &str) {
    eprintln!("{text}");
}
