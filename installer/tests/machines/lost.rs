//! A master that has lost what etcd had there: what etcd says leads to the manual, whose commands
//! bring it back; and that etcd's own word counts for who its members are.

use libtest_mimic::Failed;

use super::{BARE, checks};
use lab::rig::{Box, MASTERS, Rig};

const MANUAL: &str = include_str!("../../../docs/troubleshooting.md");
const SECTION: &str = "## A master that has lost its data";
/// What `ID` stands for.
const ID: &str = "$(etcdctl member list | grep ', m3,' | cut -d, -f1)";

/// The commands of that section: those for a master that serves, and those for the one that has
/// lost it.
fn commands() -> Result<[String; 2], Failed> {
    let (_, section) = MANUAL.split_once(SECTION).ok_or("no such section")?;
    let section = section.split("\n## ").next().unwrap_or(section);
    let mut blocks = section.split("```sh\n").skip(1);
    let mut next = || -> Result<String, Failed> {
        let block = blocks.next().and_then(|block| block.split("```").next());
        Ok(block.ok_or("no such commands")?.to_owned())
    };
    Ok([next()?, next()?])
}

pub(super) fn brought_back(rig: &Rig) -> Result<(), Failed> {
    let last: &Box = MASTERS.last().ok_or("no m3")?;
    let [serves, lost] = commands()?;
    rig.on("m3", &lost)?;
    let run = rig.apply(&[])?.ended(1)?;
    checks::holds(&run.printed, "m3: FAILED: ")?;
    checks::holds(&run.printed, "A master that has lost its data")?;
    let address = last.address().to_string();
    let serves = serves.replace("remove ID", &format!("remove {ID}"));
    let serves = serves.replace("NAME", "m3").replace("ADDRESS", &address);
    rig.on("m1", &format!("set -e\n{serves}"))?;
    // Nothing of that is the description's.
    rig.describe(MASTERS.get(..1).ok_or("no m1")?, BARE)?;
    let run = rig.apply(&[])?.ended(1)?;
    checks::holds(&run.printed, "not begun: the members of etcd are not those")?;
    checks::holds(
        &run.printed,
        &format!("(not started)=https://{address}:2380"),
    )?;
    rig.on("m3", &lost)?;
    let existing = "flags: {etcd: {initial-cluster-state: existing}}\n";
    rig.describe(&MASTERS, &format!("{BARE}{existing}"))?;
    rig.apply(&["--host", "m3"])?.ended(0)?;
    rig.describe(&MASTERS, BARE)?;
    rig.apply(&[])?.ended(0)?;
    let verified = rig.asked("verify", &["--no-pods"])?.ended(0)?;
    checks::holds(&verified.printed, "good: all of one cluster")
}
