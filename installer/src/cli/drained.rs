//! Before nodes are given up: a master has the cluster move their Pods elsewhere, and forget them.

use std::collections::BTreeMap;

use super::reach;
use crate::agent::{Order, Question};
use crate::apply::Transport;
use crate::transport::asked;

/// What is said of a node whose turn does not come.
const STOPPED: &str = "stopped before it was drained; reset again to go on";

/// Drains nodes, one after the other, by the first master whose API server is ready; why those that
/// are not drained are not. Each is said before it begins, which is the place to stop.
pub(super) fn drained<'a, T: Transport>(
    nodes: &[&str],
    ways: impl Iterator<Item = (&'a str, Result<T, String>)>,
    goes_on: impl Fn(&str) -> bool,
) -> BTreeMap<String, String> {
    let mut way = match ready(ways) {
        Ok(way) => way,
        Err(why) => {
            let all = nodes.iter().map(|node| ((*node).to_owned(), why.clone()));
            return all.collect();
        }
    };
    let drain = |node: &&str| {
        if !goes_on(node) {
            return Some(((*node).to_owned(), STOPPED.to_owned()));
        }
        let done = asked::done(&mut way, Order::Drain((*node).to_owned()));
        let error = done.err()?;
        Some(((*node).to_owned(), format!("it is not drained: {error}")))
    };
    nodes.iter().filter_map(drain).collect()
}

/// The first way to a master whose API server is ready. One that answers over SSH may have one
/// that is down.
fn ready<'a, T: Transport>(
    ways: impl Iterator<Item = (&'a str, Result<T, String>)>,
) -> Result<T, String> {
    let mut why = Vec::new();
    for (master, way) in ways {
        let ready = way.and_then(|mut way| {
            let path = "/readyz".to_owned();
            reach::told(&mut way, Question::Api { server: None, path })?;
            Ok(way)
        });
        match ready {
            Ok(way) => return Ok(way),
            Err(error) => why.push(format!("{master}: {error}")),
        }
    }
    let why = why.join("; ");
    Err(format!("it is not drained: no API server is ready: {why}"))
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use serde_json::Value;

    use super::*;
    use crate::agent::Answer;
    use crate::apply::TransportError;

    /// A master, and what its kubectl says of the API; one that is well drains every node.
    #[derive(Debug, PartialEq)]
    struct Master(&'static str, Result<(), &'static str>);

    impl Transport for Master {
        fn bring(&mut self, file: &Path) -> Result<PathBuf, TransportError> {
            Ok(file.to_owned())
        }

        fn ask(&mut self, order: Order) -> Result<Answer, TransportError> {
            Ok(match self.1 {
                Ok(()) if matches!(order, Order::Drain(_)) => Answer::Done,
                Ok(()) => Answer::Told(Value::from("ok")),
                Err(error) => Answer::Failed {
                    error: error.to_owned(),
                    said: Vec::new(),
                },
            })
        }
    }

    #[test]
    fn a_stop_is_before_the_next_node() {
        let well = [("m1", Ok(Master("m1", Ok(()))))];
        let left = drained(&["n1", "n2"], well.into_iter(), |node| node == "n1");
        let wanted = BTreeMap::from([("n2".to_owned(), STOPPED.to_owned())]);
        assert_eq!(left, wanted);
    }

    #[test]
    fn a_drain_asks_the_first_api_server_that_is_ready() {
        let down = || ("m1", Err("it is down".to_owned()));
        let mute = || ("m2", Ok(Master("m2", Err("connection refused"))));
        let well = || ("m3", Ok(Master("m3", Ok(()))));
        let found = ready([down(), mute(), well()].into_iter()).unwrap();
        assert_eq!(found.0, "m3");
        let none = ready([down(), mute()].into_iter()).unwrap_err();
        assert_eq!(
            none,
            "it is not drained: no API server is ready: m1: it is down; m2: connection refused"
        );
    }
}
