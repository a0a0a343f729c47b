//! Until an api-lb has its servers. A server counts once some of its checks in a row have gone
//! well, so a cluster whose last step is done serves as a whole a moment later.

use std::collections::BTreeSet;
use std::thread::park_timeout;
use std::time::{Duration, Instant};

use super::reach;
use crate::agent::Question;
use crate::apply::Transport;
use crate::status;

/// How often is asked, and for how long.
#[derive(Debug)]
pub(super) struct Pace {
    /// From one question to the next.
    pub(super) again: Duration,
    /// Longest in all.
    pub(super) patience: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            // A check a second: what is found later is found soon enough.
            again: Duration::from_millis(250),
            // Two checks, a second apart, of up to a second each; the rest is for hosts that
            // have just started all that a master runs.
            patience: Duration::from_secs(30),
        }
    }
}

/// How something is still missing.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Missing {
    /// Whoever waited was stopped, while this was missing.
    Stopped(String),
    /// This is missing after so long.
    Late(Duration, String),
}

impl Missing {
    /// In words, about a host: `not_yet` is what it is not, and `then` what comes of that.
    pub(super) fn told(&self, not_yet: &str, then: &str) -> String {
        match self {
            Self::Stopped(what) => {
                format!(
                    "every step is done, and stopped before it was {not_yet}: {what}{then}"
                )
            }
            Self::Late(after, what) => {
                let seconds = after.as_secs();
                format!(
                    "every step is done, but after {seconds} s it is not {not_yet}: {what}{then}"
                )
            }
        }
    }
}

/// Asks the api-lb of a host until all of these are up to it. What is waited for is said once,
/// where there is anything to wait for; `stop` breaks it off.
pub(super) fn served(
    way: &mut impl Transport,
    servers: &BTreeSet<String>,
    pace: &Pace,
    stop: &dyn Fn() -> bool,
    waits: impl FnOnce(&str),
) -> Result<(), Missing> {
    until(pace, stop, waits, || missing(way, servers))
}

/// Asks again and again until nothing is missing.
pub(super) fn until(
    pace: &Pace,
    stop: &dyn Fn() -> bool,
    waits: impl FnOnce(&str),
    mut missing: impl FnMut() -> Option<String>,
) -> Result<(), Missing> {
    let begun = Instant::now();
    let mut waits = Some(waits);
    while let Some(missing) = missing() {
        if stop() {
            return Err(Missing::Stopped(missing));
        }
        let waited = begun.elapsed();
        if waited >= pace.patience {
            return Err(Missing::Late(waited, missing));
        }
        if let Some(say) = waits.take() {
            say(&missing);
        }
        park_timeout(pace.again);
    }
    Ok(())
}

/// What it lacks, in words.
pub(super) fn missing(
    way: &mut impl Transport,
    servers: &BTreeSet<String>,
) -> Option<String> {
    let said = match reach::told(way, Question::Balancer) {
        Ok(said) => said,
        Err(error) => return Some(error),
    };
    let Some(down) = status::down(&said) else {
        return Some("api-lb says something that this version does not know".to_owned());
    };
    let down = down.iter().filter(|(name, _)| servers.contains(*name));
    let down: Vec<_> = down
        .map(|(name, state)| format!("{name} is {state}"))
        .collect();
    (!down.is_empty()).then(|| format!("to its api-lb {}", down.join(", ")))
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use serde_json::{Value, json};

    use super::*;
    use crate::agent::{Answer, Order};
    use crate::apply::TransportError;

    /// A host that answers so, one question after the other, and stays with the last.
    struct Host(Vec<Result<Value, &'static str>>);

    impl Transport for Host {
        fn bring(&mut self, file: &Path) -> Result<PathBuf, TransportError> {
            Ok(file.to_owned())
        }

        fn ask(&mut self, order: Order) -> Result<Answer, TransportError> {
            assert!(matches!(order, Order::Ask(Question::Balancer)), "{order:?}");
            let next = match self.0.len() {
                1 => self.0[0].clone(),
                _ => self.0.remove(0),
            };
            Ok(match next {
                Ok(said) => Answer::Told(said),
                Err(error) => Answer::Failed {
                    error: error.to_owned(),
                    said: Vec::new(),
                },
            })
        }
    }

    fn sees(m1: &str, m2: &str) -> Result<Value, &'static str> {
        let server = |name: &str, state: &str| json!({"name": name, "state": state});
        let servers = [server("m1", m1), server("m2", m2)];
        Ok(json!({"backends": [{"servers": servers}]}))
    }

    #[test]
    fn it_ends_when_every_server_of_these_is_up() {
        for (answers, patience, wanted, waited) in [
            (vec![sees("up", "up")], 0, Ok(()), None),
            // m2 was not finished: nobody waits for it.
            (vec![sees("up", "unreachable")], 0, Ok(()), None),
            (
                vec![
                    Err("no such socket"),
                    sees("unknown", "up"),
                    sees("up", "up"),
                ],
                9,
                Ok(()),
                Some("no such socket"),
            ),
            (
                vec![sees("hung", "up")],
                0,
                Err("after 0 s it is not well: to its api-lb m1 is hung, and so on"),
                None,
            ),
            (vec![Ok(json!({}))], 0, Err("does not know"), None),
        ] {
            let pace = Pace {
                again: Duration::ZERO,
                patience: Duration::from_secs(patience),
            };
            let mut said = None;
            let servers = BTreeSet::from(["m1".to_owned()]);
            let mut host = Host(answers);
            let ended = served(&mut host, &servers, &pace, &|| false, |waits_for| {
                said = Some(waits_for.to_owned());
            });
            match wanted {
                Ok(()) => assert_eq!(ended, Ok(())),
                Err(part) => {
                    let told = ended.unwrap_err().told("well", ", and so on");
                    assert!(told.contains(part), "{told}");
                }
            }
            assert_eq!(said.is_some(), waited.is_some(), "{said:?}");
            assert!(
                said.unwrap_or_default()
                    .contains(waited.unwrap_or_default())
            );
        }
    }

    #[test]
    fn whoever_stops_it_hears_what_is_missing() {
        let mut host = Host(vec![sees("unknown", "up")]);
        let servers = BTreeSet::from(["m1".to_owned()]);
        let ended = served(&mut host, &servers, &Pace::default(), &|| true, |_| {});
        let told = ended.unwrap_err().told("well", "");
        let wanted = "every step is done, and stopped before it was well: to its api-lb m1 is \
                      unknown";
        assert_eq!(told, wanted);
    }
}
