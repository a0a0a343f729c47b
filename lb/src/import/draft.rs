//! What will be written: only what may stand in a file of ours.

mod name;

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

use config::Period;

pub(super) use name::name;
use name::quoted;

/// A whole file.
#[derive(Debug, Default)]
pub(super) struct Draft {
    pub(super) workers: Option<u32>,
    pub(super) drain_timeout: Option<Duration>,
    pub(super) max_connections: Option<u32>,
    /// The file of those who may sign in at the page.
    pub(super) passwords: Option<String>,
    pub(super) admin: Option<SocketAddr>,
    /// Where the page was.
    pub(super) stats_path: Option<String>,
    pub(super) frontends: Vec<Frontend>,
    pub(super) backends: Vec<Backend>,
}

#[derive(Debug)]
pub(super) struct Frontend {
    pub(super) name: String,
    pub(super) binds: Vec<SocketAddr>,
    pub(super) backend: String,
    pub(super) routes: Vec<Route>,
    pub(super) terms: Terms,
}

/// Where clients go that ask for one of these names.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Route {
    pub(super) names: Vec<String>,
    pub(super) backend: String,
}

/// On which terms clients come in.
#[derive(Clone, Debug, Default)]
pub(super) struct Terms {
    pub(super) max_connections: Option<u32>,
    pub(super) source_connections: Option<u32>,
    pub(super) source_rate: Option<u32>,
    pub(super) source_table: Option<u32>,
    pub(super) allow: Vec<String>,
    pub(super) deny: Vec<String>,
    pub(super) accept_proxy: Vec<String>,
    pub(super) max_rate: Option<u32>,
    pub(super) tls_only: Option<Duration>,
    /// How long routes wait for a ClientHello, where it is not TLS alone.
    pub(super) hello: Option<Duration>,
}

#[derive(Debug, Default)]
pub(super) struct Backend {
    pub(super) name: String,
    /// As it is written; roundrobin when not.
    pub(super) balance: Option<&'static str>,
    pub(super) slow_start: Option<Duration>,
    /// `v1` or `v2`.
    pub(super) send_proxy: Option<&'static str>,
    pub(super) queue_length: Option<u32>,
    pub(super) queue_timeout: Option<Duration>,
    pub(super) connect: Option<Duration>,
    pub(super) idle: Option<Duration>,
    pub(super) check: Check,
    pub(super) servers: Vec<Server>,
    /// What a person has to fill in, as comments.
    pub(super) missing: Vec<String>,
}

/// How servers are watched, where it is said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Check {
    pub(super) kind: Kind,
    pub(super) path: Option<String>,
    pub(super) host: Option<String>,
    pub(super) status: Option<String>,
    pub(super) ca_file: Option<String>,
    pub(super) server_name: Option<String>,
    pub(super) interval: Option<Duration>,
    pub(super) down_interval: Option<Duration>,
    pub(super) fast_interval: Option<Duration>,
    pub(super) timeout: Option<Duration>,
    pub(super) rise: Option<u32>,
    pub(super) fall: Option<u32>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Kind {
    #[default]
    Tcp,
    Tls,
    Http,
    Https,
}

#[derive(Debug)]
pub(super) struct Server {
    pub(super) name: String,
    pub(super) address: SocketAddr,
    pub(super) weight: Option<u32>,
    pub(super) max_connections: Option<u32>,
    pub(super) backup: bool,
    pub(super) disabled: bool,
}

impl Draft {
    /// As text, saying where it is from.
    pub(super) fn yaml(&self, file: &str) -> String {
        let file = file.replace(char::is_control, "?");
        let mut out = format!(
            "# Imported from {file}; `api-lb import` says what became of each directive.\napiVersion: sternpost/v1\nkind: ApiLb\n"
        );
        if let Some(workers) = self.workers {
            add(&mut out, format_args!("workers: {workers}"));
        }
        if let Some(time) = self.drain_timeout {
            add(&mut out, format_args!("drainTimeout: {}", Period(time)));
        }
        if let Some(most) = self.max_connections {
            add(&mut out, format_args!("maxConnections: {most}"));
        }
        let address = self.admin.map(|address| format!("address: \"{address}\""));
        let passwords = self.passwords.as_ref();
        let passwords = passwords.map(|file| format!("passwordFile: {}", quoted(file)));
        let path = self.stats_path.as_ref();
        let path = path.map(|path| format!("statsPath: {}", quoted(path)));
        let admin = address.into_iter().chain(path).chain(passwords);
        let admin: Vec<String> = admin.collect();
        if !admin.is_empty() {
            add(&mut out, format_args!("admin: {{{}}}", admin.join(", ")));
        }
        out += "frontends:\n";
        for frontend in &self.frontends {
            frontend.write(&mut out);
        }
        out += "backends:\n";
        for backend in &self.backends {
            backend.write(&mut out);
        }
        out
    }
}

impl Frontend {
    fn write(&self, out: &mut String) {
        let binds: Vec<String> = self
            .binds
            .iter()
            .map(|bind| format!("\"{bind}\""))
            .collect();
        add(out, format_args!("- name: {}", self.name));
        add(out, format_args!("  bind: [{}]", binds.join(", ")));
        add(out, format_args!("  backend: {}", self.backend));
        self.terms.write(out);
        if !self.routes.is_empty() {
            *out += "  routes:\n";
        }
        for route in &self.routes {
            let names: Vec<String> =
                route.names.iter().map(|name| quoted(name)).collect();
            let (names, backend) = (names.join(", "), &route.backend);
            add(
                out,
                format_args!("  - {{serverNames: [{names}], backend: {backend}}}"),
            );
        }
    }
}

impl Terms {
    fn write(&self, out: &mut String) {
        if let Some(most) = self.max_connections {
            add(out, format_args!("  maxConnections: {most}"));
        }
        if let Some(most) = self.max_rate {
            add(out, format_args!("  maxRate: {most}"));
        }
        let sources = [
            ("maxConnections", self.source_connections),
            ("maxRate", self.source_rate),
            ("table", self.source_table),
        ];
        let sources: Vec<String> = sources
            .into_iter()
            .filter_map(|(key, value)| Some(format!("{key}: {}", value?)))
            .collect();
        if !sources.is_empty() {
            add(out, format_args!("  sources: {{{}}}", sources.join(", ")));
        }
        let lists = [
            ("allow", &self.allow),
            ("deny", &self.deny),
            ("acceptProxy", &self.accept_proxy),
        ];
        for (key, list) in lists.into_iter().filter(|(_, list)| !list.is_empty()) {
            let list: Vec<String> = list.iter().map(|network| quoted(network)).collect();
            add(out, format_args!("  {key}: [{}]", list.join(", ")));
        }
        if let Some(time) = self.tls_only {
            add(
                out,
                format_args!("  tls: {{only: on, helloTimeout: {}}}", Period(time)),
            );
        } else if let Some(time) = self.hello {
            add(
                out,
                format_args!("  tls: {{helloTimeout: {}}}", Period(time)),
            );
        }
    }
}

impl Backend {
    fn write(&self, out: &mut String) {
        add(out, format_args!("- name: {}", self.name));
        if let Some(balance) = self.balance {
            add(out, format_args!("  balance: {balance}"));
        }
        if let Some(time) = self.slow_start {
            add(out, format_args!("  slowStart: {}", Period(time)));
        }
        if let Some(version) = self.send_proxy {
            add(out, format_args!("  sendProxy: {version}"));
        }
        let length = self.queue_length.map(|length| format!("length: {length}"));
        let timeout = self
            .queue_timeout
            .map(|time| format!("timeout: {}", Period(time)));
        let queue: Vec<String> = length.into_iter().chain(timeout).collect();
        if !queue.is_empty() {
            add(out, format_args!("  queue: {{{}}}", queue.join(", ")));
        }
        let times = [("connect", self.connect), ("idle", self.idle)];
        let times: Vec<String> = times
            .into_iter()
            .filter_map(|(key, time)| Some(format!("{key}: {}", Period(time?))))
            .collect();
        if !times.is_empty() {
            add(out, format_args!("  timeouts: {{{}}}", times.join(", ")));
        }
        // No attempt may take longer than all of them.
        if let Some(connect) = self.connect.filter(|time| *time > DIAL_TIME) {
            add(
                out,
                format_args!("  dialBudget: {{time: {}}}", Period(connect)),
            );
        }
        self.check.write(out);
        *out += "  servers:\n";
        for server in &self.servers {
            server.write(out);
        }
        for missing in &self.missing {
            add(
                out,
                format_args!("  # {}", missing.replace(char::is_control, "?")),
            );
        }
    }
}

/// The default of `dialBudget.time`.
const DIAL_TIME: Duration = Duration::from_secs(5);

impl Check {
    fn write(&self, out: &mut String) {
        let both = [
            ("path", &self.path),
            ("host", &self.host),
            ("status", &self.status),
        ];
        let tls = [("caFile", &self.ca_file), ("serverName", &self.server_name)];
        let (name, keys) = match self.kind {
            Kind::Tcp => ("tcp", vec![]),
            Kind::Tls => ("tls", tls.to_vec()),
            Kind::Http => ("http", both.to_vec()),
            Kind::Https => ("https", both.into_iter().chain(tls).collect()),
        };
        let keys: Vec<String> = keys
            .into_iter()
            .filter_map(|(key, value)| {
                Some(format!("{key}: {}", quoted(value.as_ref()?)))
            })
            .collect();
        add(
            out,
            format_args!("  check:\n    {name}: {{{}}}", keys.join(", ")),
        );
        let times = [
            ("interval", self.interval),
            ("downInterval", self.down_interval),
            ("fastInterval", self.fast_interval),
            ("timeout", self.timeout),
        ];
        for (key, time) in times {
            if let Some(time) = time {
                add(out, format_args!("    {key}: {}", Period(time)));
            }
        }
        for (key, count) in [("rise", self.rise), ("fall", self.fall)] {
            if let Some(count) = count {
                add(out, format_args!("    {key}: {count}"));
            }
        }
    }
}

impl Server {
    fn write(&self, out: &mut String) {
        let mut line = format!("{{name: {}, address: \"{}\"", self.name, self.address);
        if let Some(weight) = self.weight {
            line += &format!(", weight: {weight}");
        }
        if let Some(most) = self.max_connections {
            line += &format!(", maxConnections: {most}");
        }
        if self.backup {
            line += ", backup: true";
        }
        if self.disabled {
            line += ", disabled: true";
        }
        add(out, format_args!("  - {line}}}"));
    }
}

/// What slowStart and queue.timeout may say.
pub(super) const SLOW_START: RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_secs(60 * 60);
pub(super) const QUEUE: RangeInclusive<Duration> =
    Duration::from_millis(10)..=Duration::from_secs(60);

/// The most clients that may wait, and connections that a server may have.
pub(super) const MOST_WAITING: u32 = 65_536;
pub(super) const MOST_CONNECTIONS: u32 = 1_048_576;
/// The most new connections a second that may be written.
pub(super) const MOST_RATE: u32 = 1_000_000;

fn add(out: &mut String, line: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = writeln!(out, "{line}");
}
