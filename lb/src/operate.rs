//! Obeys orders: finds the server, tells the workers, asks them, and puts the answer together.
//! Part of control, which alone changes things.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use daemon::admin::CommandError;
use daemon::rfc3339;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::order::{Mode, Order, Which};
use crate::roster::{Cause, Change, Roster, Told, Unknown};
use crate::trail::{Entry, Trail};
use crate::worker::{Command, ConnectionId, Shown, Sought};
use crate::workers::Workers;

/// The most connections that one answer shows.
const MOST: usize = 10_000;

/// What has to follow an order.
#[derive(Clone, Debug)]
pub enum Follow {
    /// Nothing: it was only asked.
    Nothing,
    /// Servers stand otherwise: checks and workers are to be told, and whoever keeps changes
    /// of states.
    Publish(Option<Change>),
}

impl From<Unknown> for CommandError {
    fn from(unknown: Unknown) -> Self {
        match unknown {
            Unknown::Nobody(_) => Self::NotFound(unknown.to_string()),
            Unknown::Several(_) => Self::Invalid(unknown.to_string()),
        }
    }
}

/// Obeys one order, as far as the roster and the workers go.
///
/// # Errors
/// Why it cannot be obeyed; nothing has changed then.
pub async fn obey(
    order: &Order,
    roster: &mut Roster,
    workers: &mut Workers,
    trail: &Mutex<Trail>,
    now: SystemTime,
) -> Result<(Value, Follow), CommandError> {
    match order {
        Order::Use(server, mode) => {
            let told = roster.use_server(server, *mode, now)?;
            log_told(&told, mode.name());
            Ok((json_of(&told), Follow::Publish(change_of(&told))))
        }
        Order::Weigh(server, weight) => {
            let told = roster.weigh(server, *weight, now)?;
            log_told(&told, "weight");
            Ok((json_of(&told), Follow::Publish(change_of(&told))))
        }
        Order::Connections(which) => {
            let sought = match which {
                Which::All => Sought::All,
                Which::Server(name) => {
                    let (backend, server) = roster.find(name)?;
                    Sought::Server(backend, server)
                }
            };
            let shown = ask(workers, sought).await;
            let all = shown.len();
            let connections: Vec<Value> =
                shown.iter().take(MOST).map(connection).collect();
            let answer = json!({"total": all, "connections": connections});
            Ok((answer, Follow::Nothing))
        }
        Order::Kill(ids) => kill(ids, workers).await.map(|it| (it, Follow::Nothing)),
        Order::Who(source) => {
            let open = ask(workers, Sought::Source(*source)).await;
            who(*source, &open, trail, now).map(|it| (it, Follow::Nothing))
        }
    }
}

/// The change of state that an order is, if it is one.
fn change_of(told: &Told) -> Option<Change> {
    (told.from != told.to).then(|| Change {
        backend: Arc::clone(&told.backend),
        server: Arc::clone(&told.server),
        from: told.from,
        to: told.to,
        cause: Cause::Order,
    })
}

fn log_told(told: &Told, order: &str) {
    let Told {
        backend,
        server,
        from,
        to,
        weight,
    } = told;
    let (from, to) = (from.name(), to.name());
    tracing::warn!(
        order,
        backend = &**backend,
        server = &**server,
        from,
        to,
        weight,
        "order"
    );
}

fn json_of(told: &Told) -> Value {
    json!({
        "backend": &*told.backend,
        "server": &*told.server,
        "from": told.from.name(),
        "state": told.to.name(),
        "weight": told.weight,
    })
}

/// Those connections of all workers; a stuck one says nothing.
async fn ask(workers: &mut Workers, sought: Sought) -> Vec<Shown> {
    let (out, mut shown) = mpsc::channel(workers.count().max(1));
    workers.command(&Command::Show(Arc::new(sought), out)).await;
    let mut all = Vec::new();
    while let Ok(some) = shown.try_recv() {
        all.extend(some);
    }
    all.sort_by_key(|shown| std::cmp::Reverse(shown.age));
    all
}

async fn kill(
    ids: &[ConnectionId],
    workers: &mut Workers,
) -> Result<Value, CommandError> {
    let found = ask(workers, Sought::Ids(ids.into())).await;
    if found.is_empty() {
        return Err(CommandError::NotFound(
            "there is no such connection; `api-lb connections` shows them".to_owned(),
        ));
    }
    for shown in &found {
        workers.command(&Command::Kill(shown.id)).await;
        tracing::warn!(id = shown.id.0, client = %shown.client, "connection killed by order");
    }
    let killed: Vec<u64> = found.iter().map(|shown| shown.id.0).collect();
    Ok(json!({"killed": killed}))
}

fn connection(shown: &Shown) -> Value {
    json!({
        "id": shown.id.0,
        "client": shown.client,
        "frontend": &*shown.frontend,
        "backend": &*shown.backend,
        "server": shown.server.as_deref(),
        "source": shown.source,
        "stage": shown.stage,
        "ageSeconds": shown.age.as_secs_f64(),
        "sentBytes": shown.sent,
        "receivedBytes": shown.received,
    })
}

fn who(
    source: SocketAddr,
    open: &[Shown],
    trail: &Mutex<Trail>,
    now: SystemTime,
) -> Result<Value, CommandError> {
    let ended: Vec<Value> = {
        let trail = trail.lock().unwrap_or_else(PoisonError::into_inner);
        trail.behind(source).map(past).collect()
    };
    let present = open.iter().map(|shown| {
        json!({
            "client": shown.client,
            "server": shown.server.as_deref(),
            "id": shown.id.0,
            "from": now.checked_sub(shown.age).map(rfc3339),
            "until": null,
        })
    });
    let all: Vec<Value> = present.chain(ended).collect();
    if all.is_empty() {
        return Err(CommandError::NotFound(format!(
            "nobody stood behind {source}, as far as is remembered (who.keep, who.entries)"
        )));
    }
    Ok(json!({"source": source, "clients": all}))
}

fn past(entry: &Entry) -> Value {
    json!({
        "client": entry.client,
        "server": &*entry.server,
        "id": entry.id.0,
        "from": rfc3339(entry.from),
        "until": rfc3339(entry.until),
    })
}

impl Mode {
    /// What the command line says of it.
    #[must_use]
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::Drain => "is drained: new connections go elsewhere while another is up",
            Self::Enable => "is used as its checks say",
            Self::Disable => "is disabled: no new connection, and no check",
        }
    }
}
