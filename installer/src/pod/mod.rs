//! What runs in the Pods that `verify` lays down: this very program. It answers with the name
//! of its Pod, and when it is told to, it asks other Pods, Services and the cluster's DNS.
//!
//! ```text
//! kubectl exec ──▶ sternpost pod ask '{…}' ──▶ DNS, other Pods, Services
//! others ──▶ sternpost pod answer (port 8080)
//! ```

mod dns;
mod http;

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, TcpListener};
use std::thread::{self, park_timeout};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

pub use dns::DnsError;
pub use http::{GetError, get};

/// Where it answers in its Pod: a port that nobody needs a right for.
pub const PORT: u16 = 8080;
/// The first line that it says; the name of its Pod follows.
pub const GREETING: &str = "sternpost answers in ";

const RESOLVE: &str = "/etc/resolv.conf";
/// Between two tries of a question: a Service is in the kernel a moment after it is made.
const AGAIN: Duration = Duration::from_millis(200);
/// Questions that are asked at once.
const AT_ONCE: usize = 32;

/// What a Pod is told to find out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Asked {
    /// Who is asked for names; nobody: the name servers of its `/etc/resolv.conf`.
    pub name_servers: Vec<IpAddr>,
    /// Names.
    pub names: Vec<String>,
    /// Where somebody is to answer.
    pub servers: Vec<SocketAddr>,
    /// How long each is tried, ms.
    pub patience: u64,
}

/// What a Pod has found out, in the order of what it was asked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Told {
    /// Who was asked for names.
    pub name_servers: Vec<IpAddr>,
    /// The addresses of each name.
    pub names: Vec<Heard<Vec<IpAddr>>>,
    /// Who answered.
    pub servers: Vec<Heard<String>>,
}

/// What came of one question.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Heard<T> {
    /// The answer, or why there is none.
    pub what: Result<T, String>,
    /// From the first try to the last, ms.
    pub took: u64,
}

/// The name of this Pod, which is its host's name to it.
#[must_use]
pub fn name() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    name.trim().to_owned()
}

/// Answers with the name of this Pod until it is ended; why it does not.
#[must_use]
pub fn answer() -> io::Error {
    let listener = match TcpListener::bind((Ipv6Addr::UNSPECIFIED, PORT)) {
        // A kernel without IPv6.
        Err(_) => TcpListener::bind(("0.0.0.0", PORT)),
        bound => bound,
    };
    match listener {
        Ok(listener) => http::serve(&listener, &name()),
        Err(error) => error,
    }
}

/// Asks everything that this Pod is told to, from where it is.
#[must_use]
pub fn ask(asked: &Asked) -> Told {
    let name_servers = match asked.name_servers.as_slice() {
        [] => name_servers(&fs::read_to_string(RESOLVE).unwrap_or_default()),
        named => named.to_vec(),
    };
    let patience = Duration::from_millis(asked.patience);
    Told {
        names: each(&asked.names, patience, |name| {
            dns::resolve(&name_servers, name).map_err(|error| daemon::chain(&error))
        }),
        servers: each(&asked.servers, patience, |server| {
            get(*server).map_err(|error| daemon::chain(&error))
        }),
        name_servers,
    }
}

/// The addresses behind `nameserver` (resolv.conf(5)).
fn name_servers(text: &str) -> Vec<IpAddr> {
    let address = |line: &str| line.strip_prefix("nameserver")?.trim().parse().ok();
    text.lines().filter_map(address).collect()
}

/// All questions, some of them at once; the answers in their order.
fn each<Q: Sync, A: Send>(
    questions: &[Q],
    patience: Duration,
    ask: impl Fn(&Q) -> Result<A, String> + Sync,
) -> Vec<Heard<A>> {
    let ask = &ask;
    let mut all = Vec::new();
    for some in questions.chunks(AT_ONCE) {
        thread::scope(|scope| {
            let tries = some
                .iter()
                .map(|one| scope.spawn(move || tried(patience, || ask(one))));
            let tries: Vec<_> = tries.collect();
            all.extend(tries.into_iter().map(|one| {
                let died = |_| Heard {
                    what: Err("its thread died".to_owned()),
                    took: 0,
                };
                one.join().unwrap_or_else(died)
            }));
        });
    }
    all
}

/// Again and again until there is an answer, or the time is over.
fn tried<A>(patience: Duration, ask: impl Fn() -> Result<A, String>) -> Heard<A> {
    let begun = Instant::now();
    loop {
        let what = ask();
        let took = begun.elapsed();
        if what.is_ok() || took >= patience {
            let took = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
            return Heard { what, took };
        }
        park_timeout(AGAIN);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn name_servers_are_those_of_the_file() {
        let text = "search a.svc\nnameserver 10.96.0.10\n#nameserver 1.1.1.1\nnameserver fd00::a\n";
        let wanted = ["10.96.0.10", "fd00::a"].map(|one| one.parse::<IpAddr>().unwrap());
        assert_eq!(name_servers(text), wanted);
    }

    #[test]
    fn a_question_is_tried_until_it_is_answered_or_its_time_is_over() {
        let count = Cell::new(0);
        let third = || {
            count.set(count.get() + 1);
            match count.get() {
                3.. => Ok(count.get()),
                _ => Err("not yet".to_owned()),
            }
        };
        assert_eq!(tried(Duration::from_secs(60), third).what, Ok(3));
        let never = tried::<()>(Duration::ZERO, || Err("no".to_owned()));
        assert_eq!(never.what, Err("no".to_owned()));
    }

    #[test]
    fn answers_come_in_the_order_of_the_questions() {
        let questions: Vec<usize> = (0..3 * AT_ONCE).collect();
        let all = each(&questions, Duration::ZERO, |one| Ok(one * 2));
        let all: Vec<_> = all.into_iter().map(|one| one.what.unwrap()).collect();
        let wanted: Vec<_> = questions.iter().map(|one| one * 2).collect();
        assert_eq!(all, wanted);
    }
}
