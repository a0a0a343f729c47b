//! The drill of the documents: a component of the host that holds the address dies, and
//! another master looks whether the address answers. systemd starts what died again, whatever
//! becomes of the operator.

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::{Finding, Verdict};
use crate::agent::{Order, Question};
use crate::apply::Transport;
use crate::spec::{Balancer, Cluster, Role};
use crate::transport::asked;

/// What dies, one after the other: the address must outlast each.
const UNITS: [&str; 2] = ["kube-apiserver.service", "api-lb.service"];
/// How long the address is looked at, ms: systemd waits a second before it starts anything
/// again, and an API server needs some more.
const LOOK: u64 = 6000;
/// The first answers come from before.
const BEFORE: Duration = Duration::from_millis(500);
/// An address that is silent for longer has not been taken over as it is to be: a dead api-lb
/// is noticed by vip-daemon's track within two checks of 100 ms, and one look at the API may
/// itself take a second.
const SILENT: u64 = 3000;

/// What was seen of an address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Watched {
    /// How often it was asked.
    pub asked: u64,
    /// How often it answered.
    pub answered: u64,
    /// The longest time without an answer, ms.
    pub silent: u64,
}

/// Kills what there is to kill on `holder`, and tells what became of the address.
pub fn drill<T: Transport + Send>(
    cluster: &Cluster,
    holder: Option<&str>,
    ways: &mut BTreeMap<String, T>,
    told: &mut dyn FnMut(Finding),
) {
    let skipped = |why| Finding::new("-", "drill", Verdict::Skipped(why), Duration::ZERO);
    let (Balancer::Own(_), Some(holder)) = (&cluster.balancer, holder) else {
        return told(skipped("nobody of ours holds an address"));
    };
    let mut others = cluster.with(Role::ControlPlane);
    let other = others.find(|host| host.name != holder && ways.contains_key(&host.name));
    let Some(other) = other else {
        return told(skipped("no other control-plane host answers"));
    };
    for unit in UNITS {
        let begun = Instant::now();
        let verdict = died(cluster, ways, holder, &other.name, unit);
        let name = format!("drill: {unit} dies");
        told(Finding::new(
            holder,
            name,
            Verdict::of(verdict),
            begun.elapsed(),
        ));
    }
}

fn died<T: Transport + Send>(
    cluster: &Cluster,
    ways: &mut BTreeMap<String, T>,
    holder: &str,
    other: &str,
    unit: &str,
) -> Result<String, String> {
    let server = cluster.server();
    let gone = || format!("{holder} does not answer");
    let mut held = ways.remove(holder).ok_or_else(gone)?;
    let watch = Question::Watch {
        server: server.clone(),
        milliseconds: LOOK,
    };
    let (watched, done) = thread::scope(|scope| {
        let done = scope.spawn(|| {
            thread::park_timeout(BEFORE);
            let kill = Order::Kill(unit.to_owned());
            asked::done(&mut held, kill).map_err(|error| error.to_string())
        });
        let gone = || format!("{other} does not answer");
        let watched = ways
            .get_mut(other)
            .ok_or_else(gone)
            .and_then(|way| asked::told(way, watch).map_err(|error| error.to_string()));
        let died = |_| Err("its thread died".to_owned());
        (watched, done.join().unwrap_or_else(died))
    });
    ways.insert(holder.to_owned(), held);
    done?;
    let watched: Watched =
        serde_json::from_value(watched?).map_err(|error| error.to_string())?;
    judged(watched)
}

fn judged(watched: Watched) -> Result<String, String> {
    let Watched {
        asked,
        answered,
        silent,
    } = watched;
    let said = format!("{answered} of {asked} answers, {silent} ms at most without one");
    match answered > 0 && silent <= SILENT {
        true => Ok(said),
        false => Err(said),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_is_silent_for_long_is_bad() {
        let watched = |answered, silent| Watched {
            asked: 50,
            answered,
            silent,
        };
        assert!(judged(watched(49, SILENT)).is_ok());
        assert!(judged(watched(49, SILENT + 1)).is_err());
        assert!(judged(watched(0, 0)).is_err());
    }
}
