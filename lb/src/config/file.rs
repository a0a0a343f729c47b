//! The file as it is written. Every key is described in `docs/config/api-lb.md`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::str::FromStr;

use config::{Address, Period, QuantityError};
use serde::{Deserialize, Deserializer, de};

use super::meant::{Balance, Switch};
use crate::admit::WhenFull;

/// What `apiVersion` and `kind` stand above.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct File {
    pub(super) workers: Option<u32>,
    pub(super) drain_delay: Option<Period>,
    pub(super) drain_timeout: Option<Period>,
    pub(super) max_connections: Option<u32>,
    #[serde(default)]
    pub(super) when_full: WhenFull,
    #[serde(default)]
    pub(super) admin: Admin,
    pub(super) socket: Option<PathBuf>,
    #[serde(default)]
    pub(super) flight_recorder: FlightRecorder,
    #[serde(default)]
    pub(super) log: Log,
    #[serde(default)]
    pub(super) who: Who,
    pub(super) frontends: Vec<Frontend>,
    pub(super) backends: Vec<Backend>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Who {
    pub(super) keep: Option<Limit>,
    pub(super) entries: Option<u32>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct FlightRecorder {
    pub(super) directory: Option<PathBuf>,
    pub(super) connections: Option<Switch>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Admin {
    pub(super) address: Option<Address>,
    pub(super) password_file: Option<PathBuf>,
    pub(super) tls: Option<AdminTls>,
    pub(super) stats_path: Option<String>,
    #[serde(default)]
    pub(super) vip_daemon: VipDaemon,
}

/// Where the vip-daemon of this host says who has the address.
#[derive(Clone, Copy, Debug, Default)]
pub(super) enum VipDaemon {
    /// Its usual place.
    #[default]
    Usual,
    /// Nobody is asked.
    Off,
    At(Address),
}

impl<'de> Deserialize<'de> for VipDaemon {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match text.as_str() {
            "off" => Ok(Self::Off),
            _ => text
                .parse()
                .map(Self::At)
                .map_err(|error| de::Error::custom(format_args!("{error}, or off"))),
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AdminTls {
    pub(super) address: Address,
    pub(super) cert_file: PathBuf,
    pub(super) key_file: PathBuf,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Log {
    pub(super) format: daemon::log::Format,
    pub(super) level: Level,
    pub(super) to: daemon::log::Target,
    pub(super) connections: Switch,
    pub(super) max_rate: Option<u32>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Level {
    Error,
    Warn,
    #[default]
    Info,
    Debug,
    Trace,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Frontend {
    pub(super) name: String,
    pub(super) bind: Vec<Address>,
    pub(super) backend: String,
    pub(super) max_connections: Option<u32>,
    pub(super) max_rate: Option<u32>,
    #[serde(default)]
    pub(super) when_full: WhenFull,
    #[serde(default)]
    pub(super) allow: Vec<String>,
    #[serde(default)]
    pub(super) deny: Vec<String>,
    #[serde(default)]
    pub(super) sources: Sources,
    #[serde(default)]
    pub(super) accept_proxy: Vec<String>,
    #[serde(default)]
    pub(super) tcp_keepalive: Keepalive,
    pub(super) tcp_user_timeout: Option<Limit>,
    pub(super) tls: Option<FrontendTls>,
    #[serde(default)]
    pub(super) routes: Vec<Route>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FrontendTls {
    pub(super) only: Option<Switch>,
    pub(super) hello_timeout: Option<Period>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Route {
    #[serde(default)]
    pub(super) server_names: Vec<String>,
    #[serde(default)]
    pub(super) alpn: Vec<String>,
    pub(super) backend: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Sources {
    pub(super) max_connections: Option<u32>,
    pub(super) max_rate: Option<u32>,
    pub(super) table: Option<u32>,
}

/// `off`, or how a PROXY header is written.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum SendProxy {
    #[default]
    Off,
    V1,
    V2,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Backend {
    pub(super) name: String,
    #[serde(default)]
    pub(super) balance: Balance,
    pub(super) slow_start: Option<Limit>,
    #[serde(default)]
    pub(super) rebalance: Rebalance,
    #[serde(default)]
    pub(super) send_proxy: SendProxy,
    #[serde(default)]
    pub(super) queue: Queue,
    #[serde(default)]
    pub(super) timeouts: Timeouts,
    #[serde(default)]
    pub(super) dial_budget: DialBudget,
    #[serde(default)]
    pub(super) tcp_keepalive: Keepalive,
    pub(super) tcp_user_timeout: Option<Limit>,
    pub(super) check: Option<Check>,
    pub(super) discovery: Option<Discovery>,
    #[serde(default)]
    pub(super) servers: Vec<Server>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Discovery {
    pub(super) dns: Option<Dns>,
    pub(super) kubernetes: Option<Kubernetes>,
    pub(super) weight: Option<u32>,
    pub(super) max_connections: Option<u32>,
    pub(super) file: Option<PathBuf>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Dns {
    pub(super) names: Vec<String>,
    pub(super) interval: Option<Period>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Kubernetes {
    pub(super) kubeconfig: PathBuf,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Timeouts {
    pub(super) connect: Option<Period>,
    pub(super) idle: Option<Limit>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Rebalance {
    pub(super) mode: RebalanceMode,
    pub(super) quiet: Option<Period>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum RebalanceMode {
    #[default]
    Off,
    Gentle,
    Prompt,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Queue {
    pub(super) length: Option<u32>,
    pub(super) timeout: Option<Period>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct DialBudget {
    pub(super) time: Option<Period>,
    pub(super) attempts: Option<u32>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Keepalive {
    pub(super) idle: Option<Limit>,
    pub(super) interval: Option<Period>,
    pub(super) probes: Option<u32>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Check {
    pub(super) tcp: Option<Nothing>,
    pub(super) tls: Option<Tls>,
    pub(super) http: Option<Http>,
    pub(super) https: Option<Https>,
    pub(super) interval: Option<Period>,
    pub(super) down_interval: Option<Period>,
    pub(super) fast_interval: Option<Period>,
    pub(super) jitter: Option<u32>,
    pub(super) timeout: Option<Period>,
    pub(super) rise: Option<u32>,
    pub(super) fall: Option<u32>,
}

/// `{}`: a key without settings.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Nothing {}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Tls {
    pub(super) ca_file: Option<PathBuf>,
    pub(super) server_name: Option<String>,
    pub(super) cert_file: Option<PathBuf>,
    pub(super) key_file: Option<PathBuf>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Http {
    pub(super) path: Option<String>,
    pub(super) host: Option<String>,
    pub(super) status: Option<String>,
    #[serde(default)]
    pub(super) headers: BTreeMap<String, String>,
    pub(super) body: Option<String>,
}

/// The keys of [`Tls`] and of [`Http`]; written out, since `flatten` loses the lines.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Https {
    path: Option<String>,
    host: Option<String>,
    status: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    body: Option<String>,
    token_file: Option<PathBuf>,
    ca_file: Option<PathBuf>,
    server_name: Option<String>,
    cert_file: Option<PathBuf>,
    key_file: Option<PathBuf>,
}

impl Https {
    pub(super) fn split(self) -> (Tls, Http, Option<PathBuf>) {
        let Self {
            path,
            host,
            status,
            headers,
            body,
            token_file,
            ca_file,
            server_name,
            cert_file,
            key_file,
        } = self;
        let tls = Tls {
            ca_file,
            server_name,
            cert_file,
            key_file,
        };
        let http = Http {
            path,
            host,
            status,
            headers,
            body,
        };
        (tls, http, token_file)
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Server {
    pub(super) name: String,
    pub(super) address: Address,
    pub(super) weight: Option<u32>,
    pub(super) max_connections: Option<u32>,
    #[serde(default)]
    pub(super) backup: bool,
    #[serde(default)]
    pub(super) disabled: bool,
}

/// A time, or `off`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Limit {
    Off,
    After(Period),
}

impl FromStr for Limit {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, QuantityError> {
        if text == "off" {
            Ok(Self::Off)
        } else {
            text.parse().map(Self::After)
        }
    }
}

impl<'de> Deserialize<'de> for Limit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(|problem| de::Error::custom(format!("{problem}, or \"off\"")))
    }
}

impl Level {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}
