//! Masters with their programs in network namespaces, and what befalls them.
//!
//! A program that is started again after a fault is the same value as before: same files, same
//! flags.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::binaries;
use crate::error::LabError;
use crate::fault::{self, Lost};
use crate::holders::{Event, What};
use crate::host::{Host, NamespaceHost};
use crate::process::{Process, Program};
use crate::segment::Segment;
use crate::starved::Waited;
use crate::timeline::Timeline;
use crate::wait;

pub use crate::strike::{Fault, Role, Struck, Target};

/// How long a program may take to say that it is ready. etcd waits for its peers.
const READY: Duration = Duration::from_secs(90);
/// How long a program may take to end after SIGTERM.
const STOPPED: Duration = Duration::from_secs(30);
/// How long the kernel's notice of a fault may be on its way to the record.
const NOTICED: Duration = Duration::from_secs(5);

/// One host of a group.
#[derive(Debug)]
pub struct Member {
    host: Arc<NamespaceHost>,
    programs: BTreeMap<Role, Program>,
    running: BTreeMap<Role, Process>,
}

/// The masters of a segment around one virtual address.
#[derive(Debug)]
pub struct Group {
    // Processes end before their hosts go: fields are dropped from the top.
    members: Vec<Member>,
    timeline: Arc<Timeline>,
    vip: Ipv4Addr,
    segment: Segment,
}

impl Group {
    /// A group of the hosts named in `masters`; nothing runs yet.
    ///
    /// # Errors
    /// When a host is missing or the address cannot be watched.
    pub fn new(
        segment: Segment,
        vip: Ipv4Addr,
        masters: &[&str],
    ) -> Result<Self, LabError> {
        let mut members = Vec::new();
        for name in masters {
            members.push(Member {
                host: segment.host(name)?.clone(),
                programs: BTreeMap::new(),
                running: BTreeMap::new(),
            });
        }
        let timeline = Arc::new(Timeline::watch(vip, segment.hosts())?);
        Ok(Self {
            members,
            timeline,
            vip,
            segment,
        })
    }

    /// Where it all stands.
    #[must_use]
    pub fn segment(&self) -> &Segment {
        &self.segment
    }

    /// Who holds the address.
    #[must_use]
    pub fn timeline(&self) -> &Arc<Timeline> {
        &self.timeline
    }

    /// The masters' hosts.
    #[must_use]
    pub fn hosts(&self) -> Vec<Arc<NamespaceHost>> {
        self.members.iter().map(|m| m.host.clone()).collect()
    }

    /// Gives a host a program, or another one for the same role.
    ///
    /// # Errors
    /// When there is no such host.
    pub fn assign(
        &mut self,
        host: &str,
        role: Role,
        program: Program,
    ) -> Result<(), LabError> {
        self.member(host)?.programs.insert(role, program);
        Ok(())
    }

    /// Starts one role on every host that has it, and waits until all are ready: members of
    /// one etcd wait for each other.
    ///
    /// # Errors
    /// When one does not become ready.
    pub fn start_all(&mut self, role: Role) -> Result<(), LabError> {
        for member in &mut self.members {
            if member.programs.contains_key(&role) {
                member.launch(role)?;
            }
        }
        let mut running = self
            .members
            .iter_mut()
            .filter_map(|m| m.running.get_mut(&role));
        running.try_for_each(|process| process.ready(READY))
    }

    /// Fails when a program that should run has ended by itself.
    ///
    /// # Errors
    /// The first such program.
    pub fn running(&mut self) -> Result<(), LabError> {
        let mut all = self.members.iter_mut().flat_map(|m| m.running.values_mut());
        all.try_for_each(Process::running)
    }

    /// What the programs of these roles have waited for cores, by host and role.
    #[must_use]
    pub fn waited(&self, roles: &[Role]) -> BTreeMap<(String, Role), Waited> {
        let mut all = BTreeMap::new();
        for member in &self.members {
            let running = member.running.iter();
            for (role, process) in running.filter(|(role, _)| roles.contains(role)) {
                let name = (member.host.name().to_owned(), *role);
                all.insert(name, Waited::of(process.pid()));
            }
        }
        all
    }

    /// Does it, and returns when it took effect.
    ///
    /// # Errors
    /// When it cannot be done.
    pub fn strike(&mut self, fault: &Fault) -> Result<Struck, LabError> {
        let mut begun = Instant::now();
        let mut by = self.perform(fault)?;
        if let Fault::DeleteAddress(host) = fault {
            begun = self.lost(host, begun)?;
            // The kernel's own notice: nothing of the lab's lies before it.
            by = begun;
        }
        Ok(fault.struck(begun, by))
    }

    /// Does all of it, and says when what is felt of it would have been done without the pauses
    /// that belong to it.
    fn perform(&mut self, fault: &Fault) -> Result<Instant, LabError> {
        match fault {
            Fault::Kill(at) => self.process(at)?.kill(),
            Fault::Stop(at) => self.stop(at)?,
            Fault::Restart(at) => {
                self.stop(at)?;
                self.start(at)?;
            }
            Fault::Start(at) => self.start(at)?,
            Fault::Pause(at) => self.process(at)?.pause(),
            Fault::Resume(at) => self.process(at)?.resume(),
            Fault::Reload(at) => self.process(at)?.signal(Signal::SIGHUP),
            Fault::Upgrade(at) => self.upgrade(at)?,
            Fault::KillHost(host) => return self.kill_host(host),
            Fault::StartHost(host) => self.start_host(host)?,
            Fault::Cut(host) => {
                self.segment.cut(host)?;
                self.timeline.reach(host, What::Cut);
            }
            Fault::Isolate(host) => {
                self.segment.isolate(host)?;
                self.timeline.reach(host, What::Cut);
            }
            Fault::Heal(host) => self.heal(host)?,
            Fault::Flap { host, away } => {
                self.segment.cut(host)?;
                wait::pass(away.0, || false);
                self.segment.heal(host)?;
                return Ok(Instant::now() - away.0);
            }
            Fault::Recreate { host, away } => {
                self.segment.recreate(host, away.0)?;
                return Ok(Instant::now() - away.0);
            }
            Fault::Meddle {
                host,
                first,
                then,
                pause,
            } => {
                let host = self.member(host)?.host.clone();
                let ip = |command: &String| {
                    let words: Vec<_> = command.split(' ').collect();
                    host.output("ip", &words).map(drop)
                };
                first.iter().try_for_each(ip)?;
                wait::pass(pause.0, || false);
                then.iter().try_for_each(ip)?;
                return Ok(Instant::now() - pause.0);
            }
            Fault::DeleteAddress(host) => {
                let vip = format!("{}/24", self.vip);
                self.member(host)?
                    .host
                    .output("ip", &["addr", "del", &vip, "dev", "eth0"])?;
            }
            Fault::Deafen { host, from } => {
                let from = self.segment.host(from)?.address();
                fault::deafen(self.segment.host(host)?, from, Lost::Vrrp)?;
            }
            Fault::Undeafen(host) => fault::undeafen(self.segment.host(host)?)?,
        }
        Ok(Instant::now())
    }

    fn upgrade(&mut self, at: &Target) -> Result<(), LabError> {
        let name = at.role.name();
        let program = binaries::own(name)?.display().to_string();
        let host = &self.member(&at.host)?.host;
        let socket = host.file(&format!("{name}.sock")).display().to_string();
        host.output(&program, &["upgrade", "--socket", &socket])
            .map(drop)
    }

    /// When the kernel took the address away: the command that asks for it takes longer to
    /// start than a daemon needs to put the address back.
    fn lost(&self, host: &str, asked: Instant) -> Result<Instant, LabError> {
        wait::until("the notice that the address is gone", NOTICED, || {
            let events = self.timeline.events();
            let gone = |e: &&Event| e.what == What::LetsGo && e.host == host;
            let new = events.iter().filter(|e| e.at >= asked);
            new.clone().find(gone).map(|e| e.at)
        })
    }

    fn kill_host(&mut self, host: &str) -> Result<Instant, LabError> {
        // First the cable: what a dying process would still say is not heard.
        self.segment.cut(host)?;
        let cut = Instant::now();
        self.timeline.reach(host, What::Cut);
        let vip = format!("{}/32", self.vip);
        let member = self.member(host)?;
        member.running.clear();
        member.host.kill_all();
        // Its kernel is dead too, and a namespace is not: whatever a daemon put there is
        // flushed, or the host would come back with an address it had.
        let flush = ["addr", "flush", "dev", "eth0", "to", &vip];
        member.host.output("ip", &flush)?;
        Ok(cut)
    }

    fn start_host(&mut self, host: &str) -> Result<(), LabError> {
        self.heal(host)?;
        let member = self.member(host)?;
        let roles: Vec<Role> = member.programs.keys().copied().collect();
        for role in roles {
            member.launch(role)?.ready(READY)?;
        }
        Ok(())
    }

    fn heal(&self, host: &str) -> Result<(), LabError> {
        self.segment.heal(host)?;
        self.timeline.reach(host, What::Healed);
        Ok(())
    }

    fn stop(&mut self, at: &Target) -> Result<(), LabError> {
        self.process(at)?.stop(STOPPED)?;
        self.member(&at.host)?.running.remove(&at.role);
        Ok(())
    }

    fn start(&mut self, at: &Target) -> Result<(), LabError> {
        self.member(&at.host)?.launch(at.role)?.ready(READY)
    }

    fn member(&mut self, host: &str) -> Result<&mut Member, LabError> {
        let found = self.members.iter_mut().find(|m| m.host.name() == host);
        found.ok_or_else(|| LabError::Missing(format!("no master is called {host:?}")))
    }

    fn process(&mut self, at: &Target) -> Result<&mut Process, LabError> {
        let found = self.member(&at.host)?.running.get_mut(&at.role);
        found.ok_or_else(|| LabError::Missing(format!("{at} does not run")))
    }
}

impl Member {
    fn launch(&mut self, role: Role) -> Result<&mut Process, LabError> {
        let name = || format!("no {} for {}", role.name(), self.host.name());
        let program = self
            .programs
            .get(&role)
            .ok_or_else(|| LabError::Missing(name()))?;
        // The one before gives its place (and the name of its notify socket) free.
        self.running.remove(&role);
        let process = self.host.start(program)?;
        Ok(self.running.entry(role).or_insert(process))
    }
}
