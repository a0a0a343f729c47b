//! A cluster for which nobody has applied for a year: its certificates have ended, and with the
//! next start of etcd it lies down. One `apply` has it serve again.
//!
//! Leaves to `hosts`: a part of the masters that is chosen alone.

use std::fmt::Write;
use std::time::{Duration, Instant};

use lab::rig::{MASTERS, Rig};
use lab::wait;
use libtest_mimic::Failed;
use sternpost::apply::PLACE;
use sternpost::spec;

use super::{BARE, checks, ended};

/// Within that each member has met the others.
const SOON: Duration = Duration::from_secs(30);
/// Says whether the member beside it has met one whose certificate has ended.
const MET: &str = "journalctl --unit=etcd.service --since=-30s | \
                   grep --quiet 'certificate has expired'";

#[expect(
    clippy::print_stdout,
    reason = "how long it took belongs to the result"
)]
pub(crate) fn comes_up() -> Result<(), Failed> {
    let rig = Rig::boot("installer-expired", &MASTERS)?;
    rig.programs()?;
    rig.describe(&MASTERS, BARE)?;
    rig.apply(&[])?.ended(0)?;
    checks::serving(&rig)?;
    let begun = Instant::now();
    have_ended(&rig)?;
    lie_down(&rig)?;
    let said = rig.asked("certs", &["check"])?.ended(1)?;
    checks::holds(&said.printed, "m1 by etcd-ca: it has ended")?;
    let run = rig.apply(&[])?.ended(0)?;
    checks::no_secret(&run)?;
    println!("serving again: {:.1?} of {:.1?}", run.took, begun.elapsed());
    rig.asked("certs", &["check"])?.ended(0)?;
    checks::serving(&rig)?;
    checks::one_cluster(&rig)?;
    let again = rig.apply(&[])?.ended(0)?;
    checks::nothing_done(&again, &rig)
}

/// Every certificate that a master was issued.
fn have_ended(rig: &Rig) -> Result<(), Failed> {
    let cluster = spec::read(&rig.folder.join("cluster.yaml"))?.cluster;
    let kept = rig.on("m1", &format!("cat {PLACE}"))?;
    for host in &cluster.hosts {
        let mut script = "set -e\n".to_owned();
        for (path, text) in ended::of(&cluster, host, &kept)? {
            writeln!(script, "cat >{path} <<'END'\n{text}\nEND")?;
        }
        rig.on(&host.name, &script)?;
    }
    Ok(())
}

/// Without a majority none of them comes up.
fn lie_down(rig: &Rig) -> Result<(), Failed> {
    for one in &MASTERS {
        rig.on(one.name, "systemctl restart --no-block etcd.service")?;
    }
    for one in &MASTERS {
        let what = format!("{} meets one that has ended", one.name);
        wait::until(&what, SOON, || rig.on(one.name, MET).ok())?;
        let state = "systemctl show --property=ActiveState --value etcd.service";
        checks::holds(&rig.on(one.name, state)?, "activating")?;
    }
    Ok(())
}
