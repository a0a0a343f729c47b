//! What an operator orders over the socket, and what he is told.
//!
//! ```text
//!   POST /drain {"server": …} ─▶ Order ─▶ control ─▶ roster, workers ─▶ answer
//! ```
//!
//! Orders are kept over reloads, except where the file itself has changed what was ordered,
//! and forgotten at a restart.

use std::net::SocketAddr;

use daemon::admin::CommandError;
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};

use crate::worker::ConnectionId;

/// Orders that wait for control; whoever gives one more waits.
pub const ORDERS: usize = 16;

/// The commands there are, as they stand in the path.
pub const NAMES: [&str; 7] = [
    "drain",
    "enable",
    "disable",
    "weight",
    "connections",
    "kill",
    "who",
];

/// The most connections that one order ends.
const MOST_KILLS: usize = 1000;

/// What is wanted of a server, besides what the file says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Mode {
    /// New connections go elsewhere as long as another server is up; checks go on.
    Drain,
    /// It is used as its checks say, also when the file says `disabled`.
    Enable,
    /// No new connection goes there, and it is not checked.
    Disable,
}

impl Mode {
    /// The word of the command, in the log and in `/status`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Drain => "drain",
            Self::Enable => "enable",
            Self::Disable => "disable",
        }
    }
}

/// Which connections are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Which {
    /// All of them.
    All,
    /// Those of a server.
    Server(String),
}

/// What an operator orders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// A server is to be used in this way.
    Use(String, Mode),
    /// A server is to have this weight, or again that of the file.
    Weigh(String, Option<u16>),
    /// Show connections.
    Connections(Which),
    /// End these connections.
    Kill(Vec<ConnectionId>),
    /// Say which client stands behind an address that a server has seen.
    Who(SocketAddr),
}

/// An order, and where its answer goes.
#[derive(Debug)]
pub struct Asked {
    /// What is ordered.
    pub order: Order,
    /// Who waits for the answer.
    pub answer: oneshot::Sender<Result<Value, CommandError>>,
}

/// Where orders are given.
pub type Orders = mpsc::Sender<Asked>;

impl Order {
    /// Reads an order from a command's name and body.
    ///
    /// # Errors
    /// What is wrong with it, with what to write.
    pub fn parse(name: &str, body: &Value) -> Result<Self, CommandError> {
        match name {
            "drain" => Ok(Self::Use(server(body)?, Mode::Drain)),
            "enable" => Ok(Self::Use(server(body)?, Mode::Enable)),
            "disable" => Ok(Self::Use(server(body)?, Mode::Disable)),
            "weight" => Ok(Self::Weigh(server(body)?, weight(body)?)),
            "connections" => Ok(Self::Connections(match body.get("server") {
                None | Some(Value::Null) => Which::All,
                Some(_) => Which::Server(server(body)?),
            })),
            "kill" => Ok(Self::Kill(connections(body)?)),
            "who" => Ok(Self::Who(source(body)?)),
            _ => Err(CommandError::NotFound(format!(
                "there is no command {name}"
            ))),
        }
    }
}

fn invalid(why: &str) -> CommandError {
    CommandError::Invalid(why.to_owned())
}

fn server(body: &Value) -> Result<String, CommandError> {
    let name = body.get("server").and_then(Value::as_str);
    let name = name.filter(|name| !name.is_empty());
    name.map(str::to_owned).ok_or_else(|| {
        invalid(
            "server: is missing; write its name, or BACKEND/NAME where several have it",
        )
    })
}

fn weight(body: &Value) -> Result<Option<u16>, CommandError> {
    let wrong = || invalid("weight: must be 1 to 256, or null for that of the file");
    match body.get("weight") {
        Some(Value::Null) => Ok(None),
        Some(written) => {
            let weight = written
                .as_u64()
                .and_then(|weight| u16::try_from(weight).ok());
            let weight = weight.filter(|weight| (1..=256).contains(weight));
            weight.map(Some).ok_or_else(wrong)
        }
        None => Err(wrong()),
    }
}

fn connections(body: &Value) -> Result<Vec<ConnectionId>, CommandError> {
    let wrong = || {
        invalid(
            "connections: must be a list of 1 to 1000 ids, as `connections` shows them",
        )
    };
    let ids = body
        .get("connections")
        .and_then(Value::as_array)
        .ok_or_else(wrong)?;
    if ids.is_empty() || ids.len() > MOST_KILLS {
        return Err(wrong());
    }
    let ids = ids
        .iter()
        .map(|id| id.as_u64().map(ConnectionId).ok_or_else(wrong));
    ids.collect()
}

fn source(body: &Value) -> Result<SocketAddr, CommandError> {
    let source = body.get("source").and_then(Value::as_str);
    let source = source.and_then(|source| source.parse().ok());
    source.ok_or_else(|| {
        invalid("source: must be an address with a port, as the server saw it, such as \"192.168.220.100:41234\"")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn each_order() {
        let m1 = || "m1".to_owned();
        for (name, body, expected) in [
            (
                "drain",
                json!({"server": "m1"}),
                Some(Order::Use(m1(), Mode::Drain)),
            ),
            (
                "enable",
                json!({"server": "m1"}),
                Some(Order::Use(m1(), Mode::Enable)),
            ),
            (
                "disable",
                json!({"server": "m1"}),
                Some(Order::Use(m1(), Mode::Disable)),
            ),
            ("disable", json!({"server": ""}), None),
            ("disable", json!({"server": 1}), None),
            ("disable", json!(null), None),
            (
                "weight",
                json!({"server": "m1", "weight": 1}),
                Some(Order::Weigh(m1(), Some(1))),
            ),
            (
                "weight",
                json!({"server": "m1", "weight": 256}),
                Some(Order::Weigh(m1(), Some(256))),
            ),
            (
                "weight",
                json!({"server": "m1", "weight": null}),
                Some(Order::Weigh(m1(), None)),
            ),
            ("weight", json!({"server": "m1", "weight": 0}), None),
            ("weight", json!({"server": "m1", "weight": 257}), None),
            ("weight", json!({"server": "m1", "weight": "1"}), None),
            ("weight", json!({"server": "m1"}), None),
            (
                "connections",
                json!(null),
                Some(Order::Connections(Which::All)),
            ),
            (
                "connections",
                json!({"server": "m1"}),
                Some(Order::Connections(Which::Server(m1()))),
            ),
            ("connections", json!({"server": 1}), None),
            (
                "kill",
                json!({"connections": [7]}),
                Some(Order::Kill(vec![ConnectionId(7)])),
            ),
            ("kill", json!({"connections": []}), None),
            ("kill", json!({"connections": ["7"]}), None),
            ("kill", json!({"connections": vec![1; 1001]}), None),
            ("kill", json!({}), None),
            (
                "who",
                json!({"source": "10.0.0.1:7"}),
                Some(Order::Who("10.0.0.1:7".parse().unwrap())),
            ),
            ("who", json!({"source": "10.0.0.1"}), None),
            ("shut", json!({"server": "m1"}), None),
        ] {
            assert_eq!(Order::parse(name, &body).ok(), expected, "{name} {body}");
        }
    }
}
