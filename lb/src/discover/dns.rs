//! Asks the system's resolver for the addresses of names, again and again. Owns no socket:
//! `/etc/hosts`, `/etc/resolv.conf` and `nsswitch.conf` count as for every program of the
//! host. Ends when nobody takes the answers.

use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{BoxFuture, join_all};
use tokio::sync::mpsc;

use super::{Answer, Failure, Found};
use crate::config::Host;

/// Resolves one name.
pub(super) type Resolve =
    dyn Fn(Host) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> + Send + Sync;

/// The system's resolver. It bounds each question itself (`options timeout`, `attempts`);
/// the next round begins when all answers are there, so that no thread is added while it
/// waits.
pub(super) fn system(host: Host) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> {
    Box::pin(async move {
        let found = tokio::net::lookup_host((&*host.name, host.port)).await?;
        Ok(found.collect())
    })
}

pub(super) async fn look(
    backend: Arc<str>,
    hosts: Vec<Host>,
    interval: Duration,
    resolve: Arc<Resolve>,
    out: mpsc::Sender<Found>,
) {
    loop {
        let backend = Arc::clone(&backend);
        let answer = round(&hosts, &*resolve).await;
        if out.send(Found { backend, answer }).await.is_err() {
            return;
        }
        tokio::time::sleep(interval).await;
    }
}

/// Asks for all names at once.
async fn round(hosts: &[Host], resolve: &Resolve) -> Answer {
    let asked = hosts.iter().map(|host| resolve(host.clone()));
    let (mut all, mut failure) = (BTreeSet::new(), None);
    for (host, answer) in hosts.iter().zip(join_all(asked).await) {
        match answer {
            Ok(found) => all.extend(found),
            Err(error) => {
                failure = Some(Failure::Resolve {
                    name: Arc::clone(&host.name),
                    error,
                });
            }
        }
    }
    match failure {
        None => Answer::All(all),
        Some(why) if all.is_empty() => Answer::None(why),
        Some(why) => Answer::Some(all, why),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    fn host(name: &str) -> Host {
        Host {
            name: name.into(),
            port: 6443,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn asks_again_after_the_interval_and_says_what_failed() {
        let answers = Arc::new(Mutex::new(vec![Err(()), Ok(2), Ok(1)]));
        let resolve = move |host: Host| -> BoxFuture<'static, _> {
            let next = match &*host.name {
                "a" => Ok(9),
                _ => answers.lock().unwrap().pop().unwrap_or(Err(())),
            };
            let found = next.map(|last| vec![([192, 0, 2, last], host.port).into()]);
            Box::pin(async move { found.map_err(|()| io::Error::other("no such name")) })
        };
        let (out, mut found) = mpsc::channel(1);
        let hosts = vec![host("a"), host("b")];
        let interval = Duration::from_secs(30);
        let started = tokio::time::Instant::now();
        tokio::spawn(look("k".into(), hosts, interval, Arc::new(resolve), out));
        let at = |last: &[u8]| -> BTreeSet<SocketAddr> {
            let each = last.iter().map(|last| ([192, 0, 2, *last], 6443).into());
            each.collect()
        };
        for (round, expected) in [(0, Some(1)), (1, Some(2)), (2, None), (3, None)] {
            let answer = found.recv().await.unwrap().answer;
            assert_eq!(started.elapsed(), interval * round);
            match (answer, expected) {
                (Answer::All(all), Some(last)) => assert_eq!(all, at(&[9, last])),
                (Answer::Some(some, why), None) => {
                    assert_eq!(some, at(&[9]));
                    assert_eq!(why.to_string(), "b does not resolve: no such name");
                }
                (other, _) => panic!("{other:?}"),
            }
        }
    }

    #[tokio::test]
    async fn nothing_is_none() {
        let resolve = |_| -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> {
            Box::pin(async { Err(io::ErrorKind::TimedOut.into()) })
        };
        let answer = round(&[host("a")], &resolve).await;
        assert!(matches!(answer, Answer::None(Failure::Resolve { .. })));
    }
}
