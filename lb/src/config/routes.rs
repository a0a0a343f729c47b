//! From what a frontend wants to hear as written to the rules as meant.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use config::KeyPath;

use super::file;
use super::meant::Switch;
use super::reading::Reading;
use crate::hello::{Pattern, Route, Rules};

/// A client on a bad line needs two round trips of the kernel's longest first timeout.
const HELLO: Duration = Duration::from_secs(5);
const HELLOS: RangeInclusive<Duration> =
    Duration::from_millis(10)..=Duration::from_secs(60);

/// The rules of a frontend and the backends of their routes; none when it says nothing of them.
pub(super) fn rules(
    reading: &mut Reading<'_>,
    at: &KeyPath,
    tls: Option<file::FrontendTls>,
    routes: Vec<file::Route>,
) -> (Option<Arc<Rules>>, Vec<Arc<str>>) {
    let tls = tls.unwrap_or_default();
    let only = tls.only.unwrap_or(Switch::Off);
    let key = at.key("tls").key("helloTimeout");
    let timeout = reading.time(&key, tls.hello_timeout, HELLOS);
    let backends = routes.iter().map(|route| route.backend.as_str().into());
    let backends = backends.collect();
    let each = routes.into_iter().enumerate();
    let routes: Vec<Route> = each
        .map(|(i, written)| route(reading, &at.key("routes").index(i), written))
        .collect();
    if only == Switch::Off && routes.is_empty() {
        if timeout.is_some() {
            reading.refuse(
                &key,
                "waits for nothing: write it beside `only: on` or routes",
            );
        }
        return (None, Vec::new());
    }
    let rules = Rules {
        only,
        timeout: timeout.unwrap_or(HELLO),
        routes,
    };
    (Some(Arc::new(rules)), backends)
}

fn route(reading: &mut Reading<'_>, at: &KeyPath, written: file::Route) -> Route {
    if written.server_names.is_empty() && written.alpn.is_empty() {
        reading.refuse(
            at,
            "takes every client; write serverNames or alpn, or make it the frontend's backend",
        );
    }
    let mut names = Vec::new();
    for (i, name) in written.server_names.iter().enumerate() {
        match Pattern::new(name) {
            Some(pattern) => names.push(pattern),
            None => reading.refuse(
                &at.key("serverNames").index(i),
                "is no name; write \"k8s.example.org\" or \"*.example.org\"",
            ),
        }
    }
    for (i, alpn) in written.alpn.iter().enumerate() {
        if alpn.is_empty() || alpn.len() > usize::from(u8::MAX) {
            reading.refuse(
                &at.key("alpn").index(i),
                "is no protocol; write such as \"h2\"",
            );
        }
    }
    Route {
        names,
        alpn: written.alpn.into_iter().map(Into::into).collect(),
    }
}
