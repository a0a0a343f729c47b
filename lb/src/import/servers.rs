//! Servers of a file become servers of ours: where they are, and what cannot be written.

use std::net::SocketAddr;

use super::Surroundings;
use super::address::{Host, Place};
use super::draft::{Backend, Server};
use config::Report;

/// A server as a file names it.
pub(super) struct Written<'a> {
    pub(super) line: usize,
    /// In the words of the file, for the report.
    pub(super) text: String,
    /// Its address in the words of the file.
    pub(super) address: &'a str,
}

/// Where it is, and how that is known. Without a port of its own it has `port`.
pub(super) fn address(
    place: Option<Place>,
    port: Option<u16>,
    around: &Surroundings<'_>,
) -> Option<(SocketAddr, String)> {
    let place = place?;
    let port = match &place.port {
        Some(port) => port.parse().ok()?,
        None => port?,
    };
    match place.host {
        _ if port == 0 => None,
        Host::Any => None,
        Host::Ip(ip) if ip.is_unspecified() => None,
        Host::Ip(ip) => Some(((ip, port).into(), String::new())),
        Host::Name(name) => {
            let ip = (around.resolve)(&name)?;
            let how = format!(
                "{name} is {ip} as of this import; it is not looked up again, discovery.dns would"
            );
            Some(((ip, port).into(), how))
        }
    }
}

/// Adds it where it is known and new; `server` makes it of its address.
pub(super) fn add(
    written: &Written<'_>,
    name: String,
    known: Option<(SocketAddr, String)>,
    server: impl FnOnce(String, SocketAddr) -> Server,
    backend: &mut Backend,
    report: &mut Report,
) {
    let Written {
        line,
        text,
        address,
    } = written;
    let Some((at, how)) = known else {
        report.unsupported(
            *line,
            text,
            "no address is known for it; it stands in what is written as a comment",
        );
        let missing = format!("- {{name: {name}, address: \"{address}\"}}");
        backend.missing.push(missing);
        return;
    };
    if backend.servers.iter().any(|server| server.address == at) {
        report.unsupported(
            *line,
            text,
            "its address stands twice; it is left out, write a weight instead",
        );
        return;
    }
    report.honoured(*line, text, how);
    backend.servers.push(server(name, at));
}
