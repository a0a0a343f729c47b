//! `vip-daemon upgrade`: the program is replaced in place, by exec(2), without an election.
//!
//! The process keeps its pid and its rights; the addresses stay on the interface, carried
//! by their kernel lifetime. The new program is told through an environment variable which
//! routers were Active, and makes them so at once: its first advert follows the last one of
//! the old program within some ten milliseconds, far inside the peers' down interval.
//!
//! Before anything is given up, the new program has to read the configuration, and to open
//! what its routers need beside those that run: one that does not run, refuses the file, or
//! cannot start a router, leaves the old one running. One that does not come up all the same
//! goes back to it ([`back`]).

pub mod back;
pub mod closer;

use std::collections::BTreeMap;
use std::env;
use std::ffi::{OsStr, OsString};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use daemon::notify;
use daemon::upgrade::UpgradeError;
use rustix::process::{Pid, WaitOptions, waitpid};
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};
use tokio::time::sleep;
use vrrp::State;

use crate::fleet::Fleet;
use crate::linux::LIFETIME;
use crate::notify::Subject;
use closer::Closer;

/// Where the new program finds what was.
const VARIABLE: &str = "VIP_DAEMON_RESUME";

/// How long the new program may take to read the configuration and try its routers.
const CHECK: Duration = Duration::from_secs(10);

/// What the new program goes on with.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Resume {
    routers: BTreeMap<String, Was>,
    /// How the sync groups stood, by name.
    #[serde(default)]
    groups: BTreeMap<String, String>,
    /// The guard of the program before, a child of this process.
    guard: Option<u32>,
    /// The guards of programs that did not come up, children as well, and whoever closes the
    /// sockets of the program before.
    #[serde(default)]
    guards: Vec<u32>,
    /// When it stood so, since the machine was booted, time asleep included; unknown of a
    /// version that does not say.
    #[serde(default)]
    at: Option<Duration>,
    /// How the program before was called, name included; it is standard input. None, where
    /// there is no way back.
    #[serde(default)]
    arguments: Vec<String>,
}

/// How a router stood.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Was {
    /// It held its addresses.
    pub active: bool,
    /// It was told to stay out.
    pub released: bool,
    /// What it advertised with.
    pub priority: u8,
    /// The state that others were told of, by name.
    #[serde(default)]
    pub state: String,
    /// Why its own checks, or a person, kept it out, by name.
    #[serde(default)]
    pub out: Option<String>,
    /// What its checks had come to.
    #[serde(default)]
    pub checks: Vec<Found>,
}

/// What a check had come to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Found {
    /// What was asked, as `status` names it.
    pub check: String,
    /// Whether it counted as passed.
    pub passed: bool,
}

impl Resume {
    /// What the program before left, if this one follows another. What cannot be read is
    /// as if there were nothing: then there is an election.
    #[must_use]
    pub fn taken() -> Self {
        let text = env::var(VARIABLE).unwrap_or_default();
        let resume: Self = serde_json::from_str(&text).unwrap_or_default();
        let resume = resume.at(since_boot());
        for guard in resume.guard.iter().chain(&resume.guards) {
            tokio::spawn(reap(*guard));
        }
        resume
    }

    /// What of it is true at `now`: addresses whose lifetime is over may be another's, and are
    /// taken in an election or not at all.
    fn at(mut self, now: Duration) -> Self {
        let lifetime = Duration::from_secs(LIFETIME.into());
        if self.at.is_some_and(|at| now > at + lifetime) {
            for was in self.routers.values_mut() {
                was.active = false;
            }
        }
        self
    }

    /// How this router stood.
    #[must_use]
    pub fn of(&self, router: &str) -> Option<&Was> {
        self.routers.get(router)
    }

    /// Where everybody stood, as far as this program knows the names.
    pub fn states(&self) -> BTreeMap<Subject, State> {
        let routers = self.routers.iter();
        let routers =
            routers.map(|(name, was)| (Subject::Router(name.clone()), &was.state));
        let groups = self.groups.iter();
        let groups = groups.map(|(name, state)| (Subject::Group(name.clone()), state));
        let known = |state: &str| State::ALL.into_iter().find(|it| it.name() == state);
        let all = routers.chain(groups);
        all.filter_map(|(subject, state)| Some((subject, known(state)?)))
            .collect()
    }

    fn now(fleet: &Fleet) -> Self {
        let was = fleet.members().into_iter().map(|member| {
            let record = member.record.borrow();
            let own = member.tracker.standing();
            let was = Was {
                active: record.state == State::Active,
                released: member.tracker.released(),
                priority: own.priority.get(),
                state: record.told.state.name().to_owned(),
                out: own.out.map(|out| out.name().to_owned()),
                checks: member.tracker.found(&member.router),
            };
            (member.router.name.clone(), was)
        });
        let groups = fleet.groups().into_iter();
        let groups = groups.map(|(name, book)| (name, book.state().name().to_owned()));
        Self {
            routers: was.collect(),
            groups: groups.collect(),
            guard: fleet.guard().pid,
            guards: Vec::new(),
            at: Some(since_boot()),
            arguments: env::args_os()
                .map(OsString::into_string)
                .collect::<Result<_, _>>()
                .unwrap_or_default(),
        }
    }
}

fn since_boot() -> Duration {
    // The kernel counts both from 0 upwards.
    clock_gettime(ClockId::Boottime)
        .try_into()
        .unwrap_or_default()
}

/// The guard of the program before ends when its socket is closed and nothing is left to
/// remove, within a lifetime; it is ours to bury.
async fn reap(guard: u32) {
    const LOOK: Duration = Duration::from_millis(250);
    let Some(pid) = i32::try_from(guard).ok().and_then(Pid::from_raw) else {
        return;
    };
    while let Ok(None) = waitpid(Some(pid), WaitOptions::NOHANG) {
        sleep(LOOK).await;
    }
}

/// Replaces the program that runs, and `listens` there, by the one that lies where it was
/// started from. Returns only when that failed.
pub async fn upgrade(
    fleet: &Fleet,
    config: &Path,
    listens: &[SocketAddr],
) -> UpgradeError {
    let program = match daemon::upgrade::program() {
        Ok(program) => program,
        Err(error) => return error,
    };
    let waits = fleet.members().into_iter().filter(|member| member.lacks());
    let waits: Vec<_> = waits.map(|member| member.router.name.clone()).collect();
    if let Err(error) = check(&program, config, &waits, listens).await {
        return error;
    }
    let mut command = Command::new(&program);
    command.args(env::args_os().skip(1));
    if let Err(error) = back::forward(&mut command) {
        return UpgradeError::Where(error);
    }
    let closer = Closer::start();
    let mut resume = Resume::now(fleet);
    match &closer {
        Ok(closer) => resume.guards.push(closer.pid),
        Err(error) => tracing::warn!("the upgrade waits for its sockets: {error}"),
    }
    command.env(VARIABLE, serde_json::to_string(&resume).unwrap_or_default());
    tracing::info!(program = %program.display(), "upgrading in place");
    notify::reloading();
    let error = command.exec();
    notify::ready();
    if let Ok(closer) = closer {
        tokio::spawn(reap(closer.pid));
    }
    UpgradeError::Run(program, error)
}

/// The new program reads the file, listens where the old one does not, and opens what its
/// routers need. Of those that wait for their interface in the old one (`waits`) it may be
/// missing; of others its name is wrong, in a file that nobody has loaded yet.
async fn check(
    program: &Path,
    config: &Path,
    waits: &[String],
    listens: &[SocketAddr],
) -> Result<(), UpgradeError> {
    let mut arguments: Vec<&OsStr> =
        ["check", "--here", "--config"].map(AsRef::as_ref).to_vec();
    arguments.push(config.as_os_str());
    for router in waits {
        arguments.extend(["--waits", router].map(OsStr::new));
    }
    let listens: Vec<_> = listens.iter().map(ToString::to_string).collect();
    for address in &listens {
        arguments.extend(["--listens", address].map(OsStr::new));
    }
    let said = daemon::upgrade::trial(program, &arguments, Stdio::null(), CHECK).await;
    said.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_is_read_as_it_was_written() {
        let was = Was {
            active: true,
            released: false,
            priority: 80,
            state: "active".to_owned(),
            out: None,
            checks: vec![Found {
                check: "tcp 10.0.0.1:1".to_owned(),
                passed: false,
            }],
        };
        let resume = Resume {
            routers: BTreeMap::from([("api".to_owned(), was.clone())]),
            groups: BTreeMap::from([("gateway".to_owned(), "backup".to_owned())]),
            guard: Some(7),
            guards: vec![8],
            at: Some(Duration::from_millis(90_000)),
            arguments: vec!["vip-daemon".to_owned(), "run".to_owned()],
        };
        let text = serde_json::to_string(&resume).unwrap();
        let read: Resume = serde_json::from_str(&text).unwrap();
        assert_eq!(read, resume);
        assert_eq!((read.of("api"), read.of("web")), (Some(&was), None));
        let states = [
            (Subject::Router("api".to_owned()), State::Active),
            (Subject::Group("gateway".to_owned()), State::Backup),
        ];
        assert_eq!(read.states(), BTreeMap::from(states));
        // Until the lifetime of its addresses is over.
        let later = |millis| read.clone().at(Duration::from_millis(millis));
        assert!(later(91_000).of("api").is_some_and(|was| was.active));
        assert!(later(91_001).of("api").is_some_and(|was| !was.active));
        // As a version before this one wrote it.
        let older = r#"{"routers": {"api": {"active": true, "released": false, "priority": 80}},
            "guard": null}"#;
        let read: Resume = serde_json::from_str(older).unwrap();
        assert!(read.of("api").is_some_and(|was| was.active));
        assert!(read.states().is_empty());
    }

    #[tokio::test]
    async fn a_program_that_does_not_do_leaves_the_old_one() {
        let config = Path::new("/no/such/file.yaml");
        let error = check(Path::new("/no/such/program"), config, &[], &[]).await;
        assert!(matches!(error, Err(UpgradeError::Run(..))));
        let error = check(Path::new("/bin/false"), config, &[], &[]).await;
        assert!(matches!(error, Err(UpgradeError::Refuses { .. })));
    }
}
