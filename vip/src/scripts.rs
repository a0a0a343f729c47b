//! The unit beside the daemon that runs scripts, and how the daemon asks it.
//!
//! The daemon has no right to fork and none to gain rights. So `vip-daemon scripts`, a
//! process of its own with rights of its own, listens on a unix socket, and runs what it is
//! asked for **only where its own copy of the configuration names exactly that program for
//! that user**: who takes over the daemon gains no more than what the file's owner wrote.
//!
//! One request a line, one answer a line, both JSON. Owns the socket; ends with a signal.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use daemon::chain;
use daemon::notify;
use daemon::signals::{Signal, Signals};
use nix::sys::signal::{Signal as Kill, killpg};
use nix::unistd::{Pid, User};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::process::Command;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::config::{Config, Notify, Script, Target};

/// Scripts at a time. More than a machine's routers can have is a fault somewhere.
const AT_ONCE: usize = 64;

/// The longest a script may run, whatever is asked.
const LONGEST: Duration = Duration::from_secs(60);

/// Whoever connects asks at once; one who does not must not keep a place from others.
const REQUEST: Duration = Duration::from_secs(5);

/// The longest request: a command line.
const REQUEST_BYTES: u64 = 64 * 1024;

/// How a script ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Ended {
    /// With exit code 0.
    Passed,
    /// With another.
    Failed,
    /// By a signal.
    Killed,
    /// By us, since it took too long.
    Timeout,
    /// It could not be started.
    NotStarted,
    /// The configuration of the scripts' unit does not name it.
    NotAllowed,
    /// The scripts' unit does not answer.
    NoUnit,
}

impl Ended {
    /// Name for logs and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "exitCode",
            Self::Killed => "signal",
            Self::Timeout => "timeout",
            Self::NotStarted => "notStarted",
            Self::NotAllowed => "notAllowed",
            Self::NoUnit => "noScriptsUnit",
        }
    }
}

/// What is asked of the unit.
#[derive(Debug, Serialize, Deserialize)]
struct Request {
    command: Vec<String>,
    user: Option<String>,
    /// Appended to the command: what `notify` is told.
    #[serde(default)]
    more: Vec<String>,
    /// Milliseconds.
    timeout: u64,
}

/// Has a script run by the unit. What goes wrong on the way counts as failed.
pub async fn ask(script: &Script, limit: Duration) -> Ended {
    ask_with(script, Vec::new(), limit).await
}

/// The same with arguments appended.
pub async fn ask_with(script: &Script, more: Vec<String>, limit: Duration) -> Ended {
    let request = Request {
        command: script.command.clone(),
        user: script.user.clone(),
        more,
        timeout: u64::try_from(limit.as_millis()).unwrap_or(u64::MAX),
    };
    // The unit kills at the limit; what it then says is awaited for as long again.
    match timeout(limit * 2, exchange(&script.socket, &request)).await {
        Ok(Ok(ended)) => ended,
        Ok(Err(_)) | Err(_) => Ended::NoUnit,
    }
}

async fn exchange(socket: &Path, request: &Request) -> io::Result<Ended> {
    let mut stream = UnixStream::connect(socket).await?;
    let mut line = serde_json::to_vec(request)?;
    line.push(b'\n');
    stream.write_all(&line).await?;
    let mut answer = String::new();
    BufReader::new(stream.take(REQUEST_BYTES))
        .read_line(&mut answer)
        .await?;
    Ok(serde_json::from_str(&answer)?)
}

/// Why the unit does not run.
#[derive(Debug, thiserror::Error)]
pub enum ScriptsError {
    /// Nothing allows it.
    #[error("{0}: runs no scripts; write \"scripts: {{}}\" at the top level")]
    Off(String),
    /// The socket or the signals could not be had.
    #[error("cannot listen on {0}")]
    Listen(String, #[source] io::Error),
}

/// The scripts that may run: those of the configuration.
type Allowed = Arc<RwLock<Vec<Script>>>;

/// Runs the unit until a signal ends it; SIGHUP reads the configuration again.
///
/// # Errors
/// When it cannot start.
pub async fn run(path: &Path, config: &Config) -> Result<(), ScriptsError> {
    let Some(socket) = &config.scripts else {
        return Err(ScriptsError::Off(path.display().to_string()));
    };
    let failed = |source| ScriptsError::Listen(socket.display().to_string(), source);
    let mut signals = Signals::new().map_err(failed)?;
    let listener = listen(socket).map_err(failed)?;
    let allowed: Allowed = Arc::new(RwLock::new(scripts_of(config)));
    let room = Arc::new(Semaphore::new(AT_ONCE));
    notify::ready();
    loop {
        tokio::select! {
            signal = signals.next() => match signal {
                Signal::Terminate => break,
                Signal::Reload => reload(path, &allowed),
            },
            accepted = listener.accept() => if let Ok((stream, _)) = accepted {
                let Ok(permit) = Arc::clone(&room).try_acquire_owned() else {
                    tracing::warn!("too many scripts at a time; one is refused");
                    continue;
                };
                let allowed = Arc::clone(&allowed);
                tokio::spawn(async move {
                    if let Err(error) = serve(stream, &allowed).await {
                        tracing::warn!("a request for a script broke off: {error}");
                    }
                    drop(permit);
                });
            },
        }
    }
    notify::stopping();
    // A start would replace it anyway.
    let _ = std::fs::remove_file(socket);
    Ok(())
}

fn listen(socket: &Path) -> io::Result<UnixListener> {
    match std::fs::remove_file(socket) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let listener = UnixListener::bind(socket)?;
    std::fs::set_permissions(socket, std::fs::Permissions::from_mode(0o660))?;
    Ok(listener)
}

fn reload(path: &Path, allowed: &Allowed) {
    match Config::read_for_scripts(path) {
        Ok(config) => {
            let mut known = allowed.write().unwrap_or_else(PoisonError::into_inner);
            *known = scripts_of(&config);
        }
        Err(errors) => {
            tracing::error!("the configuration is refused, what ran goes on:\n{errors}");
        }
    }
}

/// Every script that a configuration names.
fn scripts_of(config: &Config) -> Vec<Script> {
    let tracks = config.routers.iter().flat_map(|router| &router.tracks);
    let scripts = tracks.filter_map(|track| match &track.target {
        Target::Script(script) => Some(script.clone()),
        Target::Tcp(_)
        | Target::Http { .. }
        | Target::Https { .. }
        | Target::Process(_)
        | Target::File(_)
        | Target::FileValue(_)
        | Target::Interface(_)
        | Target::Router(_) => None,
    });
    let routers = config.routers.iter().map(|router| &router.notify);
    let groups = config.sync_groups.iter().map(|group| &group.notify);
    let notify = routers.chain(groups).flat_map(Notify::all);
    scripts.chain(notify.cloned()).collect()
}

async fn serve(stream: UnixStream, allowed: &Allowed) -> io::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut line = String::new();
    let mut read = BufReader::new(read.take(REQUEST_BYTES));
    timeout(REQUEST, read.read_line(&mut line)).await??;
    let ended = match serde_json::from_str::<Request>(&line) {
        Ok(request) if permitted(&request, allowed) => execute(&request).await,
        Ok(_) | Err(_) => Ended::NotAllowed,
    };
    let mut answer = serde_json::to_vec(&ended)?;
    answer.push(b'\n');
    write.write_all(&answer).await
}

fn permitted(request: &Request, allowed: &Allowed) -> bool {
    // Names, words and numbers: nothing that a script could take for an option.
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let good = |more: &String| !more.starts_with('-') && more.chars().all(plain);
    if request.more.len() > 4 || !request.more.iter().all(good) {
        return false;
    }
    let known = allowed.read().unwrap_or_else(PoisonError::into_inner);
    known
        .iter()
        .any(|script| script.command == request.command && script.user == request.user)
}

async fn execute(request: &Request) -> Ended {
    let Some((program, arguments)) = request.command.split_first() else {
        return Ended::NotAllowed;
    };
    let mut command = Command::new(program);
    command
        .args(arguments)
        .args(&request.more)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .process_group(0)
        .kill_on_drop(true);
    if let Some(name) = &request.user {
        match User::from_name(name) {
            Ok(Some(user)) => {
                command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
            }
            Ok(None) | Err(_) => {
                tracing::error!(user = name, program, "there is no such user");
                return Ended::NotStarted;
            }
        }
    }
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => {
            tracing::error!(program, "cannot start: {}", chain(&error));
            return Ended::NotStarted;
        }
    };
    let group = child.id().and_then(|id| i32::try_from(id).ok());
    let limit = Duration::from_millis(request.timeout).min(LONGEST);
    match timeout(limit, child.wait()).await {
        Ok(Ok(status)) => judged(status),
        Ok(Err(_)) => Ended::NotStarted,
        Err(_) => {
            if let Some(group) = group {
                // Its children too; that it has just ended by itself is no fault.
                let _ = killpg(Pid::from_raw(group), Kill::SIGKILL);
            }
            // Reaps it; killed, it does not wait.
            let _ = child.wait().await;
            Ended::Timeout
        }
    }
}

fn judged(status: ExitStatus) -> Ended {
    match (status.code(), status.signal()) {
        (Some(0), _) => Ended::Passed,
        (Some(_), _) => Ended::Failed,
        (None, Some(_) | None) => Ended::Killed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(socket: &Path, commands: &[&str]) -> Config {
        let tracks: Vec<_> = commands
            .iter()
            .map(|command| format!("{{script: {{command: {command}}}}}"))
            .collect();
        let text = format!(
            "apiVersion: sternpost/v1\nkind: VipDaemon\nscripts: {{socket: {}}}\n\
             routers:\n- {{name: api, interface: eth0, vrid: 51, \
             addresses: [10.55.0.100], track: [{}]}}\n",
            socket.display(),
            tracks.join(", ")
        );
        Config::parse("test", &text).unwrap()
    }

    #[tokio::test]
    async fn k4_runs_what_the_file_names_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("scripts.sock");
        let sleeper = r#"[/bin/sh, -c, "sleep 60 & sleep 60"]"#;
        let known = config(
            &socket,
            &["[/bin/true]", "[/bin/false]", "[/no/such]", sleeper],
        );
        let others = config(&socket, &["[/bin/true, --version]"]);
        let listener = listen(&socket).unwrap();
        let allowed: Allowed = Arc::new(RwLock::new(scripts_of(&known)));
        let serving = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                serve(stream, &allowed).await.unwrap();
            }
        });
        let mut all = scripts_of(&known);
        all.extend(scripts_of(&others));
        let mut ends = Vec::new();
        for script in &all {
            ends.push(ask(script, Duration::from_millis(500)).await);
        }
        serving.abort();
        let expected = [
            Ended::Passed,
            Ended::Failed,
            Ended::NotStarted,
            Ended::Timeout,
            Ended::NotAllowed,
        ];
        assert_eq!(ends, expected);
    }

    #[test]
    fn scripts_of_routers_and_of_sync_groups_are_allowed() {
        let text = "apiVersion: sternpost/v1\nkind: VipDaemon\nscripts: {}\nrouters:\n\
            - {name: a, interface: eth0, vrid: 1, addresses: [10.0.0.1], \
            notify: {any: [/a]}, track: [{script: {command: [/track]}}]}\n\
            - {name: b, interface: eth0, vrid: 2, addresses: [10.0.0.2]}\nsyncGroups:\n\
            - {name: both, routers: [a, b], notify: {master: [/group]}}\n";
        let config = Config::parse("test", text).unwrap();
        let scripts = scripts_of(&config);
        let programs: Vec<_> = scripts.iter().map(|it| it.command.join(" ")).collect();
        assert_eq!(programs, ["/track", "/a", "/group"]);
    }

    #[tokio::test]
    async fn without_the_unit_a_script_has_failed() {
        let known = config(Path::new("/no/such/socket"), &["[/bin/true]"]);
        let script = scripts_of(&known).remove(0);
        assert_eq!(ask(&script, Duration::from_secs(1)).await, Ended::NoUnit);
    }

    #[tokio::test(start_paused = true)]
    async fn who_connects_and_asks_for_nothing_keeps_no_place() {
        let (client, server) = UnixStream::pair().unwrap();
        let served = serve(server, &Allowed::default()).await;
        assert_eq!(served.unwrap_err().kind(), io::ErrorKind::TimedOut);
        drop(client);
    }
}
