//! The command line: `run`, `check`, `status`, `import`, and the commands to a running daemon.

mod import;
mod live;
mod upgrade;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::SystemTime;

use clap::{Parser, Subcommand};
use daemon::exit;
use serde_json::Value;

use crate::import::{Dialect, PublicPage};
use crate::upgrade::swap::{self, Handed, TakeError};
use crate::{config, control, recorder, status};

/// A TCP load balancer in front of kube-apiservers.
#[derive(Debug, Parser)]
#[command(name = "api-lb", version, about, long_about = None)]
pub struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Balance until told to stop.
    Run {
        /// The configuration file.
        #[arg(long, value_name = "FILE", default_value = CONFIG)]
        config: PathBuf,
    },
    /// Say whether a configuration file is good; touch nothing.
    Check {
        /// The configuration file.
        #[arg(long, value_name = "FILE", default_value = CONFIG)]
        config: PathBuf,
    },
    /// Show frontends and servers of the running daemon.
    Status {
        /// As JSON.
        #[arg(long)]
        json: bool,
        /// Again each second, until interrupted.
        #[arg(long, conflicts_with = "json")]
        watch: bool,
        /// The daemon's socket.
        #[arg(long, value_name = "PATH", default_value = SOCKET)]
        socket: PathBuf,
    },
    /// Replace the running program by the one that lies where it was started from.
    ///
    /// Put the new program there first (a package does). It is tried beside the running one;
    /// when it will do, it takes the place of the running one, with the same process id, and
    /// every connection goes on. When it will not, nothing happens, and this says why (exit
    /// code 1).
    Upgrade {
        /// How it went, as JSON.
        #[arg(long)]
        json: bool,
        /// The daemon's socket.
        #[arg(long, value_name = "PATH", default_value = SOCKET)]
        socket: PathBuf,
    },
    /// Say whether this program would go on with the state on standard input.
    #[command(hide = true)]
    Adopt {
        /// The configuration file.
        #[arg(long, value_name = "FILE", default_value = CONFIG)]
        config: PathBuf,
    },
    #[command(flatten)]
    Live(live::Live),
    /// Tell what befell a server or a connection, from the flight recorder.
    Explain {
        /// A connection (its id in the log, its client's address and port, or the source
        /// port that an apiserver saw) or a server (NAME or BACKEND/NAME).
        #[arg(value_name = "CONNECTION|SERVER")]
        what: String,
        /// A file that the recorder was kept in, instead of the running daemon.
        #[arg(long, value_name = "FILE")]
        file: Option<PathBuf>,
        /// The daemon's socket.
        #[arg(long, value_name = "PATH", default_value = SOCKET)]
        socket: PathBuf,
    },
    /// Have the flight recorder written to a file now.
    Dump {
        /// The daemon's socket.
        #[arg(long, value_name = "PATH", default_value = SOCKET)]
        socket: PathBuf,
    },
    /// Set the password of one who may give commands on the status page.
    ///
    /// It is read from standard input, and its hash is put into the file (mode 0600).
    Password {
        /// The user's name.
        user: String,
        /// The file of admin.passwordFile; it is made where there is none.
        #[arg(long, value_name = "FILE", default_value = PASSWORDS)]
        file: PathBuf,
    },
    /// Turn a configuration of haproxy or nginx into one of ours.
    ///
    /// The configuration goes to standard output, the report with a verdict on every
    /// directive to standard error: `api-lb import haproxy.cfg > api-lb.yaml`.
    Import {
        /// haproxy.cfg, or nginx.conf (its `stream` blocks).
        file: PathBuf,
        /// Whose it is, where neither name nor text tells.
        #[arg(long, value_name = "PROGRAM")]
        from: Option<Dialect>,
        /// Keep the passwords of `stats auth` in this file, hashed, mode 0600.
        #[arg(long, value_name = "FILE")]
        passwords: Option<PathBuf>,
        /// Keep a page of statistics that everybody can reach in clear text.
        #[arg(long)]
        allow_plain_stats: bool,
        /// Fail (exit code 1) when something is unsupported.
        #[arg(long)]
        strict: bool,
    },
}

const SECOND: std::time::Duration = std::time::Duration::from_secs(1);
const CONFIG: &str = "/etc/sternpost/api-lb.yaml";
const PASSWORDS: &str = "/etc/sternpost/api-lb.passwords";
const SOCKET: &str = "/run/sternpost/api-lb.sock";

type AskError = Box<dyn std::error::Error + Send + Sync>;

impl Cli {
    /// Does what was asked for; the process ends with what this returns.
    #[must_use]
    pub fn go(self) -> ExitCode {
        let code = match self.task {
            Task::Run { config } => run(&config),
            Task::Check { config } => check(&config),
            Task::Status {
                json,
                watch,
                socket,
            } => match (watch, json) {
                (true, _) => watch_status(&socket),
                (false, true) => show(&socket, &|status| format!("{status:#}\n")),
                (false, false) => show(&socket, &as_table),
            },
            Task::Upgrade { json, socket } => upgrade::upgrade(&socket, json),
            Task::Adopt { config } => upgrade::adopt(&config),
            Task::Live(live) => live.go(),
            Task::Explain { what, file, socket } => explain(&what, file, &socket),
            Task::Dump { socket } => dump(&socket),
            Task::Password { user, file } => set_password(&user, &file),
            Task::Import {
                file,
                from,
                passwords,
                allow_plain_stats,
                strict,
            } => {
                let public_page = if allow_plain_stats {
                    PublicPage::Kept
                } else {
                    PublicPage::Closed
                };
                let keep = (passwords.as_deref(), public_page);
                import::take_over(&file, from, keep, strict)
            }
        };
        ExitCode::from(code)
    }
}

fn run(path: &std::path::Path) -> u8 {
    let mut handed = match swap::received() {
        Ok(handed) => handed,
        Err(error) => return give_back(&error),
    };
    let (code, error) = match start(path, &mut handed) {
        Ok(()) => return exit::DONE,
        Err(failed) => failed,
    };
    // Given back once: the old program has no other to give it back to.
    if let Some(Handed {
        state,
        custody,
        returned: None,
    }) = handed
        && let Some(parcel) = custody.take()
    {
        let why = format!(
            "api-lb {} could not go on: {}",
            daemon::VERSION,
            daemon::chain(&*error)
        );
        swap::go_back(&state.arguments, &parcel, &why);
    }
    fail(code, &*error)
}

/// What was handed over does not read: the program that wrote it gets it back.
fn give_back(error: &TakeError) -> u8 {
    if let TakeError::Blob { parcel, .. } = error {
        let arguments: Vec<_> = std::env::args_os().collect();
        swap::go_back(&arguments, parcel, &error.to_string());
    }
    fail(exit::FAILED, error)
}

fn start(
    path: &std::path::Path,
    handed: &mut Option<Handed>,
) -> Result<(), (u8, AskError)> {
    let config = config::read(path).map_err(|errors| (exit::USAGE, errors.into()))?;
    let failed = |error: AskError| (exit::FAILED, error);
    let log = daemon::log::init(&config.log).map_err(|error| failed(error.into()))?;
    let log = Arc::new(log);
    let runtime = runtime().map_err(|e| failed(control::StartError::System(e).into()))?;
    let run = control::run(path, config, Arc::clone(&log), handed);
    runtime.block_on(run).map_err(|error| failed(error.into()))
}

fn check(path: &std::path::Path) -> u8 {
    match config::read(path) {
        Err(errors) => fail(exit::USAGE, &errors),
        Ok(config) => {
            let servers = config.backends.iter().map(|backend| backend.servers.len());
            let warnings = config.warnings.iter().map(|w| format!("warning: {w}\n"));
            say(&format!(
                "{}{} is good: {} frontends, {} backends, {} servers\n",
                warnings.collect::<String>(),
                path.display(),
                config.frontends.len(),
                config.backends.len(),
                servers.sum::<usize>(),
            ))
        }
    }
}

fn show(socket: &std::path::Path, text: &dyn Fn(&Value) -> String) -> u8 {
    match asked(socket) {
        Err(error) => fail(exit::FAILED, &*error),
        Ok(answer) => say(&text(&answer)),
    }
}

fn as_table(status: &Value) -> String {
    status::table(status, SystemTime::now())
}

fn asked(socket: &std::path::Path) -> Result<Value, AskError> {
    let ask = daemon::client::get(socket, "/status");
    Ok(runtime()?.block_on(ask)?)
}

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
}

/// Shows the status anew each second, over what was there. Ends when nobody reads on, or
/// when the daemon does not answer.
fn watch_status(socket: &std::path::Path) -> u8 {
    let watch = async {
        let mut second = tokio::time::interval(SECOND);
        loop {
            second.tick().await;
            let status = daemon::client::get(socket, "/status").await?;
            // To the top; each line and what is left of the screen are wiped.
            let text = as_table(&status).replace('\n', "\x1b[K\n");
            let screen = format!("\x1b[H{text}\x1b[J");
            let mut out = std::io::stdout();
            out.write_all(screen.as_bytes())
                .and_then(|()| out.flush())?;
        }
    };
    match runtime()
        .map_err(AskError::from)
        .and_then(|runtime| runtime.block_on(watch))
    {
        Ok(()) => exit::DONE,
        // Nobody reads on.
        Err(error) if error.is::<std::io::Error>() => exit::DONE,
        Err(error) => fail(exit::FAILED, &*error),
    }
}

fn explain(what: &str, file: Option<PathBuf>, socket: &std::path::Path) -> u8 {
    let entries = match file {
        Some(file) => std::fs::read_to_string(&file)
            .map_err(|error| AskError::from(format!("{}: {error}", file.display())))
            .map(|text| {
                let lines = text.lines().map(serde_json::from_str::<Value>);
                lines.filter_map(Result::ok).collect()
            }),
        None => command(socket, "/recorder")
            .map(|entries| entries.as_array().cloned().unwrap_or_default()),
    };
    match entries {
        Err(error) => fail(exit::FAILED, &*error),
        Ok(entries) => match recorder::explain(&entries, what) {
            Some(account) => say(&account),
            None => {
                let why = format!(
                    "nothing is known of {what}: the recorder holds the last minutes; name a connection by its id, its client or its source, or a server as BACKEND/NAME"
                );
                fail(exit::FAILED, &*AskError::from(why))
            }
        },
    }
}

fn dump(socket: &std::path::Path) -> u8 {
    match command(socket, "/dump") {
        Err(error) => fail(exit::FAILED, &*error),
        Ok(answer) => {
            let file = answer.get("file").and_then(Value::as_str);
            say(&format!("{}\n", file.unwrap_or_default()))
        }
    }
}

fn set_password(user: &str, file: &std::path::Path) -> u8 {
    let mut password = String::new();
    let set = std::io::stdin()
        .read_line(&mut password)
        .map_err(AskError::from)
        .and_then(|_| {
            let password = password.trim_end_matches(['\r', '\n']);
            Ok(daemon::admin::password::set(file, user, password)?)
        });
    match set {
        Ok(()) => say(&format!(
            "{user} may sign in; {} holds the hash\n",
            file.display()
        )),
        Err(error) => fail(exit::FAILED, &*error),
    }
}

fn command(socket: &std::path::Path, path: &str) -> Result<Value, AskError> {
    Ok(runtime()?.block_on(daemon::client::post(socket, path, &Value::Null))?)
}

/// Nobody reads on when this fails (`api-lb status | head -1`).
fn say(text: &str) -> u8 {
    let _ = std::io::stdout().write_all(text.as_bytes());
    exit::DONE
}

/// Prints an error with its causes.
fn fail(code: u8, error: &dyn std::error::Error) -> u8 {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text += &format!(": {error}");
        cause = error.source();
    }
    let _ = writeln!(std::io::stderr(), "{text}");
    code
}
