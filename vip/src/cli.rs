//! The command line.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::{Args, Parser, Subcommand};
use daemon::{client, exit, log, table};
use serde_json::{Value, json};
use tokio::runtime;

use crate::config::Config;
use crate::driver::chain;
use crate::{guard, import, run};

const CONFIG: &str = "/etc/sternpost/vip-daemon.yaml";
const SOCKET: &str = "/run/sternpost/vip-daemon.sock";

/// VRRP with an address that cannot be left behind.
#[derive(Debug, Parser)]
#[command(version, arg_required_else_help = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run in the foreground until a signal ends it; SIGHUP reads the file again.
    Run(ConfigFile),
    /// Say whether a configuration file is good, and touch nothing.
    Check(ConfigFile),
    /// Give the addresses that this node holds to another, without a hole.
    ///
    /// With a `channel`, the successor is told first; without one, or with a keepalived as
    /// successor, priority 0 is sent, and the backups take over after their skew.
    Yield {
        #[command(flatten)]
        socket: Socket,
        /// Only to this node, by its name in `channel.peers`; if it cannot take them, they
        /// stay here.
        #[arg(long, value_name = "NODE")]
        to: Option<String>,
        /// Only this router.
        #[arg(long)]
        router: Option<String>,
        /// How long this node, where it has the higher priority, leaves them alone.
        #[arg(long, value_name = "DURATION", default_value = "10m")]
        hold: String,
    },
    /// Turn keepalived's configuration into one of ours.
    ///
    /// Prints the YAML to standard output, and a verdict on every directive to standard
    /// error: `vip-daemon import /etc/keepalived/keepalived.conf > vip-daemon.yaml`.
    Import {
        /// keepalived.conf.
        file: PathBuf,
        /// The node to import for, where lines begin with `@node`.
        #[arg(long, value_name = "NAME")]
        node: Option<String>,
        /// The keepalived.conf of another node of the group, to compare priorities,
        /// versions and intervals; may be repeated.
        #[arg(long, value_name = "FILE")]
        peer: Vec<PathBuf>,
        /// Fail (exit code 1) when something is unsupported.
        #[arg(long)]
        strict: bool,
    },
    /// Run the scripts that a configuration file names, for the daemon beside it.
    Scripts(ConfigFile),
    /// Show where the addresses are and why.
    Status {
        #[command(flatten)]
        socket: Socket,
        /// Everything, as JSON.
        #[arg(long)]
        json: bool,
        /// Again every second, until interrupted.
        #[arg(long)]
        watch: bool,
    },
    /// Replace the running program by the one that lies where it was started from, in
    /// place, without giving the addresses up.
    Upgrade {
        #[command(flatten)]
        socket: Socket,
    },
    /// Print the transitions as they happen, a JSON object a line, until interrupted.
    Events {
        #[command(flatten)]
        socket: Socket,
        /// Only those there have been.
        #[arg(long)]
        past: bool,
    },
    /// Say in words why this node holds its addresses, or does not.
    Explain(OfRouter),
    /// Print the flight recorder: the last minutes of adverts, decisions and checks, a
    /// JSON object a line.
    Flight(OfRouter),
    /// Give the addresses up and stay out, as long as another node takes them.
    Release {
        #[command(flatten)]
        socket: Socket,
        /// Only this router.
        #[arg(long)]
        router: Option<String>,
        /// Take part again.
        #[arg(long)]
        resume: bool,
    },
}

#[derive(Debug, Args)]
struct ConfigFile {
    /// The configuration file.
    #[arg(long, default_value = CONFIG)]
    config: PathBuf,
}

#[derive(Debug, Args)]
struct OfRouter {
    #[command(flatten)]
    socket: Socket,
    /// Only this router.
    #[arg(long)]
    router: Option<String>,
}

#[derive(Debug, Args)]
struct Socket {
    /// The daemon's socket.
    #[arg(long, default_value = SOCKET)]
    socket: PathBuf,
}

impl Cli {
    /// Does what was asked; the exit code.
    pub fn execute(self) -> u8 {
        match self.command {
            Command::Run(file) => daemon(&file.config),
            Command::Check(file) => check(&file.config),
            Command::Yield {
                socket,
                to,
                router,
                hold,
            } => {
                let body = json!({ "to": to, "router": router, "hold": hold });
                hand_over(&socket.socket, &body)
            }
            Command::Import {
                file,
                node,
                peer,
                strict,
            } => take_over(&file, node.as_deref(), &peer, strict),
            Command::Scripts(file) => scripts(&file.config),
            Command::Status {
                socket,
                json,
                watch: false,
            } => status(&socket.socket, json),
            Command::Status { socket, json, .. } => watch(&socket.socket, json),
            Command::Upgrade { socket } => replace(&socket.socket),
            Command::Events { socket, past } => events(&socket.socket, past),
            Command::Explain(of) => told(&of, "/explain", "sentences", "  "),
            Command::Flight(of) => told(&of, "/flight", "entries", ""),
            Command::Release {
                socket,
                router,
                resume,
            } => release(&socket.socket, router.as_deref(), resume),
        }
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
    match on_runtime(run::run(path, config, log)) {
        Ok(Ok(())) => exit::DONE,
        Ok(Err(error)) => fail(exit::FAILED, &chain(&error)),
        Err(error) => fail(exit::FAILED, &error.to_string()),
    }
}

/// The guard, if that is what the arguments (the program's name aside) ask for. The parser
/// of the command line is most of what a guard would otherwise have in memory.
pub fn guard(mut arguments: impl Iterator<Item = OsString>) -> Option<u8> {
    if arguments.next()? != guard::COMMAND {
        return None;
    }
    let format = match arguments.any(|argument| argument == guard::JSON) {
        true => log::Format::Json,
        false => log::Format::Text,
    };
    let settings = log::Settings {
        format,
        ..log::Settings::default()
    };
    Some(match guard::run(&settings) {
        Ok(()) => exit::DONE,
        Err(error) => fail(exit::FAILED, &format!("guard: {}", chain(&error))),
    })
}

fn scripts(path: &Path) -> u8 {
    let config = match Config::read_for_scripts(path) {
        Ok(config) => config,
        Err(errors) => return fail(exit::USAGE, &errors.to_string()),
    };
    if let Err(error) = log::init(&config.log) {
        return fail(exit::USAGE, &format!("log: {error}"));
    }
    match on_runtime(crate::scripts::run(path, &config)) {
        Ok(Ok(())) => exit::DONE,
        Ok(Err(error)) => fail(exit::FAILED, &chain(&error)),
        Err(error) => fail(exit::FAILED, &error.to_string()),
    }
}

fn check(path: &Path) -> u8 {
    match Config::read(path) {
        Ok(config) => {
            config
                .warnings
                .iter()
                .for_each(|warning| complain(&format!("warning: {warning}")));
            say(&format!(
                "{}: good, {} router(s)",
                path.display(),
                config.routers.len()
            ));
            exit::DONE
        }
        Err(errors) => fail(exit::USAGE, &errors.to_string()),
    }
}

fn take_over(path: &Path, node: Option<&str>, peers: &[PathBuf], strict: bool) -> u8 {
    let read = |path: &PathBuf| {
        let text = std::fs::read_to_string(path);
        let name = path.display().to_string();
        text.map(|text| (name.clone(), text))
            .map_err(|error| format!("{name}: {error}"))
    };
    let texts: Result<Vec<_>, _> = std::iter::once(&path.to_owned())
        .chain(peers)
        .map(read)
        .collect();
    let texts = match texts {
        Ok(texts) => texts,
        Err(error) => return fail(exit::USAGE, &error),
    };
    let mut sources = texts
        .iter()
        .map(|(name, text)| import::Source { name, text });
    let Some(first) = sources.next() else {
        return exit::USAGE;
    };
    let others: Vec<_> = sources.collect();
    let imported = match import::import(first, node, &others) {
        Ok(imported) => imported,
        Err(error) => return fail(exit::USAGE, &error.to_string()),
    };
    say(imported.yaml.trim_end());
    complain(imported.report.to_string().trim_end());
    let read = Config::parse("vip-daemon.yaml", &imported.checkable());
    let refused = read.as_ref().err().map(ToString::to_string);
    let warnings = read.as_ref().map_or(&[][..], |config| &config.warnings);
    for sentence in warnings.iter().chain(&refused) {
        complain(&format!("vip-daemon check: {sentence}"));
    }
    if refused.is_some() || (strict && imported.report.lacks()) {
        exit::FAILED
    } else {
        exit::DONE
    }
}

fn status(socket: &Path, json: bool) -> u8 {
    match on_runtime(client::get(socket, "/status")) {
        Ok(Ok(status)) if json => {
            say(&format!("{status:#}"));
            exit::DONE
        }
        Ok(Ok(status)) => {
            say(&readable(&status));
            exit::DONE
        }
        Ok(Err(error)) => fail(exit::FAILED, &chain(&error)),
        Err(error) => fail(exit::FAILED, &error.to_string()),
    }
}

fn release(socket: &Path, router: Option<&str>, resume: bool) -> u8 {
    let body = json!({ "router": router, "resume": resume });
    match on_runtime(client::post(socket, "/release", &body)) {
        Ok(Ok(answer)) => {
            say(&readable(&answer));
            exit::DONE
        }
        Ok(Err(error)) => fail(exit::FAILED, &chain(&error)),
        Err(error) => fail(exit::FAILED, &error.to_string()),
    }
}

/// Status again and again; ends with the first that fails, or with an interrupt.
fn watch(socket: &Path, json: bool) -> u8 {
    const EVERY: std::time::Duration = std::time::Duration::from_secs(1);
    /// Clears a terminal and puts the cursor home (ECMA-48).
    const CLEAR: &str = "\x1b[2J\x1b[H";
    let terminal = std::io::IsTerminal::is_terminal(&std::io::stdout());
    loop {
        if terminal {
            say(CLEAR);
        }
        let code = status(socket, json);
        let waited = on_runtime(pause(EVERY));
        if code != exit::DONE || waited.is_err() {
            return code;
        }
    }
}

/// Has the daemon replaced, and waits until the new program answers.
fn replace(socket: &Path) -> u8 {
    const LOOKS: u32 = 200;
    const LOOK: std::time::Duration = std::time::Duration::from_millis(50);
    let since = |status: &Value| text(status, "since");
    let before = match on_runtime(client::get(socket, "/status")) {
        Ok(Ok(status)) => since(&status),
        Ok(Err(error)) => return fail(exit::FAILED, &chain(&error)),
        Err(error) => return fail(exit::FAILED, &error.to_string()),
    };
    // The old program ends without an answer when all goes well.
    let posted = on_runtime(client::post(socket, "/upgrade", &json!({})));
    if let Ok(Err(error @ client::ClientError::Refused { .. })) = posted {
        return fail(exit::FAILED, &chain(&error));
    }
    for _ in 0..LOOKS {
        if let Ok(Ok(status)) = on_runtime(client::get(socket, "/status"))
            && since(&status) != before
        {
            say(&format!("upgraded, version {}", text(&status, "version")));
            return exit::DONE;
        }
        if let Err(error) = on_runtime(pause(LOOK)) {
            return fail(exit::FAILED, &error.to_string());
        }
    }
    fail(
        exit::FAILED,
        "the new program does not answer; its log may say why",
    )
}

/// Events until the daemon does not answer.
fn events(socket: &Path, past: bool) -> u8 {
    let mut after = 0;
    loop {
        let body = json!({ "after": after });
        let answer = match on_runtime(client::post(socket, "/events", &body)) {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => return fail(exit::FAILED, &chain(&error)),
            Err(error) => return fail(exit::FAILED, &error.to_string()),
        };
        let none = Vec::new();
        let events = answer.get("events").and_then(Value::as_array);
        for event in events.unwrap_or(&none) {
            say(&event.to_string());
            after = event.get("event").and_then(Value::as_u64).unwrap_or(after);
        }
        if past {
            return exit::DONE;
        }
    }
}

/// Prints what the daemon tells of each router: text as it is, everything else as JSON.
fn told(of: &OfRouter, path: &str, key: &str, indent: &str) -> u8 {
    let body = json!({ "router": of.router });
    let answer = match on_runtime(client::post(&of.socket.socket, path, &body)) {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => return fail(exit::FAILED, &chain(&error)),
        Err(error) => return fail(exit::FAILED, &error.to_string()),
    };
    let none = Vec::new();
    let routers = answer.get("routers").and_then(Value::as_array);
    for router in routers.unwrap_or(&none) {
        if !indent.is_empty() {
            say(&text(router, "name"));
        }
        let lines = router.get(key).and_then(Value::as_array);
        for line in lines.unwrap_or(&none) {
            match line.as_str() {
                Some(line) => say(&format!("{indent}{line}")),
                None => say(&format!("{indent}{line}")),
            }
        }
    }
    exit::DONE
}

fn hand_over(socket: &Path, body: &Value) -> u8 {
    let none = Vec::new();
    match on_runtime(client::post(socket, "/yield", body)) {
        Ok(Ok(answer)) => {
            let all = answer.get("handovers").and_then(Value::as_array);
            let rows: Vec<_> = all
                .unwrap_or(&none)
                .iter()
                .map(|one| [text(one, "name"), text(one, "how"), text(one, "to")])
                .collect();
            say(table::render(["ROUTER", "HOW", "TO"], &rows).trim_end());
            exit::DONE
        }
        Ok(Err(error)) => fail(exit::FAILED, &chain(&error)),
        Err(error) => fail(exit::FAILED, &error.to_string()),
    }
}

fn on_runtime<T>(work: impl Future<Output = T>) -> std::io::Result<T> {
    Ok(runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(work))
}

/// A line per router, and a line for whatever needs a person.
fn readable(status: &Value) -> String {
    let none = Vec::new();
    let routers = status
        .get("routers")
        .and_then(Value::as_array)
        .unwrap_or(&none);
    let rows: Vec<_> = routers
        .iter()
        .map(|router| {
            [
                text(router, "name"),
                text(router, "interface"),
                text(router, "vrid"),
                text(router, "state"),
                format!(
                    "{}/{}",
                    text(router, "priority"),
                    text(router, "configuredPriority")
                ),
                text(router, "reason"),
                text(router, "since"),
            ]
        })
        .collect();
    let head = [
        "ROUTER",
        "INTERFACE",
        "VRID",
        "STATE",
        "PRIORITY",
        "REASON",
        "SINCE",
    ];
    let mut page = table::render(head, &rows);
    for router in routers {
        for key in ["out", "failing", "alarm", "conflict", "foreign"] {
            let value = router.get(key).filter(|value| !value.is_null());
            if value.is_some_and(|value| *value != json!({}) && *value != json!([])) {
                let (name, value) = (text(router, "name"), text(router, key));
                page.push_str(&format!("{name}: {key}: {value}\n"));
            }
        }
    }
    page.trim_end().to_owned()
}

fn text(value: &Value, key: &str) -> String {
    match value.get(key) {
        Some(Value::String(text)) => text.clone(),
        None | Some(Value::Null) => "-".to_owned(),
        Some(other) => other.to_string(),
    }
}

fn fail(code: u8, message: &str) -> u8 {
    complain(message);
    code
}

#[expect(clippy::print_stdout, reason = "what the command was asked for")]
fn say(text: &str) {
    println!("{text}");
}

#[expect(
    clippy::print_stderr,
    reason = "what a person at the terminal must see"
)]
fn complain(text: &str) {
    eprintln!("{text}");
}

/// Begins inside the runtime, which a timer needs.
async fn pause(time: std::time::Duration) {
    tokio::time::sleep(time).await;
}
