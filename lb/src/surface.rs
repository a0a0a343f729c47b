//! What `/livez`, `/readyz`, `/metrics` and `/status` answer, and where orders come in. Only
//! reads: control obeys.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Instant, SystemTime};

use daemon::admin::{CommandError, Page, Surface};
use daemon::log::Log;
use daemon::metrics::Text;
use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot, watch};

use crate::beside::Router;
use crate::control::Answer;
use crate::limits::Limits;
use crate::order::{self, Asked, Order, Orders};
use crate::recorder::Keeper;
use crate::roster::View;
use crate::upgrade::History;
use crate::worker::Gauges;
use crate::{csv, metrics, page, status};

/// Where the process is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// All binds are open.
    Accepting,
    /// It was told to stop: still accepting, while others take the address over.
    Leaving,
    /// The listeners are closed; the connections that are left go on.
    Draining,
}

impl Phase {
    /// The word in `/status`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Accepting => "accepting",
            Self::Leaving => "leaving",
            Self::Draining => "draining",
        }
    }
}

/// Orders to control, what is told by the recorder, and the replacement of the program.
const COMMANDS: [&str; order::NAMES.len() + 3] = {
    let mut all = ["dump"; order::NAMES.len() + 3];
    let (orders, rest) = all.split_at_mut(order::NAMES.len());
    orders.copy_from_slice(&order::NAMES);
    rest.copy_from_slice(&["dump", "recorder", "upgrade"]);
    all
};

/// What the outside sees.
#[derive(Debug)]
pub struct Outside {
    /// Frontends, backends, servers.
    pub view: watch::Receiver<Arc<View>>,
    /// Where the process is in its life.
    pub phase: watch::Receiver<Phase>,
    /// How upgrades went.
    pub history: watch::Receiver<History>,
    /// One for each worker, in their order.
    pub workers: Vec<Arc<Gauges>>,
    /// Who has the address that clients use, where a vip-daemon says so.
    pub routers: watch::Receiver<Option<Vec<Router>>>,
    /// What the system allows.
    pub limits: Limits,
    /// Where the status page is beside its own places.
    pub stats_path: Arc<str>,
    /// Where orders go.
    pub orders: Orders,
    /// Where it is asked for that the program be replaced.
    pub wants: mpsc::Sender<Answer>,
    /// Has what has happened lately, and writes it to files.
    pub keeper: Arc<Keeper>,
    /// Knows how many lines it could not write.
    pub log: Arc<Log>,
}

impl Outside {
    /// Notes what the second up to `now` brought.
    pub fn look(&self, now: Instant) {
        let view = self.view();
        let members = view.backends.iter().flat_map(|back| &back.members);
        let servers = members.map(|member| &member.server.counters);
        let frontends = view.frontends.iter().map(|front| &front.counters);
        frontends
            .chain(servers)
            .for_each(|counters| counters.look(now));
    }

    /// Has control do it, and waits for what it says.
    fn order(
        &self,
        order: Result<Order, CommandError>,
    ) -> BoxFuture<'_, Result<Value, CommandError>> {
        Box::pin(async move {
            let order = order?;
            let (answer, answered) = oneshot::channel();
            // Either fails only when control has left.
            let _ = self.orders.send(Asked { order, answer }).await;
            let ends = |_| CommandError::Conflict("the daemon is ending".to_owned());
            answered.await.map_err(ends)?
        })
    }

    /// Has control replace the program; there is no answer when that works.
    fn upgrade(&self) -> BoxFuture<'_, Result<Value, CommandError>> {
        Box::pin(async move {
            let (answer, answered) = oneshot::channel();
            // Either fails only when control has left.
            let _ = self.wants.send(answer).await;
            let ends = |_| CommandError::Conflict("the daemon is ending".to_owned());
            answered.await.map_err(ends)?
        })
    }

    fn view(&self) -> Arc<View> {
        Arc::clone(&self.view.borrow())
    }
}

impl Surface for Outside {
    fn alive(&self) -> bool {
        let is_stuck = |gauges: &Arc<Gauges>| gauges.is_stuck.load(Ordering::Relaxed);
        !self.workers.iter().any(is_stuck)
    }

    fn ready(&self) -> Result<(), String> {
        if !self.alive() {
            return Err("a worker does not work".to_owned());
        }
        readiness(*self.phase.borrow(), &self.view())
    }

    fn metrics(&self, out: &mut Text) {
        let is_ready = self.ready().is_ok();
        metrics::view(out, &self.view());
        metrics::process(out, &self.workers, &self.limits, is_ready);
        self.history.borrow().metrics(out);
        self.log.metrics("api_lb", out);
        self.keeper.metrics(out);
    }

    fn status(&self) -> Value {
        let open = |gauges: &Arc<Gauges>| gauges.open.load(Ordering::Relaxed);
        let connections = self.workers.iter().map(open).sum();
        let mut status = status::json(
            &self.view(),
            *self.phase.borrow(),
            self.ready(),
            connections,
            &self.limits,
            &self.history.borrow(),
        );
        let routers = self.routers.borrow();
        let routers = routers.as_deref();
        let routers: Option<Vec<_>> =
            routers.map(|all| all.iter().map(Router::json).collect());
        if let Some(keys) = status.as_object_mut() {
            keys.insert("routers".to_owned(), json!(routers));
        }
        status
    }

    fn page(&self, target: &str) -> Option<Page> {
        // As haproxy's own, whose readers say behind semicolons what they want.
        let (path, wants) = target.split_once(';').unwrap_or((target, ""));
        if path != "/" && path != "/stats" && path != &*self.stats_path {
            return None;
        }
        match wants {
            "" | "norefresh" => Some(page::page()),
            "csv" | "csv;norefresh" => Some(Page {
                kind: "text/plain; charset=utf-8",
                policy: "default-src 'none'".to_owned(),
                body: csv::table(&self.view(), SystemTime::now()),
            }),
            _ => None,
        }
    }

    fn commands(&self) -> &'static [&'static str] {
        &COMMANDS
    }

    fn web_commands(&self) -> &'static [&'static str] {
        &["drain", "enable", "disable"]
    }

    fn command(
        &self,
        name: &str,
        body: Value,
    ) -> BoxFuture<'_, Result<Value, CommandError>> {
        match name {
            "recorder" => {
                let entries = self
                    .keeper
                    .recorder()
                    .entries(SystemTime::UNIX_EPOCH, &self.view());
                Box::pin(std::future::ready(Ok(Value::Array(entries))))
            }
            "dump" => Box::pin(async {
                let written = self.keeper.write(SystemTime::now()).await;
                let path = written.map_err(|error| {
                    CommandError::Failed(format!("nothing was written: {error}"))
                })?;
                Ok(json!({ "file": path }))
            }),
            "upgrade" => self.upgrade(),
            _ => self.order(Order::parse(name, &body)),
        }
    }
}

fn readiness(phase: Phase, view: &View) -> Result<(), String> {
    match phase {
        Phase::Leaving => Err("leaving: told to stop".to_owned()),
        Phase::Draining => Err("draining: the listeners are closed".to_owned()),
        Phase::Accepting if view.is_expected => Ok(()),
        Phase::Accepting => Err("no server is up or draining".to_owned()),
    }
}
