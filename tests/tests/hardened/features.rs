//! Features that need more of the machine than sockets: names and their file, clients that a
//! proxy names, names that clients ask for, a browser that signs in, syslog.

use std::net::SocketAddr;

use lab::host::{Host as _, NamespaceHost};
use lab::wait;
use libtest_mimic::Failed;
use serde_json::Value;

use super::PATIENCE;
use super::booted::{ADDRESS, Booted, PASSWORD, PROXIED, ROUTED};
use super::streams;

/// The journal of the daemon.
const JOURNAL: &str = "journalctl -b --no-pager -u api-lb";

/// Uses each of them.
pub(crate) fn are_used(machine: &Booted, client: &NamespaceHost) -> Result<(), Failed> {
    servers_are_found(machine)?;
    a_proxy_names_its_client(machine, client)?;
    names_lead_to_their_servers(machine, client)?;
    one_signs_in(machine, client)
}

/// By a name of the machine's own file; what was found is kept where the unit lets it.
fn servers_are_found(machine: &Booted) -> Result<(), Failed> {
    for (command, wanted) in [
        ("api-lb status --json", "\"origin\": \"found\""),
        (
            "cat /var/lib/sternpost/api-lb/servers-found.json",
            "10.76.0.60:6443",
        ),
        (
            "stat -c '%a %U' /var/lib/sternpost/api-lb/servers-found.json",
            "600 api-lb",
        ),
    ] {
        machine.until(command, wanted)?;
    }
    wait::until("the server that was found to be up", PATIENCE, || {
        let status = machine.status().ok()?;
        let mut backends = status["backends"].as_array()?.iter();
        let found = backends.find(|backend| backend["name"] == "found")?;
        (found["servers"][0]["state"] == "up").then_some(())
    })?;
    Ok(())
}

fn a_proxy_names_its_client(
    machine: &Booted,
    client: &NamespaceHost,
) -> Result<(), Failed> {
    let header = "PROXY TCP4 203.0.113.7 10.76.0.11 4711 445\r\n";
    streams::ask_after(client, SocketAddr::from((ADDRESS, PROXIED)), header)?;
    machine.until(JOURNAL, "client=203.0.113.7:4711")?;
    // Who names nobody does not come in.
    let alone = streams::ask(client, SocketAddr::from((ADDRESS, PROXIED)));
    if alone.is_ok() {
        return Err("a proxy without a header was let in".into());
    }
    machine.until(JOURNAL, "end=\"badProxyHeader\"").map(drop)
}

/// The server is none of TLS, so the handshake fails; where it was led is in the log.
fn names_lead_to_their_servers(
    machine: &Booted,
    client: &NamespaceHost,
) -> Result<(), Failed> {
    for (name, wanted) in [
        (
            "-servername konnectivity.example",
            "frontend=\"routed\" backend=\"found\"",
        ),
        ("-noservername", "frontend=\"routed\" backend=\"api\""),
    ] {
        let asks = format!(
            "timeout 20 openssl s_client {name} -connect {ADDRESS}:{ROUTED} </dev/null >/dev/null 2>&1; true"
        );
        client.output("/bin/sh", &["-c", &asks])?;
        machine.until(JOURNAL, wanted)?;
    }
    Ok(())
}

/// Over TLS: with a wrong password not, with the right one a server is drained and enabled.
fn one_signs_in(machine: &Booted, client: &NamespaceHost) -> Result<(), Failed> {
    let sign_in = |password: &str| {
        let body = format!("{{\"user\": \"anna\", \"password\": \"{password}\"}}");
        post(client, "/session", &body, "")
    };
    is(&sign_in("another long phrase")?, "403")?;
    let answer = sign_in(PASSWORD)?;
    is(&answer, "200")?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_default();
    let mut lines = head.lines().filter_map(|line| line.split_once(": "));
    let cookie = lines.find(|(name, _)| name.eq_ignore_ascii_case("set-cookie"));
    let cookie = cookie.and_then(|(_, value)| value.split(';').next());
    let cookie = cookie.ok_or("no cookie")?;
    let said: Value = serde_json::from_str(body)?;
    let token = said["token"].as_str().ok_or("no token")?;
    let own = format!("Cookie: {cookie}\\r\\n");
    let server = "{\"server\": \"api/s2\"}";
    is(&post(client, "/do/drain", server, &own)?, "403")?;
    let own = format!("{own}X-CSRF-Token: {token}\\r\\n");
    is(&post(client, "/do/drain", server, &own)?, "200")?;
    machine.until("api-lb status", "draining")?;
    is(&post(client, "/do/enable", server, &own)?, "200")
}

fn is(answer: &str, status: &str) -> Result<(), Failed> {
    if answer.starts_with(&format!("HTTP/1.1 {status}")) {
        return Ok(());
    }
    Err(format!("not {status}: {answer:?}").into())
}

/// What the admin listener answers a page of its own; `more` are lines of the head as printf(1)
/// has them.
fn post(
    client: &NamespaceHost,
    path: &str,
    body: &str,
    more: &str,
) -> Result<String, Failed> {
    let at = format!("{ADDRESS}:9443");
    let len = body.len();
    let request = format!(
        "POST {path} HTTP/1.1\\r\\nHost: {at}\\r\\nOrigin: https://{at}\\r\\nContent-Type: application/json\\r\\n\
         Content-Length: {len}\\r\\nConnection: close\\r\\n{more}\\r\\n{body}"
    );
    let asks = format!(
        "printf '{request}' | timeout 20 openssl s_client -quiet -connect {at} 2>/dev/null; true"
    );
    Ok(client.output("/bin/sh", &["-c", &asks])?)
}

/// From here on its lines go to `/dev/log`, which an upgrade is enough for.
pub(crate) fn syslog_is_written(
    machine: &Booted,
    client: &NamespaceHost,
) -> Result<(), Failed> {
    machine.run(
        "sed -i 's/^log: .*/log: {to: syslog}/' /etc/sternpost/api-lb.yaml && api-lb upgrade",
    )?;
    streams::ask(client, SocketAddr::from((ADDRESS, 443)))?;
    let command =
        "journalctl -b --no-pager -o json _SYSTEMD_UNIT=api-lb.service _TRANSPORT=syslog";
    machine.until(command, "connection").map(drop)
}
