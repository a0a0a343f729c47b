//! The commands to a running daemon: what is asked of its socket, and how the answer reads.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{AskError, SOCKET, fail, runtime, say};
use crate::order::Mode;

/// Where the daemon is asked.
#[derive(Debug, Args)]
pub(super) struct At {
    /// The daemon's socket.
    #[arg(long, value_name = "PATH", default_value = SOCKET)]
    socket: PathBuf,
    /// The answer as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Subcommand)]
pub(super) enum Live {
    /// Send new connections elsewhere as long as another server is up; those it has stay.
    Drain {
        /// Its name, or BACKEND/NAME where several have it.
        server: String,
        #[command(flatten)]
        at: At,
    },
    /// Use a server again as its checks say, after `drain`, `disable` or `disabled: true`.
    Enable {
        /// Its name, or BACKEND/NAME where several have it.
        server: String,
        #[command(flatten)]
        at: At,
    },
    /// Send no new connection to a server and do not check it; those it has stay.
    Disable {
        /// Its name, or BACKEND/NAME where several have it.
        server: String,
        #[command(flatten)]
        at: At,
    },
    /// Give a server another weight.
    Weight {
        /// Its name, or BACKEND/NAME where several have it.
        server: String,
        /// 1 to 256, or `file` for what the configuration says.
        weight: String,
        #[command(flatten)]
        at: At,
    },
    /// Show connections, oldest first.
    Connections {
        /// Only those of this server.
        #[arg(long)]
        server: Option<String>,
        #[command(flatten)]
        at: At,
    },
    /// End connections: both sides are reset.
    Kill {
        /// Their ids, as `connections` and the log show them.
        #[arg(required = true)]
        ids: Vec<u64>,
        #[command(flatten)]
        at: At,
    },
    /// Say which client stands behind the source that an apiserver has seen.
    Who {
        /// Address and port, as in an audit log's `sourceIPs` and the apiserver's own log.
        source: SocketAddr,
        #[command(flatten)]
        at: At,
    },
}

impl Live {
    pub(super) fn go(self) -> u8 {
        match self {
            Self::Drain { server, at } => used(Mode::Drain, &server, &at),
            Self::Enable { server, at } => used(Mode::Enable, &server, &at),
            Self::Disable { server, at } => used(Mode::Disable, &server, &at),
            Self::Weight { server, weight, at } => {
                let number = weight
                    .parse::<u64>()
                    .map_or(Value::from(&*weight), Value::from);
                let number = if weight == "file" {
                    Value::Null
                } else {
                    number
                };
                let body = json!({"server": server, "weight": number});
                at.ask("weight", &body, |answer| {
                    format!("{} has weight {}\n", name(answer), answer["weight"])
                })
            }
            Self::Connections { server, at } => {
                at.ask("connections", &json!({"server": server}), connections)
            }
            Self::Kill { ids, at } => {
                at.ask("kill", &json!({"connections": ids}), |answer| {
                    let count = answer["killed"].as_array().map_or(0, Vec::len);
                    format!("{count} of {} ended\n", ids.len())
                })
            }
            Self::Who { source, at } => {
                at.ask("who", &json!({"source": source}), clients)
            }
        }
    }
}

fn used(mode: Mode, server: &str, at: &At) -> u8 {
    at.ask(mode.name(), &json!({"server": server}), |answer| {
        format!("{} {}; {}\n", name(answer), mode.sentence(), state(answer))
    })
}

impl At {
    fn ask(&self, command: &str, body: &Value, text: impl Fn(&Value) -> String) -> u8 {
        let path = format!("/{command}");
        let answer = runtime().map_err(AskError::from).and_then(|runtime| {
            let ask = daemon::client::post(&self.socket, &path, body);
            Ok(runtime.block_on(ask)?)
        });
        match answer {
            Err(error) => fail(daemon::exit::FAILED, &*error),
            Ok(answer) if self.json => say(&format!("{answer:#}\n")),
            Ok(answer) => say(&text(&answer)),
        }
    }
}

fn word(value: &Value, key: &str) -> String {
    match value.get(key) {
        None | Some(Value::Null) => "-".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(
            other @ (Value::Bool(_)
            | Value::Number(_)
            | Value::Array(_)
            | Value::Object(_)),
        ) => other.to_string(),
    }
}

fn name(answer: &Value) -> String {
    format!("{}/{}", word(answer, "backend"), word(answer, "server"))
}

fn state(answer: &Value) -> String {
    let (from, to) = (word(answer, "from"), word(answer, "state"));
    if from == to {
        format!("{to} as before")
    } else {
        format!("{to}, was {from}")
    }
}

fn list<'v>(answer: &'v Value, key: &str) -> &'v [Value] {
    let list = answer.get(key).and_then(Value::as_array);
    list.map_or(&[], Vec::as_slice)
}

fn connections(answer: &Value) -> String {
    let rows: Vec<[String; 6]> = list(answer, "connections")
        .iter()
        .map(|one| {
            let age = one["ageSeconds"].as_f64().unwrap_or_default();
            [
                word(one, "id"),
                word(one, "client"),
                word(one, "server"),
                word(one, "source"),
                word(one, "stage"),
                format!("{age:.1}s"),
            ]
        })
        .collect();
    let head = ["ID", "CLIENT", "SERVER", "SOURCE", "STAGE", "AGE"];
    let total = answer["total"].as_u64().unwrap_or_default();
    let left = total.saturating_sub(u64::try_from(rows.len()).unwrap_or(u64::MAX));
    let mut text = daemon::table::render(head, &rows);
    if left > 0 {
        text += &format!("and {left} younger ones\n");
    }
    text
}

fn clients(answer: &Value) -> String {
    let rows: Vec<[String; 5]> = list(answer, "clients")
        .iter()
        .map(|one| {
            let until = match one.get("until") {
                None | Some(Value::Null) => "open".to_owned(),
                Some(_) => word(one, "until"),
            };
            [
                word(one, "client"),
                word(one, "server"),
                word(one, "id"),
                word(one, "from"),
                until,
            ]
        })
        .collect();
    daemon::table::render(["CLIENT", "SERVER", "ID", "FROM", "UNTIL"], &rows)
}
