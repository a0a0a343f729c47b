//! From a check as written to one that can run: exactly one kind, certificates loaded.

use std::error::Error as _;
use std::fmt::Write as _;
use std::num::NonZeroU32;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::Duration;

use config::KeyPath;
use probe::{Http, Https, Identity, Secrecy, Statuses, Tls, TlsError, Trust};

use super::file;
use super::meant::{Check, Pace};
use super::reading::Reading;

const KINDS: [&str; 4] = ["tcp", "tls", "http", "https"];
const INTERVAL: Duration = Duration::from_secs(1);
const TIMEOUT: Duration = Duration::from_secs(1);
/// Enough that the balancers of three masters drift apart, little enough that nobody notices.
const JITTER: u8 = 10;
const IN_A_ROW: NonZeroU32 = NonZeroU32::MIN.saturating_add(1);
const PATH: &str = "/readyz";

/// A service account's token is some 1 KiB.
const MAX_TOKEN: u64 = 64 * 1024;
const SHORTEST: Duration = Duration::from_millis(10);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);

/// The check of a backend; a connection to the server when none is written.
pub(super) fn check(
    reading: &mut Reading<'_>,
    at: &KeyPath,
    written: Option<file::Check>,
) -> Check {
    let is_written = written.is_some();
    let written = written.unwrap_or_default();
    let interval = reading.time(&at.key("interval"), written.interval, SHORTEST..=HOUR);
    let down = at.key("downInterval");
    let down = reading.time(&down, written.down_interval, SHORTEST..=HOUR);
    let fast = at.key("fastInterval");
    let fast = reading.time(&fast, written.fast_interval, SHORTEST..=HOUR);
    let jitter = reading.number(&at.key("jitter"), written.jitter, 0..=50);
    let timeout = reading.time(&at.key("timeout"), written.timeout, SHORTEST..=MINUTE);
    let rise = reading.count(&at.key("rise"), written.rise);
    let fall = reading.count(&at.key("fall"), written.fall);
    let is_one = !is_written || reading.one_of(at, &KINDS).is_some();
    let probe = if is_one {
        kind(reading, at, written)
    } else {
        None
    };
    Check {
        // Where there is none an error was noted, and nothing will run.
        probe: probe.unwrap_or(probe::Check::Tcp),
        pace: Pace {
            steady: interval.unwrap_or(INTERVAL),
            down: down.or(interval).unwrap_or(INTERVAL),
            fast: fast.unwrap_or((interval.unwrap_or(INTERVAL) / 2).max(SHORTEST)),
            jitter: jitter.and_then(|j| u8::try_from(j).ok()).unwrap_or(JITTER),
        },
        timeout: timeout.unwrap_or(TIMEOUT),
        rise: rise.unwrap_or(IN_A_ROW),
        fall: fall.unwrap_or(IN_A_ROW),
    }
}

fn kind(
    reading: &mut Reading<'_>,
    at: &KeyPath,
    written: file::Check,
) -> Option<probe::Check> {
    let file::Check {
        tcp,
        tls: secure,
        http: clear,
        https: both,
        ..
    } = written;
    if let Some(file::Nothing {}) = tcp {
        return Some(probe::Check::Tcp);
    }
    if let Some(both) = both {
        let at = at.key("https");
        let (secure, request, token) = both.split();
        let secure = tls(reading, &at, secure);
        let http = http(reading, &at, request);
        let http = http.and_then(|http| with_token(reading, &at, http, token));
        return Some(probe::Check::Https(Https {
            tls: secure?,
            http: http?,
        }));
    }
    if let Some(clear) = clear {
        return http(reading, &at.key("http"), clear).map(probe::Check::Http);
    }
    if let Some(secure) = secure {
        return tls(reading, &at.key("tls"), secure).map(probe::Check::Tls);
    }
    Some(probe::Check::Tcp)
}

fn http(reading: &mut Reading<'_>, at: &KeyPath, written: file::Http) -> Option<Http> {
    let path = written.path.as_deref().unwrap_or(PATH);
    let request = Http::new(path);
    let request = refused(
        reading,
        &at.key("path"),
        request,
        "is not a path; write \"/readyz\"",
    );
    let statuses = written.status.as_deref().map(str::parse::<Statuses>);
    let statuses = match statuses {
        None => Some(Statuses::default()),
        Some(statuses) => refused(
            reading,
            &at.key("status"),
            statuses,
            "is not a status; write \"200\", \"200-399\" or \"200,404\"",
        ),
    };
    let mut request = request?.with_statuses(statuses?);
    for (name, value) in &written.headers {
        let with = request.clone().with_header(name, value, Secrecy::Open);
        let problem = "cannot be sent: a name of letters, digits and dashes that the check does not send itself, and a value on one line";
        if let Some(with) = refused(reading, &at.key("headers").key(name), with, problem)
        {
            request = with;
        }
    }
    if let Some(text) = &written.body {
        if text.is_empty() {
            reading.refuse(&at.key("body"), "is empty, and every body holds nothing");
        }
        request = request.with_body(text);
    }
    match written.host {
        None => Some(request),
        Some(host) => refused(
            reading,
            &at.key("host"),
            request.with_host(&host),
            "cannot be sent as Host",
        ),
    }
}

/// A token in a file that nobody but its owner may read.
fn with_token(
    reading: &mut Reading<'_>,
    at: &KeyPath,
    request: Http,
    file: Option<PathBuf>,
) -> Option<Http> {
    let Some(file) = file else {
        return Some(request);
    };
    let at = at.key("tokenFile");
    let read = std::fs::metadata(&file).and_then(|meta| {
        let is_open = meta.permissions().mode() & 0o077 != 0;
        let is_token = meta.is_file() && meta.len() <= MAX_TOKEN;
        if is_open || !is_token {
            return Ok(Err(is_open));
        }
        std::fs::read_to_string(&file).map(Ok)
    });
    let token = match read {
        Ok(Ok(token)) => token,
        Ok(Err(true)) => {
            reading.refuse(
                &at,
                "may be read by others; make it the user's of api-lb with mode 0600",
            );
            return None;
        }
        Ok(Err(false)) => {
            reading.refuse(&at, "is no regular file of at most 64 KiB");
            return None;
        }
        Err(error) => {
            reading.refuse(&at, format!("cannot be read: {error}"));
            return None;
        }
    };
    let token = token.trim();
    if token.is_empty() {
        reading.refuse(&at, "holds no token on one line");
        return None;
    }
    let value = format!("Bearer {token}");
    let with = request.with_header("authorization", &value, Secrecy::Secret);
    refused(reading, &at, with, "holds no token on one line")
}

fn tls(reading: &mut Reading<'_>, at: &KeyPath, written: file::Tls) -> Option<Tls> {
    let trust = trust(reading, at, written.ca_file);
    let identity = identity(reading, at, written.cert_file, written.key_file);
    let (trust, identity) = (trust?, identity?);
    match Tls::new(&trust, written.server_name.as_deref(), identity.as_ref()) {
        Ok(tls) => Some(tls),
        Err(error @ TlsError::ServerName(_)) => {
            drop(error);
            reading.refuse(
                &at.key("serverName"),
                "is neither a DNS name nor an IP address",
            );
            None
        }
        Err(error) => {
            reading.refuse(
                &at.key("certFile"),
                format!("cannot be used: {}", chain(&error)),
            );
            None
        }
    }
}

fn trust(
    reading: &mut Reading<'_>,
    at: &KeyPath,
    file: Option<PathBuf>,
) -> Option<Trust> {
    let Some(file) = file else {
        reading.warn(
            at,
            "without caFile the server's certificate is not verified",
        );
        return Some(Trust::Insecure);
    };
    let at = at.key("caFile");
    Trust::from_file(&file)
        .map_err(|error| {
            reading.refuse(&at, format!("cannot be used: {}", chain(&error)))
        })
        .ok()
}

/// The outer option: whether what is written can be used.
fn identity(
    reading: &mut Reading<'_>,
    at: &KeyPath,
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
) -> Option<Option<Identity>> {
    match (certificate, key) {
        (None, None) => Some(None),
        (Some(certificate), Some(key)) => Identity::from_files(&certificate, &key)
            .map(Some)
            .map_err(|error| {
                let at = at.key("certFile");
                reading.refuse(&at, format!("cannot be used: {}", chain(&error)));
            })
            .ok(),
        (Some(_), None) => {
            reading.refuse(&at.key("certFile"), "stands without keyFile; write both");
            None
        }
        (None, Some(_)) => {
            reading.refuse(&at.key("keyFile"), "stands without certFile; write both");
            None
        }
    }
}

fn refused<T, E>(
    reading: &mut Reading<'_>,
    at: &KeyPath,
    result: Result<T, E>,
    problem: &str,
) -> Option<T> {
    result.map_err(|_| reading.refuse(at, problem)).ok()
}

/// An error with its causes, on one line.
fn chain(error: &TlsError) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        // Writing to a String cannot fail.
        let _ = write!(line, ": {error}");
        cause = error.source();
    }
    line
}
