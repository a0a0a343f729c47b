//! `bootstrap-signer token …`. Secrets come in by files or stdin, never as arguments,
//! which every user of the machine can read; one that is made is printed once.

use std::fmt::Write as _;
use std::io::Read as _;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use clap::{Args, Subcommand, ValueEnum};
use config::Period;
use daemon::chain;
use serde_json::Value;
use token::{Limits, Spec, Token, Usage};
use tokio::runtime;

use super::import;
use super::listing::{json, table};
use super::store::Store;

/// kubeadm's.
const TTL: Duration = Duration::from_secs(24 * 60 * 60);
/// A use takes a name, a uid and two signs of the 256 KiB that all annotations may have.
const MAX_NODES: RangeInclusive<u32> = 1..=2_000;
/// Larger than any file of tokens that a person keeps.
const LARGEST: u64 = 1024 * 1024;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a token, and print it: the only time that anybody shows it.
    Create(Create),
    /// List tokens, without their secrets.
    List(List),
    /// Delete tokens by their ids (the part before the dot).
    Delete(Delete),
    /// Read a file of static tokens (kube-apiserver's --token-auth-file), make bootstrap
    /// tokens of those that have the form, and say what becomes of the others.
    Import(Import),
}

#[derive(Debug, Args)]
pub(crate) struct Api {
    /// The credentials of somebody who may write Secrets in kube-system.
    #[arg(long, env = "KUBECONFIG", default_value = "/etc/kubernetes/admin.conf")]
    kubeconfig: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct Create {
    #[command(flatten)]
    api: Api,
    /// How long it lives: 90m, 24h, 7d as 168h; `never` for ever.
    #[arg(long, default_value = "24h", value_parser = ttl)]
    ttl: Ttl,
    /// What it is for.
    #[arg(long, value_enum, value_delimiter = ',', default_values = ["signing", "authentication"])]
    usages: Vec<For>,
    /// Further groups of its holder.
    #[arg(long, value_delimiter = ',', default_value = token::DEFAULT_GROUP)]
    groups: Vec<String>,
    /// For people.
    #[arg(long, default_value = "")]
    description: String,
    /// Only for node names that this regular expression matches as a whole.
    #[arg(long)]
    node_names: Option<String>,
    /// Only for so many differently named nodes.
    #[arg(long)]
    max_nodes: Option<u32>,
    /// Only for one certificate.
    #[arg(long)]
    one_shot: bool,
    /// A token that is there already (abcdef.0123456789abcdef), in a file; `-` for stdin.
    /// It is not printed.
    #[arg(long)]
    from_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct List {
    #[command(flatten)]
    api: Api,
    /// Everything but secrets, as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Delete {
    #[command(flatten)]
    api: Api,
    /// Ids, such as abcdef.
    #[arg(required = true)]
    ids: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Import {
    #[command(flatten)]
    api: Api,
    /// The file; `-` for stdin.
    file: PathBuf,
    /// How long the tokens that are made live.
    #[arg(long, default_value = "24h", value_parser = ttl)]
    ttl: Ttl,
    /// Say what would be done, and do nothing.
    #[arg(long)]
    dry_run: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum For {
    /// To sign cluster-info.
    Signing,
    /// To authenticate.
    Authentication,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ttl {
    For(Duration),
    Never,
}

fn ttl(text: &str) -> Result<Ttl, String> {
    if text == "never" {
        return Ok(Ttl::Never);
    }
    match text.parse::<Period>() {
        Ok(Period(Duration::ZERO)) => Err("is no time; for ever is `never`".to_owned()),
        Ok(Period(time)) => Ok(Ttl::For(time)),
        Err(error) => Err(error.to_string()),
    }
}

impl Default for Ttl {
    fn default() -> Self {
        Self::For(TTL)
    }
}

impl Ttl {
    fn end(self, now: SystemTime) -> Option<SystemTime> {
        match self {
            Self::For(time) => now.checked_add(time),
            Self::Never => None,
        }
    }
}

/// What is said, and whether everything was done.
pub(crate) struct Said {
    pub(crate) text: String,
    pub(crate) whole: bool,
}

impl Said {
    fn all(text: String) -> Self {
        Self { text, whole: true }
    }
}

impl Command {
    /// Does it.
    ///
    /// # Errors
    /// A sentence for the person who asked; nothing was done.
    pub(crate) fn execute(self, now: SystemTime) -> Result<Said, String> {
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| error.to_string())?;
        match self {
            Self::Create(command) => runtime.block_on(command.execute(now)),
            Self::List(command) => runtime.block_on(command.execute(now)),
            Self::Delete(command) => runtime.block_on(command.execute()),
            Self::Import(command) => runtime.block_on(command.execute(now)),
        }
    }
}

impl Create {
    async fn execute(self, now: SystemTime) -> Result<Said, String> {
        for group in &self.groups {
            token::check_group(group).map_err(|error| error.to_string())?;
        }
        if let Some(pattern) = &self.node_names {
            let checked = policy::Pattern::new(pattern);
            checked.map_err(|error| format!("--node-names {pattern:?} {error}"))?;
        }
        if let Some(nodes) = self.max_nodes
            && !MAX_NODES.contains(&nodes)
        {
            return Err(format!(
                "--max-nodes {nodes} is out of range; allowed: {} to {}, since every node is \
                 noted on the token; leave it out for any number",
                MAX_NODES.start(),
                MAX_NODES.end()
            ));
        }
        let given = self.from_file.as_deref().map(given).transpose()?;
        let made = given.is_none();
        let token = match given {
            Some(token) => token,
            None => Token::generate().map_err(|error| error.to_string())?,
        };
        let spec = Spec {
            expires: self.ttl.end(now),
            usages: self.usages.iter().map(|usage| usage.meant()).collect(),
            groups: self.groups.iter().cloned().collect(),
            description: self.description.clone(),
            limits: Limits {
                node_names: self.node_names.clone(),
                max_nodes: self.max_nodes,
                one_shot: self.one_shot,
            },
            token,
        };
        let store = open(&self.api).await?;
        store.create(&spec).await.map_err(|error| chain(&error))?;
        Ok(Said::all(match made {
            true => spec.token.expose(),
            false => format!("token {} is made", spec.token.id()),
        }))
    }
}

impl For {
    fn meant(self) -> Usage {
        match self {
            Self::Signing => Usage::Signing,
            Self::Authentication => Usage::Authentication,
        }
    }
}

async fn open(api: &Api) -> Result<Store, String> {
    let store = Store::open(Some(&api.kubeconfig)).await;
    store.map_err(|error| format!("{}: {}", api.kubeconfig.display(), chain(&error)))
}

/// A token from a file; what stands there is not repeated.
fn given(path: &Path) -> Result<Token, String> {
    let text = read(path)?;
    Token::parse(text.trim()).map_err(|error| format!("{}: {error}", path.display()))
}

fn read(path: &Path) -> Result<String, String> {
    let failed = |error: std::io::Error| format!("{}: {error}", path.display());
    let mut text = String::new();
    let read = if path == Path::new("-") {
        std::io::stdin().take(LARGEST).read_to_string(&mut text)
    } else {
        let file = std::fs::File::open(path).map_err(failed)?;
        file.take(LARGEST).read_to_string(&mut text)
    };
    read.map_err(failed)?;
    Ok(text)
}

impl List {
    async fn execute(self, now: SystemTime) -> Result<Said, String> {
        let store = open(&self.api).await?;
        let tokens = store.list().await.map_err(|error| chain(&error))?;
        Ok(Said::all(match self.json {
            true => format!(
                "{:#}",
                Value::from_iter(tokens.iter().map(|token| json(token, now)))
            ),
            false => table(&tokens, now),
        }))
    }
}

impl Delete {
    async fn execute(self) -> Result<Said, String> {
        for (place, id) in self.ids.iter().enumerate() {
            if id.contains('.') {
                return Err(format!(
                    "argument {} has a dot: give the id alone, the part before it. A whole \
                     token as an argument was seen by every user of this machine: delete it \
                     by its id, and make a new one",
                    place + 1
                ));
            }
        }
        let store = open(&self.api).await?;
        let mut text = Vec::new();
        let mut whole = true;
        for id in &self.ids {
            match store.delete(id).await {
                Ok(()) => text.push(format!("token {id} is deleted")),
                Err(error) => {
                    whole = false;
                    text.push(format!("{id}: {}", chain(&error)));
                }
            }
        }
        let text = text.join("\n");
        Ok(Said { text, whole })
    }
}

impl Import {
    async fn execute(self, now: SystemTime) -> Result<Said, String> {
        let name = self.file.display();
        let text = read(&self.file)?;
        let rows = token::csv::read(&text).map_err(|error| format!("{name}: {error}"))?;
        let mut said = Said::all(String::new());
        let store = match self.dry_run {
            true => None,
            false => Some(open(&self.api).await?),
        };
        for row in &rows {
            let made = match (import::spec(row, self.ttl.end(now)), &store) {
                (Some(spec), Some(store)) => Some(store.create(&spec).await),
                (Some(_), None) | (None, _) => None,
            };
            let (line, whole) = import::say(row, made.as_ref());
            said.whole &= whole;
            let _ = writeln!(said.text, "{name}:{}: {line}", row.line);
        }
        said.text.push_str(import::AFTERWARDS);
        Ok(said)
    }
}
