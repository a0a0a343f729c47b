//! What must be so after a run.

use std::collections::BTreeSet;
use std::time::Duration;

use lab::host::Host;
use lab::wait;
use libtest_mimic::Failed;
use serde_json::Value;

use lab::rig::{Box, Rig, Run, VIP};

/// From the end of a run until an address has answered.
pub(crate) const PATIENCE: Duration = Duration::from_secs(180);

pub(crate) fn holds(text: &str, wanted: &str) -> Result<(), Failed> {
    match text.contains(wanted) {
        true => Ok(()),
        false => Err(format!("no {wanted:?} in\n{text}").into()),
    }
}

/// The API answers every master through the virtual address, as its own components know it.
pub(crate) fn serving(rig: &Rig) -> Result<(), Failed> {
    let mut machines = rig.machines.iter();
    machines.try_for_each(|machine| answers(rig, machine.name()))
}

/// The API answers one of them through the virtual address.
pub(crate) fn answers(rig: &Rig, host: &str) -> Result<(), Failed> {
    answers_by(rig, host, &format!("{VIP}:6443"))
}

/// The API answers one of them at `server`.
pub(crate) fn answers_by(rig: &Rig, host: &str, server: &str) -> Result<(), Failed> {
    let ask = format!(
        "kubectl --kubeconfig=/etc/kubernetes/controller-manager.conf \
         --server=https://{server} get --raw=/readyz"
    );
    let mut last = String::new();
    let what = format!("the API at {server}, from {host}");
    let answered = wait::until(&what, PATIENCE, || match rig.on(host, &ask) {
        Ok(text) => (text.trim() == "ok").then_some(()),
        Err(error) => {
            last = format!("{error:?}");
            None
        }
    });
    answered.map_err(|error| format!("{error}: {last}").into())
}

/// One master has the virtual address, and no more than one.
pub(crate) fn one_holder(rig: &Rig) -> Result<(), Failed> {
    held(rig, &[format!("{VIP}/24")]).map(drop)
}

/// The one machine that has all of these addresses, where no other has one of them: the same
/// twice, since they are asked one after the other and an address may be on its way.
pub(crate) fn held(rig: &Rig, addresses: &[String]) -> Result<String, Failed> {
    let mut before = None;
    let found = wait::until("one holder, twice in a row", PATIENCE, || {
        let now = holder(rig, addresses).ok();
        let same = now.is_some() && now == before;
        before.clone_from(&now);
        now.filter(|_| same)
    });
    found.or_else(|_late| holder(rig, addresses))
}

fn holder(rig: &Rig, addresses: &[String]) -> Result<String, Failed> {
    let mut held = Vec::new();
    for machine in &rig.machines {
        let said = machine.output("ip", &["address", "show"])?;
        let here = addresses.iter().filter(|address| said.contains(*address));
        held.extend(here.map(|_| machine.name()));
    }
    match held.as_slice() {
        [first, rest @ ..]
            if rest.len() + 1 == addresses.len()
                && rest.iter().all(|one| one == first) =>
        {
            Ok((*first).to_owned())
        }
        held => Err(format!("{addresses:?} are at {held:?}").into()),
    }
}

/// A line that `verify` has printed of a host.
pub(crate) fn told(run: &Run, host: &str, check: &str, said: &str) -> Result<(), Failed> {
    let line = |line: &str| {
        let (of, rest) = line.split_once("  ").unwrap_or_default();
        of == host && rest.starts_with(check) && rest.contains(said)
    };
    match run.printed.lines().any(line) {
        true => Ok(()),
        false => Err(format!("{host}: no {check:?} {said:?} in\n{}", run.printed).into()),
    }
}

/// All masters have one authority, and nothing half-written lies about.
pub(crate) fn one_cluster(rig: &Rig) -> Result<(), Failed> {
    let mut sums = BTreeSet::new();
    for machine in &rig.machines {
        sums.insert(rig.on(machine.name(), "cat /etc/kubernetes/pki/ca.crt")?);
        let look = "find /etc /var/lib /opt /usr/local -name '.*.sternpost'";
        let half = rig.on(machine.name(), look)?;
        if !half.is_empty() {
            return Err(format!("half-written on {}: {half}", machine.name()).into());
        }
    }
    match sums.len() {
        1 => Ok(()),
        count => Err(format!("{count} authorities").into()),
    }
}

/// Nothing of a key is in what a run said.
pub(crate) fn no_secret(run: &Run) -> Result<(), Failed> {
    let all = format!("{}{}", run.printed, run.said);
    match all.contains("PRIVATE") || all.contains("secretbox") {
        true => Err("a key was printed".into()),
        false => Ok(()),
    }
}

/// Every host is as it is to be.
pub(crate) fn nothing_done(run: &Run, rig: &Rig) -> Result<(), Failed> {
    let mut machines = rig.machines.iter();
    machines.try_for_each(|machine| left_alone(run, machine.name()))
}

/// One of them is.
pub(crate) fn left_alone(run: &Run, host: &str) -> Result<(), Failed> {
    holds(&run.printed, &format!("{host}: 0 step(s) done"))
        .map_err(|_| format!("{}\n{}", run.said, run.printed).into())
}

/// The agent and what it was brought are gone from every host.
pub(crate) fn nothing_left(rig: &Rig) -> Result<(), Failed> {
    // Its name is written so that this very shell has another.
    let look = "ls /run /var/lib/sternpost | grep -e '^[s]ternpost-agent' -e '^[i]ncoming'; \
                pgrep -f '^/[^ ]*/[s]ternpost-agent'; true";
    for machine in &rig.machines {
        let mut left = String::new();
        let what = format!("the end of the agent on {}", machine.name());
        let gone = wait::until(&what, PATIENCE, || {
            left = rig.on(machine.name(), look).ok()?;
            left.trim().is_empty().then_some(())
        });
        gone.map_err(|error| format!("{error}: {left}"))?;
    }
    Ok(())
}

/// Each vip-daemon hears the others over their channel.
pub(crate) fn channel(rig: &Rig, masters: &[Box]) -> Result<(), Failed> {
    for master in masters {
        let mut last = String::new();
        let what = format!("the channel of {}", master.name);
        let heard = wait::until(&what, PATIENCE, || {
            last = rig.on(master.name, "vip-daemon status --json").ok()?;
            let status: Value = serde_json::from_str(&last).ok()?;
            let peers = status.pointer("/channel/peers")?.as_array()?.iter();
            let there =
                peers.filter(|peer| peer.get("there") == Some(&Value::Bool(true)));
            (there.count() == masters.len() - 1).then_some(())
        });
        heard.map_err(|error| format!("{error}: {last}"))?;
    }
    Ok(())
}
