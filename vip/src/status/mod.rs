//! What is seen from outside: `/status`, `/metrics`, `/livez`, `/readyz`, and the
//! command `release`. Reads the [`Fleet`] and decides nothing.

mod json;
mod metrics;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use daemon::admin::{CommandError, Surface};
use daemon::chain;
use daemon::metrics::Text;
use futures_util::future::BoxFuture;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::{Instant, timeout};
use vrrp::State;

use crate::explain::{explain, hasty};
use crate::fleet::{Fleet, Member};
use crate::flight::dump;
use crate::hand;
use crate::track::Out;
use crate::upgrade::upgrade;

/// How long `events` waits for the next one; then it is asked again.
const EVENTS: Duration = Duration::from_secs(5);

/// How long `release` waits for the address to be gone. It takes milliseconds.
const RELEASE: Duration = Duration::from_secs(1);

/// The daemon as its admin server sees it.
pub struct Status {
    /// What runs.
    pub fleet: Arc<Fleet>,
    /// The configuration file, for an upgrade.
    pub config: PathBuf,
    /// Where the daemon listens, for an upgrade.
    pub listens: Vec<SocketAddr>,
}

/// The body of `POST /release`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
struct Release {
    /// Which router; all of them when absent.
    router: Option<String>,
    /// Take part again instead.
    resume: bool,
}

impl Surface for Status {
    fn alive(&self) -> bool {
        self.fleet.is_alive()
    }

    fn ready(&self) -> Result<(), String> {
        for member in self.fleet.members() {
            let state = member.record.borrow().state;
            match state {
                State::Backup | State::Active => {}
                State::Initialize | State::Fault => {
                    return Err(format!("router {} is in {state}", member.router.name));
                }
            }
        }
        Ok(())
    }

    fn metrics(&self, out: &mut Text) {
        metrics::write(&self.fleet, out);
    }

    fn status(&self) -> Value {
        json::whole(&self.fleet)
    }

    fn commands(&self) -> &'static [&'static str] {
        &["events", "explain", "flight", "release", "upgrade", "yield"]
    }

    fn command(
        &self,
        name: &str,
        body: Value,
    ) -> BoxFuture<'_, Result<Value, CommandError>> {
        match name {
            "events" => {
                let after = body.get("after").and_then(Value::as_u64).unwrap_or(0);
                Box::pin(async move {
                    let events = self.fleet.teller().events().after(after, EVENTS).await;
                    Ok(json!({ "events": events }))
                })
            }
            "explain" => {
                let told = asked(&self.fleet, &body).map(|members| {
                    let now = Instant::now();
                    let told = members.iter().map(|member| {
                        let record = member.record.borrow().clone();
                        let tracks = member.tracker.seen();
                        let mut sentences =
                            explain(&member.router, &record, &tracks, now);
                        sentences.extend(self.fleet.realtime().as_ref().err().and_then(
                            |refused| hasty(&member.router, &refused.to_string()),
                        ));
                        json!({ "name": member.router.name, "sentences": sentences })
                    });
                    json!({ "routers": told.collect::<Vec<_>>() })
                });
                Box::pin(std::future::ready(told))
            }
            "flight" => {
                let dumped = asked(&self.fleet, &body).map(|members| {
                    let dumped = members.iter().map(|member| {
                        let entries = dump::lines(member.tracker.flight());
                        json!({ "name": member.router.name, "entries": entries })
                    });
                    json!({ "routers": dumped.collect::<Vec<_>>() })
                });
                Box::pin(std::future::ready(dumped))
            }
            "upgrade" => Box::pin(async move {
                let error = upgrade(&self.fleet, &self.config, &self.listens).await;
                let error = CommandError::Failed(chain(&error));
                tracing::error!("{error}");
                Err(error)
            }),
            "yield" => Box::pin(hand::over(&self.fleet, body)),
            _ => Box::pin(self.release(body)),
        }
    }
}

impl Status {
    async fn release(&self, body: Value) -> Result<Value, CommandError> {
        let body = if body.is_null() { json!({}) } else { body };
        let asked: Release = serde_json::from_value(body)
            .map_err(|error| CommandError::Invalid(error.to_string()))?;
        let mut members = self.fleet.members();
        if let Some(name) = &asked.router {
            members.retain(|member| member.router.name == *name);
            if members.is_empty() {
                return Err(CommandError::NotFound(format!("there is no router {name}")));
            }
        }
        let mut answers = Vec::new();
        for member in members {
            member.tracker.release(!asked.resume);
            let mut record = member.record.clone();
            let followed = record.wait_for(|record| {
                (record.out == Some(Out::Released)) != asked.resume
                    && (asked.resume || record.state != State::Active)
            });
            // Never nowhere: alone, it is Active again before anybody looks. That is no
            // failure, and the answer says what holds.
            let _ = timeout(RELEASE, followed).await;
            answers.push(json::router(&self.fleet, &member));
        }
        Ok(json!({ "routers": answers }))
    }
}

/// The routers that `{"router": NAME}` names: all of them without a name.
fn asked(fleet: &Fleet, body: &Value) -> Result<Vec<Arc<Member>>, CommandError> {
    let mut members = fleet.members();
    if let Some(name) = body.get("router").and_then(Value::as_str) {
        members.retain(|member| member.router.name == name);
        if members.is_empty() {
            return Err(CommandError::NotFound(format!("there is no router {name}")));
        }
    }
    Ok(members)
}

/// The time of day of an instant.
fn wall(instant: Instant) -> SystemTime {
    SystemTime::now() - instant.elapsed()
}

fn seconds(at: SystemTime) -> f64 {
    at.duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs_f64()
}
