//! What a track asks: the values of the file, comparable for reload, and the check they
//! make.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use probe::{Check, Http, Https, RequestError, Tls, TlsError, Trust};

/// What is asked, with the contents of the files it names, so that a reload sees a
/// changed authority.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A connection.
    Tcp(SocketAddr),
    /// A plain `GET`.
    Http {
        /// Whom.
        address: SocketAddr,
        /// What.
        path: String,
    },
    /// A `GET` over TLS.
    Https {
        /// Whom.
        address: SocketAddr,
        /// What.
        path: String,
        /// PEM of whom to trust; without it the certificate is not looked at.
        authorities: Option<Vec<u8>>,
        /// The name the certificate must carry; the address when absent.
        server_name: Option<String>,
    },
    /// A program that the scripts' unit runs: exit code 0 passes.
    Script(Script),
    /// A program of this name that runs.
    Process(String),
    /// A file that is there.
    File(PathBuf),
    /// A number that stands in a file, and is multiplied by the weight.
    FileValue(PathBuf),
    /// An interface that is up and has a carrier.
    Interface(String),
    /// Another router of this daemon that is Active.
    Router(String),
}

/// A program that is run for its exit code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script {
    /// The program, by its absolute path, and its arguments. Never empty.
    pub command: Vec<String>,
    /// As whom it runs; as the scripts' unit when absent.
    pub user: Option<String>,
    /// Where the unit that runs it listens.
    pub socket: PathBuf,
}

/// Why a target cannot be asked.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// The request is none.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// The handshake cannot be prepared.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// Not `scheme://ip[:port]/path`.
    #[error(
        "is not a URL with an IP address; write it like \"{0}://127.0.0.1:9000/readyz\""
    )]
    Url(&'static str),
}

impl Target {
    /// As `status` and the log name it.
    pub fn name(&self) -> String {
        match self {
            Self::Tcp(address) => format!("tcp://{address}"),
            Self::Http { address, path } => format!("http://{address}{path}"),
            Self::Https { address, path, .. } => format!("https://{address}{path}"),
            Self::Script(script) => format!("script {}", script.command.join(" ")),
            Self::Process(name) => format!("process {name}"),
            Self::File(path) => format!("file {}", path.display()),
            Self::FileValue(path) => format!("value of {}", path.display()),
            Self::Interface(name) => format!("interface {name}"),
            Self::Router(name) => format!("router {name}"),
        }
    }

    /// Whom to ask over the network, and what; `None` where this host is asked.
    ///
    /// # Errors
    /// When the path, the authorities or the server name cannot be used.
    pub fn endpoint(&self) -> Result<Option<(SocketAddr, Check)>, TargetError> {
        Ok(match self {
            Self::Tcp(address) => Some((*address, Check::Tcp)),
            Self::Http { address, path } => {
                Some((*address, Check::Http(Http::new(path)?)))
            }
            Self::Https {
                address,
                path,
                authorities,
                server_name,
            } => {
                let trust = match authorities {
                    Some(pem) => Trust::from_pem(pem)?,
                    None => Trust::Insecure,
                };
                let tls = Tls::new(&trust, server_name.as_deref(), None)?;
                let http = Http::new(path)?;
                Some((*address, Check::Https(Https { tls, http })))
            }
            Self::Script(_)
            | Self::Process(_)
            | Self::File(_)
            | Self::FileValue(_)
            | Self::Interface(_)
            | Self::Router(_) => None,
        })
    }
}

/// Takes `scheme://ip[:port]/path` apart.
///
/// # Errors
/// [`TargetError::Url`] for everything else, names included: resolving one would make the
/// address depend on DNS.
pub(super) fn url(
    scheme: &'static str,
    default_port: u16,
    text: &str,
) -> Result<(SocketAddr, String), TargetError> {
    let rest = text
        .strip_prefix(scheme)
        .and_then(|rest| rest.strip_prefix("://"));
    let rest = rest.ok_or(TargetError::Url(scheme))?;
    let (authority, path) = match rest.find('/') {
        Some(at) => rest.split_at(at),
        None => (rest, "/"),
    };
    let bare = authority.trim_start_matches('[').trim_end_matches(']');
    let address = match (authority.parse::<SocketAddr>(), bare.parse::<IpAddr>()) {
        (Ok(address), _) => address,
        (Err(_), Ok(ip)) => SocketAddr::new(ip, default_port),
        (Err(_), Err(_)) => return Err(TargetError::Url(scheme)),
    };
    Ok((address, path.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_urls_apart_and_refuses_names() {
        for (text, expected) in [
            (
                "https://127.0.0.1:9000/readyz",
                Some(("127.0.0.1:9000", "/readyz")),
            ),
            ("https://127.0.0.1", Some(("127.0.0.1:443", "/"))),
            ("https://[::1]:9000/a?b=c", Some(("[::1]:9000", "/a?b=c"))),
            ("https://[::1]/a", Some(("[::1]:443", "/a"))),
            ("https://localhost/a", None),
            ("http://127.0.0.1/a", None),
            ("127.0.0.1:9000/a", None),
        ] {
            let read = url("https", 443, text).ok();
            let expected = expected
                .map(|(address, path)| (address.parse().unwrap(), path.to_owned()));
            assert_eq!(read, expected, "{text}");
        }
    }
}
