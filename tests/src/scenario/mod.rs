//! A scenario: one claim, the hosts it is made about, the steps that test it. This is the file
//! as written; [`cycle`] is the doing.

mod expect;
mod judge;
mod record;
mod run;
mod words;

use serde::Deserialize;

use crate::group::{Fault, Role};
pub use judge::{Disturbance, Figures, Outcome};
pub use record::{Entry, Record};
pub use run::cycle;
pub use words::Time;

/// A file of `tests/scenarios`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// What is claimed, in a sentence with its numbers.
    pub claim: String,
    /// How often it is run, each time in a lab of its own.
    #[serde(default = "once")]
    pub cycles: u32,
    /// What the vip-daemons have in common.
    #[serde(default)]
    pub vip: Vip,
    /// The masters.
    pub node: Vec<Node>,
    /// What the client does.
    #[serde(default)]
    pub client: Client,
    /// What happens, in order.
    pub step: Vec<Step>,
    /// What holds from the first step to the last.
    #[serde(default)]
    pub always: Always,
}

/// What the vip-daemons have in common.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Vip {
    /// VRRP version.
    pub version: u8,
    /// Between two adverts.
    pub interval: String,
    /// Whether a higher priority takes the address back.
    pub preempt: bool,
    /// What a failing api-lb does to the priority; without it none is tracked.
    pub track_weight: Option<i32>,
}

impl Default for Vip {
    fn default() -> Self {
        Self {
            version: 3,
            interval: "100ms".into(),
            preempt: true,
            track_weight: None,
        }
    }
}

/// One master.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Node {
    /// Its host's name.
    pub name: String,
    /// The priority of its vip-daemon; without it none runs.
    pub priority: Option<u8>,
    /// What else runs on it: `apiserver`, `api-lb`.
    #[serde(default)]
    pub runs: Vec<Role>,
    /// The address is put on it by hand.
    #[serde(default)]
    pub holds: bool,
}

/// What the client does, beside probing.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Client {
    /// A request every 10 ms, each on a new connection.
    #[serde(default)]
    pub requests: bool,
    /// So many long-lived connections.
    #[serde(default)]
    pub watchers: usize,
}

/// One step: wait, strike, expect.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// First let this time pass.
    pub after: Option<Time>,
    /// Then do this.
    pub fault: Option<Fault>,
    /// What is expected may take this long, from the last fault on; at once without it.
    pub within: Option<Time>,
    /// What is expected.
    #[serde(default)]
    pub expect: Expect,
}

/// What a step expects. Counts and outages are since the last fault.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// The one host that holds the address.
    pub holder: Option<String>,
    /// Who does not hold it, whoever else may.
    pub without: Option<String>,
    /// Gratuitous ARPs for the address.
    pub gratuitous_arp: Option<AtLeast>,
    /// Adverts with priority 0.
    pub released: Option<AtLeast>,
    /// The longest time without an answered probe.
    pub outage_at_most: Option<Time>,
    /// How often the address left a host since the last fault, at most.
    pub moves_at_most: Option<usize>,
    /// Requests opened after the fault and not answered.
    pub failed_at_most: Option<usize>,
    /// Requests that took more than 300 ms.
    pub slow_at_most: Option<usize>,
    /// Long-lived connections that were cut.
    pub cuts_at_most: Option<usize>,
    /// Long-lived connections that are open.
    pub watchers: Option<usize>,
    /// The last request to end was answered.
    #[serde(default)]
    pub answered: bool,
    /// So many requests were answered.
    pub answers_at_least: Option<usize>,
}

/// So many frames from one host.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AtLeast {
    /// The host that sends them.
    pub from: String,
    /// How many.
    pub at_least: usize,
}

/// What holds throughout.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Always {
    /// The longest time with two holders.
    pub overlap_at_most: Option<Time>,
    /// Failed requests in all.
    pub failed_at_most: Option<usize>,
}

/// Reads a scenario; an error names the line.
///
/// # Errors
/// The text of the error, with line, key and value.
pub fn parse(text: &str) -> Result<Scenario, String> {
    toml::from_str(text).map_err(|error| error.to_string())
}

const fn once() -> u32 {
    1
}

impl Scenario {
    fn has(&self, role: Role) -> bool {
        self.node.iter().any(|node| node.has(role))
    }
}

impl Node {
    fn has(&self, role: Role) -> bool {
        self.runs.contains(&role) || (role == Role::VipDaemon && self.priority.is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::group::Target;

    const GOOD: &str = r#"
        claim = "When the active node dies, another holds the address."
        [[node]]
        name = "a"
        priority = 200
        [[step]]
        fault.kill_host = "a"
        [[step]]
        within = "3.7s"
        expect.holder = "b"
        expect.gratuitous_arp = { from = "b", at_least = 2 }
        [[step]]
        fault.kill = "a/vip-daemon"
        [always]
        overlap_at_most = "10ms"
    "#;

    #[test]
    fn a_scenario_reads_as_it_is_written() {
        let scenario = parse(GOOD).unwrap();
        let [first, second, third] = scenario.step.as_slice() else {
            panic!("steps")
        };
        assert_eq!(first.fault, Some(Fault::KillHost("a".into())));
        assert_eq!(second.within.unwrap().0.as_millis(), 3700);
        let target = Target {
            host: "a".into(),
            role: Role::VipDaemon,
        };
        assert_eq!(third.fault, Some(Fault::Kill(target)));
    }

    #[test]
    fn an_error_names_its_line() {
        for (from, to, said) in [
            ("priority", "prioritty", "unknown field `prioritty`"),
            ("kill_host", "kill_hose", "kill_hose"),
            ("a/vip-daemon", "a/vipdaemon", "is none of etcd, apiserver"),
            ("3.7s", "3.7", "3.7"),
        ] {
            let error = parse(&GOOD.replace(from, to)).unwrap_err();
            assert!(error.contains("line "), "{error}");
            assert!(error.contains(said), "{error}");
        }
    }
}
