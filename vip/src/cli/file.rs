//! The commands that work on files, and the processes of the daemon.

use std::ffi::OsString;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};

use daemon::terminal::{complain, fail, say};
use daemon::{chain, exit, log};

use super::on_runtime;
use crate::config::Config;
use crate::guard::Line;
use crate::ledger::Ledger;
use crate::linux::{Linux, remote};
use crate::upgrade::back::Back;
use crate::upgrade::closer;
use crate::{guard, import, privileges, run};

pub(super) fn daemon(path: &Path) -> u8 {
    let back = Back::taken();
    match run_or_say(path, &back) {
        Ok(()) => exit::DONE,
        Err((code, said)) => {
            back.go(&said);
            fail(code, &said)
        }
    }
}

/// Until a signal ends it; or the exit code, and what is said of it.
fn run_or_say(path: &Path, back: &Back) -> Result<(), (u8, String)> {
    let config =
        Config::read(path).map_err(|errors| (exit::USAGE, errors.to_string()))?;
    let log = log::init(&config.log);
    let log = log.map_err(|error| (exit::USAGE, format!("log: {error}")))?;
    let ended = on_runtime(run::run(path, config, log, back));
    let ended = ended.map_err(|error| (exit::FAILED, error.to_string()))?;
    ended.map_err(|error| (exit::FAILED, chain(&error)))
}

/// The guard, if that is what the arguments (the program's name aside) ask for. The parser
/// of the command line is most of what a guard would otherwise have in memory.
pub fn guard(mut arguments: impl Iterator<Item = OsString>) -> Option<u8> {
    let command = arguments.next()?;
    if command == closer::COMMAND {
        return Some(match closer::run() {
            Ok(()) => exit::DONE,
            Err(error) => fail(exit::FAILED, &format!("closer: {error}")),
        });
    }
    if command != guard::COMMAND {
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

pub(super) fn scripts(path: &Path) -> u8 {
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

pub(super) fn check(path: &Path) -> u8 {
    checked(path, |_| Ok(()))
}

/// Opens what every router needs, and lets go of it again; those that `wait` may lack what
/// comes by itself. Beside a daemon that `listens`, what it does not listen on, too.
pub(super) fn check_here(path: &Path, waits: &[String], listens: &[SocketAddr]) -> u8 {
    checked(path, |config| {
        listen_beside(config, listens)?;
        privileges::reduce()
            .map_err(|error| format!("cannot give up rights: {error}"))?;
        let line = Line::unguarded(Ledger::open(&config.socket, config.mark));
        let tried = on_runtime(async {
            config.routers.iter().try_for_each(|router| {
                match Linux::trial(router, &line) {
                    Err(error) if error.may_come() && waits.contains(&router.name) => {
                        complain(&format!("warning: {}", chain(&error)));
                        Ok(())
                    }
                    tried => tried.map_err(|error| chain(&error)),
                }
            })
        });
        tried.map_err(|error| error.to_string())?
    })
}

fn listen_beside(config: &Config, held: &[SocketAddr]) -> Result<(), String> {
    let refused = |key: &str, address: &SocketAddr, error: std::io::Error| {
        format!("{key}: cannot listen on {address}: {error}")
    };
    let free = |address: &SocketAddr| !held.is_empty() && !held.contains(address);
    let admin = &config.admin;
    if free(admin) {
        let bound = TcpListener::bind(admin);
        bound.map_err(|error| refused("admin.address", admin, error))?;
    }
    let channel = config.channel.as_ref().map(|channel| &channel.listen);
    if let Some(channel) = channel.filter(|address| free(address)) {
        let bound = UdpSocket::bind(channel);
        bound.map_err(|error| refused("channel.listen", channel, error))?;
    }
    Ok(())
}

fn checked(path: &Path, more: impl FnOnce(&Config) -> Result<(), String>) -> u8 {
    match Config::read(path) {
        Ok(config) => {
            config
                .warnings
                .iter()
                .for_each(|warning| complain(&format!("warning: {warning}")));
            let hasty = config
                .routers
                .iter()
                .filter(|router| router.needs_realtime());
            hasty.for_each(|router| {
                complain(&format!(
                    "note: router {}: adverts every {} are safe only with real-time \
                     scheduling; `vip-daemon status` says whether it was granted",
                    router.name, router.interval
                ));
            });
            far(&config).iter().for_each(|sentence| {
                complain(&format!("warning: {sentence}"));
            });
            if let Err(lacks) = more(&config) {
                return fail(exit::FAILED, &lacks);
            }
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

/// Addresses that lie in no network of this machine's interface; none where the kernel
/// cannot be asked.
fn far(config: &Config) -> Vec<String> {
    remote(&config.routers).unwrap_or_default()
}

pub(super) fn take_over(
    path: &Path,
    node: Option<&str>,
    peers: &[PathBuf],
    strict: bool,
) -> u8 {
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
    let far = read.as_ref().map(far).unwrap_or_default();
    for sentence in warnings.iter().chain(&far).chain(&refused) {
        complain(&format!("vip-daemon check: {sentence}"));
    }
    if refused.is_some() || (strict && imported.report.lacks()) {
        exit::FAILED
    } else {
        exit::DONE
    }
}
