//! Whether the members of an etcd of others serve this host: each is shown what API servers
//! will show, and asked for its health.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ::probe::{
    Check, Http, Https, Identity, Outcome, RequestError, Stage, Tls, TlsError, Trust, run,
};
use daemon::chain;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use tokio::net::lookup_host;
use tokio::runtime::Builder;

use super::ProbeError;

/// What a member gets to answer: its health is a read that a majority agrees on, and an
/// election is over within that.
const PATIENCE: Duration = Duration::from_secs(3);
/// Where etcd says how it is, on the port of its clients.
const HEALTH: &str = "/health";
const WELL: &str = "\"health\":\"true\"";

/// Whom to ask, and with what.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Store {
    /// `https://…` of each member.
    pub endpoints: Vec<String>,
    /// Whom to trust, PEM.
    pub authority: String,
    /// What is shown, PEM.
    pub certificate: String,
    /// Its key, PEM.
    pub key: String,
}

/// What a member said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Member {
    /// It is well.
    Well,
    /// It is not reached.
    Silent(String),
    /// What it was shown it does not take.
    Refuses(String),
    /// What it shows is not to be trusted.
    Untrusted(String),
    /// It answers, and is not well.
    Ill(String),
}

/// Why a member cannot be asked.
#[derive(Debug, Error)]
enum AskError {
    #[error("it is no https://ADDRESS:PORT")]
    Endpoint,
    #[error("its name leads to no address")]
    Name(#[source] io::Error),
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error(transparent)]
    Request(#[from] RequestError),
}

/// Not the key.
impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Store({:?})", self.endpoints)
    }
}

/// Asks all at once; what each said, in the same order.
pub(super) fn ask(store: &Store) -> Result<Vec<Member>, ProbeError> {
    let authority = Trust::from_pem(store.authority.as_bytes());
    let identity = Identity::from_pem(store.certificate.as_bytes(), store.key.as_bytes());
    let all =
        |member: Member| Ok(store.endpoints.iter().map(|_| member.clone()).collect());
    let trust = match authority {
        Ok(trust) => trust,
        Err(error) => return all(Member::Untrusted(chain(&error))),
    };
    let shown = match identity {
        Ok(identity) => Arc::new((trust, identity)),
        Err(error) => return all(Member::Refuses(chain(&error))),
    };
    let runtime = Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(ProbeError::Runtime)?;
    Ok(runtime.block_on(async {
        let tasks = store.endpoints.iter().map(|endpoint| {
            let (endpoint, shown) = (endpoint.clone(), Arc::clone(&shown));
            tokio::spawn(async move { asked(&endpoint, &shown).await })
        });
        let tasks: Vec<_> = tasks.collect();
        let mut members = Vec::new();
        for task in tasks {
            let died = |error: tokio::task::JoinError| Member::Silent(error.to_string());
            members.push(task.await.unwrap_or_else(died));
        }
        members
    }))
}

async fn asked(endpoint: &str, shown: &(Trust, Identity)) -> Member {
    match outcome(endpoint, shown).await {
        Ok(outcome) => member(outcome),
        // A key that is not the certificate's.
        Err(error @ AskError::Tls(_)) => Member::Refuses(chain(&error)),
        Err(error) => Member::Silent(chain(&error)),
    }
}

async fn outcome(
    endpoint: &str,
    (trust, identity): &(Trust, Identity),
) -> Result<Outcome, AskError> {
    let (host, port) = parts(endpoint).ok_or(AskError::Endpoint)?;
    let mut addresses = lookup_host((host, port)).await.map_err(AskError::Name)?;
    let none = || AskError::Name(io::ErrorKind::NotFound.into());
    let address: SocketAddr = addresses.next().ok_or_else(none)?;
    let https = Https {
        tls: Tls::new(trust, Some(host), Some(identity))?,
        http: Http::new(HEALTH)?.with_body(WELL),
    };
    Ok(run(&Check::Https(https), address, PATIENCE).await.outcome)
}

/// Host and port of an endpoint; the address of IPv6 without its brackets.
fn parts(endpoint: &str) -> Option<(&str, u16)> {
    let (host, port) = endpoint.strip_prefix("https://")?.rsplit_once(':')?;
    let bare = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    Some((bare.unwrap_or(host), port.parse().ok()?))
}

/// What the end of a check says of a member. A certificate that it does not take it says so of
/// after the handshake (RFC 8446 section 4.4.2.4), when it is asked.
fn member(outcome: Outcome) -> Member {
    let why = outcome.to_string();
    match outcome {
        Outcome::Passed => Member::Well,
        Outcome::TlsRefused(_) => Member::Refuses(why),
        Outcome::TlsUntrusted(_) | Outcome::TlsExpired | Outcome::TlsNotYetValid => {
            Member::Untrusted(why)
        }
        Outcome::Local(_)
        | Outcome::Refused
        | Outcome::HostUnreachable
        | Outcome::NetworkUnreachable
        | Outcome::ConnectTimeout
        | Outcome::HandshakeTimeout(_)
        | Outcome::TlsProtocol
        | Outcome::Reset(Stage::Connect | Stage::Handshake, _)
        | Outcome::Closed(Stage::Connect | Stage::Handshake, _) => Member::Silent(why),
        Outcome::Reset(Stage::Request | Stage::Body, _)
        | Outcome::Closed(Stage::Request | Stage::Body, _)
        | Outcome::NoResponse(_)
        | Outcome::BadResponse
        | Outcome::Status(_)
        | Outcome::BodyTimeout
        | Outcome::BodyTooLarge
        | Outcome::BodyMismatch => Member::Ill(why),
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use pki::{Authority, Profile};
    use socket2::{Domain, Socket, Type};

    use super::*;

    #[test]
    fn an_endpoint_has_a_host_and_a_port() {
        for (endpoint, wanted) in [
            ("https://192.0.2.1:2379", Some(("192.0.2.1", 2379))),
            ("https://[2001:db8::1]:2379", Some(("2001:db8::1", 2379))),
            ("https://etcd.example.org:1", Some(("etcd.example.org", 1))),
            ("https://192.0.2.1", None),
            ("http://192.0.2.1:2379", None),
        ] {
            assert_eq!(parts(endpoint), wanted, "{endpoint}");
        }
    }

    #[test]
    fn each_end_says_what_a_member_is() {
        use ::probe::{Heard, Untrusted};
        let kind = |member: &Member| match member {
            Member::Well => "well",
            Member::Silent(_) => "silent",
            Member::Refuses(_) => "refuses",
            Member::Untrusted(_) => "untrusted",
            Member::Ill(_) => "ill",
        };
        let nothing = Heard::Nothing;
        for (outcome, wanted) in [
            (Outcome::Passed, "well"),
            (Outcome::Refused, "silent"),
            (Outcome::HandshakeTimeout(nothing), "silent"),
            (Outcome::Reset(Stage::Handshake, nothing), "silent"),
            (Outcome::Reset(Stage::Request, nothing), "ill"),
            (Outcome::Closed(Stage::Request, nothing), "ill"),
            (Outcome::TlsRefused(42), "refuses"),
            (Outcome::TlsUntrusted(Untrusted::Issuer), "untrusted"),
            (Outcome::TlsExpired, "untrusted"),
            (Outcome::Status(503), "ill"),
            (Outcome::BodyMismatch, "ill"),
        ] {
            assert_eq!(kind(&member(outcome)), wanted, "{outcome:?}");
        }
    }

    /// Nobody listens there; what is shown is looked at before that.
    #[test]
    fn who_is_not_there_is_silent_and_a_key_of_another_is_named() {
        // Bound and not listening: nobody else is given its port meanwhile.
        let mute = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        mute.bind(&any.into()).unwrap();
        let at = mute.local_addr().unwrap().as_socket().unwrap();
        let now = SystemTime::now();
        let authority = Authority::new("theirs", now).unwrap();
        let issue = || authority.issue(&Profile::client("a", &[]), now).unwrap();
        let (own, other) = (issue(), issue());
        let store = |key: &str| Store {
            endpoints: vec![format!("https://{at}")],
            authority: authority.certificate_pem().to_owned(),
            certificate: own.certificate_pem.clone(),
            key: key.to_owned(),
        };
        let said = ask(&store(own.key_pem.expose())).unwrap();
        assert_eq!(said, [Member::Silent("connection refused".to_owned())]);
        for key in [other.key_pem.expose(), "no key"] {
            let said = ask(&store(key)).unwrap();
            assert!(matches!(said[..], [Member::Refuses(_)]), "{said:?}");
        }
        let store = store(own.key_pem.expose());
        assert!(!format!("{store:?}").contains("PRIVATE"));
    }
}
