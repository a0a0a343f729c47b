//! Where sessions come in: what they keep of their frontend.

use std::rc::Rc;
use std::sync::Arc;

use crate::admit::Gate;
use crate::hello::Rules;
use crate::pool::{Backend, Counters, Frontend};

/// Where a session came in: what it keeps of its frontend. Not the frontend itself, which
/// would keep listening sockets open for as long as a session lasts.
#[derive(Debug)]
pub(super) struct Origin {
    /// The frontend's name.
    pub(super) frontend: Arc<str>,
    /// The frontend's counters.
    pub(super) counters: Arc<Counters>,
    /// Who may come in.
    pub(super) gate: Arc<Gate>,
    /// Where its sessions go.
    pub(super) backend: Arc<Backend>,
    /// Which route of the frontend this is.
    pub(super) route: Option<usize>,
    /// What its clients have to say first, if that matters.
    pub(super) reception: Option<Reception>,
}

/// What a frontend wants to hear before a server is dialled.
#[derive(Debug)]
pub(super) struct Reception {
    /// How it is judged.
    pub(super) rules: Arc<Rules>,
    /// Where each of its routes leads, in their order.
    pub(super) routes: Box<[Rc<Origin>]>,
}

impl Origin {
    /// What a session keeps of this frontend.
    #[must_use]
    pub(super) fn of(frontend: &Frontend) -> Rc<Self> {
        let to = |backend: &Arc<Backend>, route, reception| {
            Rc::new(Self {
                frontend: Arc::clone(&frontend.name),
                counters: Arc::clone(&frontend.counters),
                gate: Arc::clone(&frontend.gate),
                backend: Arc::clone(backend),
                route,
                reception,
            })
        };
        let routes = frontend.routes.iter().enumerate();
        let routes = routes.map(|(at, backend)| to(backend, Some(at), None));
        let reception = frontend.rules.as_ref().map(|rules| Reception {
            rules: Arc::clone(rules),
            routes: routes.collect(),
        });
        to(&frontend.backend, None, reception)
    }

    /// What is left of a frontend that is in no configuration any more.
    #[must_use]
    pub(super) fn left(frontend: &str, backend: Arc<Backend>) -> Rc<Self> {
        Rc::new(Self {
            frontend: frontend.into(),
            counters: Arc::default(),
            gate: Arc::default(),
            backend,
            route: None,
            reception: None,
        })
    }

    /// Where a session that waits goes by now: where `current`, its frontend as it stands,
    /// leads by the same route. The gate and the counters that let it in see it out, whatever
    /// another configuration says.
    #[must_use]
    pub(super) fn led_by(self: &Rc<Self>, current: &Rc<Self>) -> Rc<Self> {
        let there = current.by(self.route);
        // A gate is of one configuration.
        if Arc::ptr_eq(&self.gate, &there.gate) {
            return there;
        }
        Rc::new(Self {
            frontend: Arc::clone(&self.frontend),
            counters: Arc::clone(&self.counters),
            gate: Arc::clone(&self.gate),
            backend: Arc::clone(&there.backend),
            route: there.route,
            reception: None,
        })
    }

    /// Where a session of this frontend goes that went by this route before.
    #[must_use]
    pub(super) fn by(self: &Rc<Self>, route: Option<usize>) -> Rc<Self> {
        let reception = self.reception.as_ref();
        let routes = reception.map(|reception| &reception.routes);
        let same = routes.and_then(|routes| routes.get(route?));
        Rc::clone(same.unwrap_or(self))
    }
}
