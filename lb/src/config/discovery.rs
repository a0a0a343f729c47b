//! Where more servers are found, from the file to what is meant.

use std::num::NonZeroU32;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use config::KeyPath;

use super::backends::MAX_WEIGHT;
use super::convert::MAX_CONNECTIONS;
use super::file;
use super::meant::{Discovery, Host, Source};
use super::reading::Reading;
use crate::discover::{Credentials, memory};

/// A master is added or replaced within minutes; a resolver on the host has the answer.
const INTERVAL: Duration = Duration::from_secs(30);
const INTERVALS: RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_secs(60 * 60);
const DIRECTORY: &str = "/var/lib/sternpost/api-lb";
/// RFC 1035, section 2.3.4, without the root's dot.
const LONGEST: usize = 253;
/// One name has all masters; two have those of two sites.
const MAX_NAMES: usize = 8;

pub(super) fn discovery(
    reading: &mut Reading<'_>,
    at: &KeyPath,
    backend: &str,
    written: Option<file::Discovery>,
) -> Option<Discovery> {
    let file::Discovery {
        dns,
        kubernetes,
        weight,
        max_connections,
        file,
    } = written?;
    let weight = reading.number(&at.key("weight"), weight, 1..=MAX_WEIGHT);
    let most = at.key("maxConnections");
    let most = reading.number(&most, max_connections, 1..=MAX_CONNECTIONS);
    let file = file.unwrap_or_else(|| {
        let name = format!("servers-{backend}.json");
        PathBuf::from(DIRECTORY).join(name)
    });
    let file = (file.as_os_str() != "off").then_some(file);
    let remembered = file.as_deref().map_or_else(Vec::new, |file| {
        memory::read(file).unwrap_or_else(|error| {
            let sentence = format!(
                "{} cannot be used ({error}), so that nothing is known before the first answer; remove it",
                file.display()
            );
            reading.warn(&at.key("file"), &sentence);
            Vec::new()
        })
    });
    reading.one_of(at, &["dns", "kubernetes"])?;
    let source = match (dns, kubernetes) {
        (Some(dns), _) => names(reading, &at.key("dns"), dns),
        (None, Some(cluster)) => kubeconfig(reading, &at.key("kubernetes"), cluster),
        (None, None) => None,
    };
    Some(Discovery {
        source: source?,
        weight: weight.and_then(|w| u16::try_from(w).ok()).unwrap_or(1),
        max_connections: most.and_then(NonZeroU32::new),
        file,
        remembered,
    })
}

fn names(reading: &mut Reading<'_>, at: &KeyPath, written: file::Dns) -> Option<Source> {
    let interval = reading.time(&at.key("interval"), written.interval, INTERVALS);
    let list = at.key("names");
    if written.names.is_empty() || written.names.len() > MAX_NAMES {
        reading.refuse(&list, format!("must be 1 to {MAX_NAMES} names"));
    }
    let mut hosts = Vec::new();
    for (i, text) in written.names.iter().enumerate() {
        match host(text) {
            Ok(host) => hosts.push(host),
            Err(problem) => reading.refuse(&list.index(i), problem),
        }
    }
    Some(Source::Dns {
        hosts,
        interval: interval.unwrap_or(INTERVAL),
    })
}

fn host(text: &str) -> Result<Host, &'static str> {
    if text.parse::<std::net::SocketAddr>().is_ok() {
        return Err("is an address; write it under servers");
    }
    let (name, port) = text
        .rsplit_once(':')
        .ok_or("has no port; write such as \"masters.example.com:6443\"")?;
    let port = port.parse().ok().filter(|port| *port != 0);
    let port = port.ok_or("has no port that is one; allowed: 1 to 65535")?;
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let is_label =
        |label: &str| (1..=63).contains(&label.len()) && label.chars().all(fits);
    let labels = name.strip_suffix('.').unwrap_or(name);
    if labels.len() > LONGEST || !labels.split('.').all(is_label) {
        return Err("is not a name; write such as \"masters.example.com:6443\"");
    }
    Ok(Host {
        name: name.into(),
        port,
    })
}

/// It has to be there before anything is touched, as certificates of checks have to.
fn kubeconfig(
    reading: &mut Reading<'_>,
    at: &KeyPath,
    written: file::Kubernetes,
) -> Option<Source> {
    if let Err(error) = Credentials::read(&written.kubeconfig) {
        reading.refuse(&at.key("kubeconfig"), format!("cannot be used: {error}"));
    }
    Some(Source::Kubernetes {
        kubeconfig: written.kubeconfig,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts() {
        for (text, expected) in [
            (
                "masters.example.com:6443",
                Some(("masters.example.com", 6443)),
            ),
            ("localhost:1", Some(("localhost", 1))),
            ("a_b.example.com.:443", Some(("a_b.example.com.", 443))),
            ("192.0.2.1:6443", None),
            ("[2001:db8::1]:6443", None),
            ("masters.example.com", None),
            ("masters.example.com:0", None),
            ("masters.example.com:65536", None),
            ("https://masters:6443", None),
            ("a..b:1", None),
            (":6443", None),
        ] {
            let got = host(text).ok();
            let got = got.as_ref().map(|host| (&*host.name, host.port));
            assert_eq!(got, expected, "{text}");
        }
    }
}
