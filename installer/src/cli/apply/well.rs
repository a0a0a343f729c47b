//! Whether a host that was started anew is well again, so that the next may be taken off.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use super::super::reach;
use super::super::served::{self, Pace};
use crate::agent::Question;
use crate::apply::Transport;
use crate::render;
use crate::spec::{APISERVER_PORT, Host, Role};

/// How long a host may take. An API server that has just started reads all that etcd holds
/// before it is ready, on a host that starts everything else beside it.
pub(super) const PACE: Pace = Pace {
    again: Duration::from_millis(250),
    patience: Duration::from_secs(60),
};

/// Whether an api-lb runs on a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Balancer {
    /// One does.
    Runs,
    /// None does.
    None,
}

/// What a host lacks of being well, in words: its member of etcd takes a write, its API server
/// is ready, and its api-lb, which stands for those of the others, has that one up.
pub(super) fn lacks(
    way: &mut impl Transport,
    host: &Host,
    balancer: Balancer,
) -> Option<String> {
    if host.is(Role::Etcd)
        && let Some(lacks) = member(way, host)
    {
        return Some(lacks);
    }
    if !host.is(Role::ControlPlane) {
        return None;
    }
    if let Some(lacks) = server(way, host) {
        return Some(lacks);
    }
    match balancer {
        Balancer::Runs => served::missing(way, &BTreeSet::from([host.name.clone()])),
        Balancer::None => None,
    }
}

fn member(way: &mut impl Transport, host: &Host) -> Option<String> {
    let lacks = |why: &str| Some(format!("its member of etcd takes no write: {why}"));
    let said = match reach::told(way, Question::Health(vec![render::store(host)])) {
        Ok(said) => said,
        Err(error) => return lacks(&error),
    };
    let health = said.pointer("/0/health").and_then(|one| one.as_bool());
    let error = said.pointer("/0/error").and_then(|one| one.as_str());
    match health {
        Some(true) => None,
        Some(false) | None => lacks(error.unwrap_or("unhealthy")),
    }
}

fn server(way: &mut impl Transport, host: &Host) -> Option<String> {
    let address = SocketAddr::new(host.address(), APISERVER_PORT);
    let ready = Question::Api {
        server: Some(format!("https://{address}")),
        path: "/readyz".to_owned(),
    };
    let lacks = |why: &str| Some(format!("its API server is not ready: {why}"));
    match reach::told(way, ready) {
        Ok(said) if said == "ok" => None,
        Ok(_) => lacks("it says something else"),
        Err(error) => lacks(&error),
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use serde_json::{Value, json};

    use super::*;
    use crate::agent::{Answer, Order};
    use crate::apply::TransportError;

    fn asked() -> [Question; 3] {
        let server = Some("https://192.168.220.100:6443".to_owned());
        let path = "/readyz".to_owned();
        [
            Question::Health(vec!["https://192.168.220.100:2379".to_owned()]),
            Question::Api { server, path },
            Question::Balancer,
        ]
    }

    /// A master: what its member, its API server and its api-lb say.
    struct Master([Result<Value, &'static str>; 3]);

    impl Transport for Master {
        fn bring(&mut self, file: &Path) -> Result<PathBuf, TransportError> {
            Ok(file.to_owned())
        }

        fn ask(&mut self, order: Order) -> Result<Answer, TransportError> {
            let Order::Ask(question) = order else {
                return Err(TransportError(format!("{order:?}")));
            };
            let answers = asked().into_iter().zip(&self.0);
            let mut answers = answers.filter(|(one, _)| *one == question);
            let Some((_, said)) = answers.next() else {
                return Err(TransportError(format!("{question:?}")));
            };
            Ok(match said {
                Ok(said) => Answer::Told(said.clone()),
                Err(error) => Answer::Failed {
                    error: (*error).to_owned(),
                    said: Vec::new(),
                },
            })
        }
    }

    #[test]
    fn each_part_of_a_master_has_to_be_well() {
        let text = include_str!("../../../tests/spec/whole.yaml");
        let cluster = crate::spec::parse("cluster.yaml", text).unwrap().cluster;
        let host = &cluster.hosts[0];
        let member = |health: bool| Ok(json!([{"health": health, "error": "no leader"}]));
        let is_ready = || Ok(json!("ok"));
        let sees = |state: &str| {
            let server = json!({"name": host.name, "state": state});
            Ok(json!({"backends": [{"servers": [server]}]}))
        };
        let well = [member(true), is_ready(), sees("up")];
        for (said, wanted) in [
            (well, None),
            (
                [member(false), is_ready(), sees("up")],
                Some("its member of etcd takes no write: no leader"),
            ),
            (
                [Ok(json!([])), is_ready(), sees("up")],
                Some("its member of etcd takes no write: unhealthy"),
            ),
            (
                [Err("no such program"), is_ready(), sees("up")],
                Some("its member of etcd takes no write: no such program"),
            ),
            (
                [member(true), Err("[-]etcd failed"), sees("up")],
                Some("its API server is not ready: [-]etcd failed"),
            ),
            (
                [member(true), Ok(json!("[-]etcd")), sees("up")],
                Some("its API server is not ready: it says something else"),
            ),
            (
                [member(true), is_ready(), sees("draining")],
                Some("to its api-lb m1 is draining"),
            ),
        ] {
            let found = lacks(&mut Master(said), host, Balancer::Runs);
            assert_eq!(found.as_deref(), wanted);
        }
        let mut without = Master([member(true), is_ready(), Err("no such socket")]);
        assert_eq!(lacks(&mut without, host, Balancer::None), None);
    }
}
