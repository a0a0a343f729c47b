//! `status --watch`: a picture every two seconds, of what is so then, until Ctrl-C.

use std::fs;
use std::io::{BufRead, BufReader};
use std::time::Duration;

use lab::wait;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::Tried;
use super::hosts::{HOSTS, Hosts};

/// How every picture begins.
const HEAD: &str = "HOST  UNITS";
/// What changes meanwhile, and what is said of it.
const UNIT: &str = "run/units/kube-scheduler.service.active";
const TROUBLE: &str = "m2: kube-scheduler.service: inactive";
/// More pictures than it takes to see a change.
const PICTURES: usize = 8;

/// Looks at pictures until one, whole, is as it is to be.
fn seen(
    lines: &mut impl Iterator<Item = std::io::Result<String>>,
    wanted: impl Fn(&str) -> bool,
) -> Tried {
    let (mut text, mut pictures) = (String::new(), 0);
    for line in lines {
        let line = line?;
        if line.starts_with(HEAD) {
            if pictures > 0 && wanted(&text) {
                return Ok(());
            }
            pictures += 1;
            text.clear();
        }
        if pictures > PICTURES {
            break;
        }
        text.push_str(&line);
        text.push('\n');
    }
    Err(format!("not in {pictures} pictures; the last:\n{text}").into())
}

pub(super) fn until_interrupted() -> Tried {
    let hosts = Hosts::new()?;
    hosts.run(&["apply"])?.ended(0)?;
    let mut watch = hosts.begin(&["status", "--watch"])?;
    let pid = Pid::from_raw(i32::try_from(watch.id())?);
    let pipe = watch.stdout.take().ok_or("no pipe")?;
    let mut lines = BufReader::new(pipe).lines();
    let unit = hosts.root(HOSTS[1].1).join(UNIT);
    let mut looked = || -> Tried {
        seen(&mut lines, |text| !text.contains(TROUBLE))?;
        fs::remove_file(&unit)?;
        seen(&mut lines, |text| text.contains(TROUBLE))?;
        fs::write(&unit, "")?;
        seen(&mut lines, |text| !text.contains(TROUBLE))
    };
    let looked = looked();
    let told = kill(pid, Signal::SIGINT);
    let ended = watch.wait()?;
    looked?;
    told?;
    if ended.success() {
        return Err(format!("it ended by itself: {ended}").into());
    }
    let left = || {
        let of =
            |(_, address): (&str, &str)| fs::read_dir(hosts.root(address).join("run"));
        let all = HOSTS.into_iter().flat_map(of).flatten().flatten();
        let mut names = all.map(|entry| entry.file_name().to_string_lossy().into_owned());
        names.find(|name| name.starts_with("sternpost-agent"))
    };
    let gone = || left().is_none().then_some(());
    wait::until("no agent is left", Duration::from_secs(10), gone)?;
    Ok(())
}
