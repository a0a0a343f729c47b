//! Who may come in, and how a client behind a proxy is told: from the file to what is meant.

use std::num::NonZeroU32;

use config::KeyPath;

use super::convert::MAX_CONNECTIONS;
use super::file::{self, SendProxy};
use super::reading::Reading;
use crate::admit::{Limits, Network, Rules};
use crate::proxy::Version;

/// More per second than any balancer accepts.
const MAX_RATE: u32 = 1_000_000;
/// 65,536 sources take some 4 MiB.
const TABLE: u32 = 65_536;
const MAX_TABLE: u32 = 1 << 20;
const MIN_TABLE: u32 = 16;

pub(super) fn rules(
    reading: &mut Reading<'_>,
    at: &KeyPath,
    frontend: &file::Frontend,
) -> Rules {
    let limit = |reading: &mut Reading<'_>, key: KeyPath, written, most| {
        reading
            .number(&key, written, 1..=most)
            .and_then(NonZeroU32::new)
    };
    let sources = at.key("sources");
    let table = reading.number(
        &sources.key("table"),
        frontend.sources.table,
        MIN_TABLE..=MAX_TABLE,
    );
    Rules {
        connections: limit(
            reading,
            at.key("maxConnections"),
            frontend.max_connections,
            MAX_CONNECTIONS,
        ),
        rate: limit(reading, at.key("maxRate"), frontend.max_rate, MAX_RATE),
        when_full: frontend.when_full,
        allow: networks(reading, &at.key("allow"), &frontend.allow),
        deny: networks(reading, &at.key("deny"), &frontend.deny),
        sources: Limits {
            connections: limit(
                reading,
                sources.key("maxConnections"),
                frontend.sources.max_connections,
                MAX_CONNECTIONS,
            ),
            rate: limit(
                reading,
                sources.key("maxRate"),
                frontend.sources.max_rate,
                MAX_RATE,
            ),
            table: table.unwrap_or(TABLE),
        },
        proxies: networks(reading, &at.key("acceptProxy"), &frontend.accept_proxy),
    }
}

/// A kube-apiserver takes the header for a broken ClientHello, and so does every server
/// that is checked without one.
pub(super) fn send_proxy(
    reading: &mut Reading<'_>,
    at: &KeyPath,
    backend: &file::Backend,
) -> Option<Version> {
    let version = match backend.send_proxy {
        SendProxy::Off => return None,
        SendProxy::V1 => Version::V1,
        SendProxy::V2 => Version::V2,
    };
    let check = backend.check.as_ref();
    let speaks = check.is_some_and(|check| {
        check.tls.is_some() || check.http.is_some() || check.https.is_some()
    });
    if speaks {
        reading.refuse(
            &at.key("sendProxy"),
            "does not go with a check that speaks to the server without the header, as to a kube-apiserver: a kube-apiserver takes the header for a broken TLS handshake and ends every connection; remove sendProxy, or check servers that want the header with tcp",
        );
    }
    Some(version)
}

fn networks(
    reading: &mut Reading<'_>,
    list: &KeyPath,
    written: &[String],
) -> Vec<Network> {
    let mut networks = Vec::with_capacity(written.len());
    for (i, text) in written.iter().enumerate() {
        match text.parse() {
            Ok(network) => networks.push(network),
            Err(error) => reading.refuse(&list.index(i), format!("{error}")),
        }
    }
    networks
}
