//! Hosts that filter by ufw: what it keeps is named with the commands, `--fix` says them and
//! nothing else, a cluster works behind it, and `reset` takes back what was said.
//!
//! Leaves to `agent/mend.rs`: firewalld, which takes half a desktop of libraries.

use lab::rig::{self, Box, Rig};
use libtest_mimic::Failed;

use super::checks::holds;
use super::{leave, pods, whole};

const BOXES: [Box; 3] = [
    Box::new("m1", 11, "etcd, controlPlane, node"),
    Box::new("m2", 12, "controlPlane"),
    Box::new("n1", 21, "node"),
];
/// Those that filter; each has Pods that the other's are to reach.
const FILTERED: [&str; 2] = ["m1", "n1"];
/// What others have let in there.
const OTHERS: &str = "ufw allow 22/tcp";
/// The lab's own swap is not a machine's to turn off, and its kernel has what is loaded into it.
const LAB: &str = "printf 'Filename\\n' >/run/lab-swaps && \
    mount --bind /run/lab-swaps /proc/swaps && ln -s /bin/true /usr/sbin/modprobe";
/// What becomes of packets that no rule is for, and what ufw was told.
const RULES: &str = "iptables -S OUTPUT && iptables -S INPUT && ufw show added";

pub(crate) fn told() -> Result<(), Failed> {
    let rig = Rig::boot("installer-walls", &BOXES)?;
    rig.programs()?;
    rig.describe(&BOXES, &rig::settings()?)?;
    for one in &BOXES {
        rig.on(one.name, LAB)?;
    }
    for name in FILTERED {
        rig.filtered(name)?;
    }
    let before = leave::standing(&rig)?;
    let rules = rules(&rig)?;
    let run = rig.asked("preflight", &[])?.ended(1)?;
    for wanted in [
        "m1: blocks: its firewall lets no packets of Pods through",
        "n1: blocks: its firewall lets no packets of Pods through",
        "ufw route allow from 10.244.0.0/16",
        "ufw allow proto tcp from 10.79.0.21 to any port 6443",
        "ufw allow proto tcp from 10.79.0.11 to any port 10250",
        "ufw allow proto udp from 10.79.0.11 to any port 8472",
    ] {
        holds(&run.printed, wanted)?;
    }
    let fixed = rig.asked("preflight", &["--fix"])?;
    whole::passable(&rig, &[])
        .map_err(|odd| format!("{odd:?}, when this was done:\n{}", fixed.printed))?;
    rig.apply(&[])?.ended(0)?;
    pods::whole(&rig, &FILTERED, pods::THROUGH)?;
    for name in FILTERED {
        let said = rig.on(name, RULES)?;
        holds(&said, "-P INPUT DROP")?;
        holds(&said, OTHERS)?;
        holds(&said, "10.244.0.0/16")?;
    }
    leave::gone(&rig, &before)?;
    let after = self::rules(&rig)?;
    leave::differ(&rules, &after).map_err(|odd| format!("ufw: {odd}").into())
}

fn rules(rig: &Rig) -> Result<String, Failed> {
    let each = FILTERED.iter().map(|name| rig.on(name, RULES));
    Ok(each.collect::<Result<Vec<_>, _>>()?.concat())
}
