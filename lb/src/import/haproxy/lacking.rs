//! What a file does not say, and haproxy then does without.

use super::{Kind, Proxy, Section};
use config::Report;

const NO_GLOBAL: &str = "no `global` section: haproxy runs as whoever starts it, without a place to log to and a socket for commands; the unit of api-lb says who runs it, and its log and its socket are always there";

/// Names what is lacking, once for each proxy.
pub(super) fn tell(sections: &[Section], proxies: &[Proxy], report: &mut Report) {
    let has_global = sections.iter().any(|one| one.kind == Kind::Global);
    if let (false, Some(first)) = (has_global, sections.first()) {
        report.trap_once(first.head.number, NO_GLOBAL);
    }
    for proxy in proxies {
        let times = times(proxy);
        if !times.is_empty() {
            let times = times.join(", ");
            let sentence = format!(
                "{}: no timeout {times}: haproxy warns of it at each start and waits without an end; api-lb has a bound for each dial, and its keepalive finds out who is gone",
                proxy.name
            );
            report.trap_once(proxy.line, sentence);
        }
    }
}

/// The times that haproxy misses in a proxy that carries connections.
fn times(proxy: &Proxy) -> Vec<&'static str> {
    let settings = &proxy.settings;
    let has_servers = !settings.servers.is_empty();
    let leads_on = settings.default_backend.is_some() || !settings.routes.is_empty();
    let (is_front, is_back) = match proxy.kind {
        Kind::Frontend => (leads_on, false),
        Kind::Listen => (has_servers || leads_on, has_servers),
        Kind::Backend => (false, has_servers),
        Kind::Global | Kind::Defaults | Kind::Other => (false, false),
    };
    let all = [
        ("client", is_front && settings.client.is_none()),
        ("connect", is_back && settings.connect.is_none()),
        ("server", is_back && settings.server.is_none()),
    ];
    all.into_iter()
        .filter_map(|(name, is_missing)| is_missing.then_some(name))
        .collect()
}
