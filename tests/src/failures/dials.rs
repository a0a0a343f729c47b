//! What a proxy that counts them says of its dials.

use super::proxy::Proxy;
use crate::error::{Doing, LabError};

/// Clients, dials beside the first, and those that failed, so far.
#[derive(Clone, Debug)]
pub(super) struct Dials {
    clients: f64,
    extra: f64,
    /// Of each server.
    failed: Vec<f64>,
}

impl Dials {
    /// Extra dials for each client.
    pub(super) fn extra_since(&self, before: &Self) -> Option<f64> {
        let clients = self.clients - before.clients;
        (clients > 0.0).then(|| (self.extra - before.extra) / clients)
    }

    /// Dials of this server that failed. Of a server that is not told of, all have.
    pub(super) fn failed_since(&self, before: &Self, server: usize) -> f64 {
        let of = |dials: &Self| dials.failed.get(server).copied();
        let failed = of(self).zip(of(before));
        failed.map_or(f64::INFINITY, |(now, then)| now - then)
    }
}

pub(super) fn dials(proxy: &Proxy) -> Result<Option<Dials>, LabError> {
    let Some(socket) = proxy.socket() else {
        return Ok(None);
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .doing("ask the proxy")?;
    let answer = runtime.block_on(daemon::client::get(&socket, "/status"));
    let status = answer.map_err(|error| LabError::Missing(error.to_string()))?;
    let each = |list: &str, key: &str| -> Vec<f64> {
        let all = status.pointer(list).and_then(|l| l.as_array());
        let all = all.into_iter().flatten();
        all.filter_map(|one| one[key].as_f64()).collect()
    };
    let sum = |list: &str, key: &str| each(list, key).iter().sum::<f64>();
    let servers = "/backends/0/servers";
    Ok(Some(Dials {
        clients: sum("/frontends", "connections"),
        extra: sum(servers, "hedges") + sum(servers, "failovers"),
        failed: each(servers, "dialFailures"),
    }))
}
