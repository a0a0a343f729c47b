//! The conversion of `track`.

use std::fs;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

use config::KeyPath;

use super::reader::Reader;
use super::target::url;
use super::{Effect, Initial, Notify, Router, Script, Sense, Target, Track, file};

/// What can be asked.
const KINDS: [&str; 9] = [
    "https",
    "http",
    "tcp",
    "script",
    "process",
    "file",
    "fileValue",
    "interface",
    "router",
];
const ABSOLUTE: &str = "is not an absolute path; begin it with /";
const INTERVAL: Duration = Duration::from_secs(1);
/// Below this, a busy machine looks like a dead endpoint.
const SHORTEST_DEFAULT_TIMEOUT: Duration = Duration::from_millis(100);
const MILLISECONDS_10: Duration = Duration::from_millis(10);

impl Reader<'_> {
    pub(super) fn tracks(
        &mut self,
        files: &[file::Track],
        at: &KeyPath,
    ) -> Option<Vec<Track>> {
        let read = files.iter().enumerate();
        let tracks: Vec<_> = read
            .map(|(position, file)| self.track(file, &at.index(position)))
            .collect();
        tracks.into_iter().collect()
    }

    fn track(&mut self, file: &file::Track, at: &KeyPath) -> Option<Track> {
        let target = self.target(file, at);
        let weight = self.number(file.weight, -254..=254, 0, &at.key("weight"));
        let minute = Duration::from_secs(60);
        let hour = Duration::from_secs(3600);
        let interval_at = at.key("interval");
        let interval = self.period(
            file.interval,
            INTERVAL,
            MILLISECONDS_10..=hour,
            &interval_at,
        );
        let default = interval
            .unwrap_or(INTERVAL)
            .clamp(SHORTEST_DEFAULT_TIMEOUT, minute);
        let timeout = self.period(
            file.timeout,
            default,
            MILLISECONDS_10..=minute,
            &at.key("timeout"),
        );
        let fall = self.number(file.fall, 1..=100, 2, &at.key("fall"));
        let rise = self.number(file.rise, 1..=100, 2, &at.key("rise"));
        let initial = self.initial(file.init.as_deref(), &at.key("init"));
        Some(Track {
            target: target?,
            effect: match weight? {
                0 => Effect::Fault,
                weight => Effect::Weight(weight),
            },
            interval: interval?,
            timeout: timeout?,
            fall: NonZeroU32::new(fall?)?,
            rise: NonZeroU32::new(rise?)?,
            sense: match file.reverse {
                false => Sense::AsIs,
                true => Sense::Reversed,
            },
            initial: initial?,
        })
    }

    fn target(&mut self, file: &file::Track, at: &KeyPath) -> Option<Target> {
        let one = self.source.one_of(at, &KINDS);
        self.errors.keep(one)?;
        if let Some(https) = &file.https {
            self.https(https, &at.key("https"))
        } else if let Some(http) = &file.http {
            let at = at.key("http").key("url");
            let (address, path) = self.try_at(&at, url("http", 80, &http.url))?;
            self.usable(Target::Http { address, path }, &at)
        } else if let Some(tcp) = &file.tcp {
            Some(Target::Tcp(tcp.address.0))
        } else {
            self.local(file, at)
        }
    }

    fn local(&mut self, file: &file::Track, at: &KeyPath) -> Option<Target> {
        if let Some(script) = &file.script {
            self.script(script, &at.key("script"))
        } else if let Some(process) = &file.process {
            let at = at.key("process").key("name");
            match process.name.as_str() {
                name if name.is_empty() || name.contains(['/', ' ']) => self.refuse(
                    &at,
                    "is not the name of a program; write it without path and arguments",
                ),
                name => Some(Target::Process(name.to_owned())),
            }
        } else if let Some(file) = &file.file {
            let path = self.absolute(&file.path, &at.key("file"))?;
            Some(Target::File(path))
        } else if let Some(value) = &file.file_value {
            let path = self.absolute(&value.path, &at.key("fileValue"))?;
            self.immediate(file, at);
            Some(Target::FileValue(path))
        } else if let Some(link) = &file.interface {
            let name = self.interface(&link.name, &at.key("interface").key("name"))?;
            Some(Target::Interface(name))
        } else {
            let router = file.router.as_ref()?;
            let name = self.name(&router.name, &at.key("router").key("name"))?;
            Some(Target::Router(name))
        }
    }

    fn absolute(&mut self, path: &Path, at: &KeyPath) -> Option<PathBuf> {
        match path.is_absolute() {
            true => Some(path.to_owned()),
            false => self.refuse(&at.key("path"), ABSOLUTE),
        }
    }

    /// A value is what it is: nothing is waited for and nothing is counted.
    fn immediate(&mut self, file: &file::Track, at: &KeyPath) {
        for (key, written) in [
            ("fall", file.fall.is_some()),
            ("rise", file.rise.is_some()),
            ("init", file.init.is_some()),
            ("timeout", file.timeout.is_some()),
        ] {
            if written {
                let problem = "has no meaning for fileValue, which counts at once; \
                               remove it";
                self.refuse::<()>(&at.key(key), problem);
            }
        }
    }

    fn script(&mut self, script: &file::Script, at: &KeyPath) -> Option<Target> {
        let command_at = at.key("command");
        let user = script.user.as_ref();
        let script = self.program(&script.command, user, at, &command_at);
        script.map(Target::Script)
    }

    /// A program that the scripts' unit is to run.
    fn program(
        &mut self,
        command: &[String],
        user: Option<&String>,
        at: &KeyPath,
        command_at: &KeyPath,
    ) -> Option<Script> {
        let Some(socket) = self.scripts.clone() else {
            return self.refuse(
                at,
                "needs the unit that runs scripts; write \"scripts: {}\" at the top level \
                 and enable vip-daemon-scripts.service",
            );
        };
        match command.first() {
            Some(program) if program.starts_with('/') => Some(Script {
                command: command.to_vec(),
                user: user.cloned(),
                socket,
            }),
            Some(_) => self.refuse(&command_at.index(0), ABSOLUTE),
            None => self.refuse(command_at, "is empty; write the program first"),
        }
    }

    pub(super) fn notify(&mut self, file: &file::Notify, at: &KeyPath) -> Option<Notify> {
        let user = file.user.as_ref();
        let mut program = |command: &Option<Vec<String>>, key| {
            let at = at.key(key);
            match command {
                None => Some(None),
                Some(command) => self.program(command, user, &at, &at).map(Some),
            }
        };
        Some(Notify {
            master: program(&file.master, "master")?,
            backup: program(&file.backup, "backup")?,
            fault: program(&file.fault, "fault")?,
            stop: program(&file.stop, "stop")?,
            any: program(&file.any, "any")?,
            priority_changes: file.priority_changes,
        })
    }

    fn initial(&mut self, init: Option<&str>, at: &KeyPath) -> Option<Initial> {
        match init {
            None | Some("failed") => Some(Initial::Failed),
            Some("passed") => Some(Initial::Passed),
            Some(_) => {
                self.refuse(at, "is no result of a check; allowed: failed, passed")
            }
        }
    }

    /// Routers that are tracked must be there, and be others.
    pub(super) fn related(&mut self, routers: &[Router], at: &KeyPath) {
        for (position, router) in routers.iter().enumerate() {
            let at = at.index(position).key("track");
            for (position, track) in router.tracks.iter().enumerate() {
                let Target::Router(name) = &track.target else {
                    continue;
                };
                let at = at.index(position).key("router").key("name");
                if *name == router.name {
                    self.refuse::<()>(&at, "is the router itself");
                } else if !routers.iter().any(|other| other.name == *name) {
                    self.refuse::<()>(&at, "is no router of this file");
                }
            }
        }
    }

    fn https(&mut self, https: &file::Https, at: &KeyPath) -> Option<Target> {
        let url_at = at.key("url");
        let (address, path) = self.try_at(&url_at, url("https", 443, &https.url))?;
        let ca_at = at.key("caFile");
        let authorities = match &https.ca_file {
            None => None,
            Some(path) => match fs::read(path) {
                Ok(pem) => Some(pem),
                Err(error) => {
                    return self.refuse(&ca_at, format!("cannot be read: {error}"));
                }
            },
        };
        if authorities.is_none() && !address.ip().is_loopback() {
            self.warn(&url_at, "is not verified; name a caFile");
        }
        let suspect = if authorities.is_some() {
            &ca_at
        } else {
            &url_at
        };
        let server_name = https.server_name.clone();
        self.usable(
            Target::Https {
                address,
                path,
                authorities,
                server_name,
            },
            suspect,
        )
    }

    fn usable(&mut self, target: Target, at: &KeyPath) -> Option<Target> {
        let check = target.endpoint();
        self.try_at(at, check)?;
        Some(target)
    }

    /// Weights that cannot do what they are for.
    pub(super) fn weigh(&mut self, file: &file::Router, tracks: &[Track], at: &KeyPath) {
        for (position, track) in tracks.iter().enumerate() {
            let at = at.index(position).key("weight");
            let weighs = matches!(track.effect, Effect::Weight(_));
            if weighs && file.priority == Some(255) {
                self.warn(&at, "changes nothing: priority 255 is fixed");
            } else if weighs && file.preempt == Some(false) {
                self.warn(
                    &at,
                    "moves nothing where peers have preempt: false; weight 0 does",
                );
            }
        }
    }
}
