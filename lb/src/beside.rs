//! The address that clients use, as the vip-daemon on this host says who has it.
//!
//! One task of control's runtime asks that daemon's admin address, which gives no orders, and
//! ends with the runtime. Nothing in api-lb depends on the answer: it is only shown.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use daemon::client;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

/// As often as the status page asks us.
const EVERY: Duration = Duration::from_secs(2);
/// Of a host with more, the first are shown.
const ROUTERS: usize = 64;

/// What `/status` of vip-daemon says, as far as it is shown here.
#[derive(Clone, Debug, Deserialize)]
struct Answer {
    routers: Vec<Router>,
}

/// One group of addresses that move together.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Router {
    name: String,
    addresses: Vec<String>,
    state: String,
    since: String,
    holding: bool,
    heard: Option<Heard>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct Heard {
    from: IpAddr,
}

/// Who has the addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    /// This host.
    Here,
    /// The host that advertises from there.
    At(IpAddr),
    /// Not known: the router is in fault, or has heard nobody yet.
    Unknown,
}

impl Router {
    fn owner(&self) -> Owner {
        match (self.state.as_str(), self.holding, &self.heard) {
            ("active", true, _) => Owner::Here,
            ("backup", _, Some(heard)) => Owner::At(heard.from),
            // States of another version of the daemon too.
            (_, _, _) => Owner::Unknown,
        }
    }

    /// For `/status`.
    #[must_use]
    pub fn json(&self) -> Value {
        let owner = match self.owner() {
            Owner::Here => json!("here"),
            Owner::At(host) => json!(host),
            Owner::Unknown => Value::Null,
        };
        json!({
            "name": self.name,
            "addresses": self.addresses,
            "state": self.state,
            "since": self.since,
            "owner": owner,
        })
    }
}

/// Asks again and again. `None` while nobody answers, which is no fault: the address may be
/// somebody else's business.
pub async fn ask(at: SocketAddr, seen: watch::Sender<Option<Vec<Router>>>) {
    let mut looks = interval(EVERY);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        looks.tick().await;
        let routers = match client::read(at, "/status").await {
            Ok(status) => routers(status),
            Err(error) => {
                tracing::debug!(%error, "no vip-daemon is shown");
                None
            }
        };
        seen.send_replace(routers);
    }
}

fn routers(status: Value) -> Option<Vec<Router>> {
    match serde_json::from_value::<Answer>(status) {
        Ok(mut answer) => {
            answer.routers.truncate(ROUTERS);
            Some(answer.routers)
        }
        Err(error) => {
            tracing::debug!(%error, "what answers there is no vip-daemon");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(state: &str, holding: bool, heard: Value) -> Value {
        let router = json!({
            "name": "api", "addresses": ["10.0.0.100/24"], "state": state, "more": 1,
            "since": "1970-01-01T00:00:00Z", "holding": holding, "heard": heard,
        });
        let seen = routers(json!({ "routers": [router], "version": "9" }));
        seen.map_or(json!("nobody"), |all| all[0].json()["owner"].clone())
    }

    #[test]
    fn the_owner_is_here_or_the_one_who_advertises_or_not_known() {
        let peer = || json!({"from": "10.0.0.12", "priority": 100});
        for (state, holding, heard, expected) in [
            ("active", true, Value::Null, json!("here")),
            ("active", true, peer(), json!("here")),
            ("active", false, peer(), Value::Null),
            ("backup", false, peer(), json!("10.0.0.12")),
            // What the last run has left, until somebody is heard.
            ("backup", true, Value::Null, Value::Null),
            ("fault", false, peer(), Value::Null),
        ] {
            assert_eq!(owner(state, holding, heard), expected, "{state} {holding}");
        }
    }

    #[test]
    fn what_is_no_vip_daemon_is_nobody() {
        for status in [json!({}), json!([]), json!({"routers": [{"name": 1}]})] {
            assert_eq!(routers(status), None);
        }
        let many = vec![
            json!({"name": "a", "addresses": [], "state": "backup",
                "since": "", "holding": false, "heard": null});
            ROUTERS + 1
        ];
        let seen = routers(json!({ "routers": many })).unwrap();
        assert_eq!(seen.len(), ROUTERS);
    }
}
