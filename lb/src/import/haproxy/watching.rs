//! The check of a backend's servers: one for all of them.

use std::ops::RangeInclusive;
use std::time::Duration;

use config::{Period, Report};

use super::super::draft::{self, Backend, Kind as CheckKind};
use super::super::times::fit;
use super::build::CONNECT;
use super::proxy::{Mode, Settings};
use super::server::{Parameters, Server};

const INTERVAL: RangeInclusive<Duration> =
    Duration::from_millis(10)..=Duration::from_secs(60 * 60);

/// One check for all servers of a backend: what the first checked one says.
pub(super) fn check(settings: &Settings, backend: &mut Backend, report: &mut Report) {
    let mut check = settings.plan.check.clone();
    let checked = settings
        .servers
        .iter()
        .find(|server| server.parameters.is_checked);
    let Some(first) = checked.or(settings.servers.first()) else {
        return;
    };
    let parameters = &first.parameters;
    let over_tls = parameters.check_tls || settings.plan.speaks_tls;
    check.kind = match (check.kind, over_tls) {
        (CheckKind::Http | CheckKind::Https, true) => CheckKind::Https,
        (CheckKind::Http | CheckKind::Https, false) => CheckKind::Http,
        (CheckKind::Tcp | CheckKind::Tls, true) => CheckKind::Tls,
        (kind @ (CheckKind::Tcp | CheckKind::Tls), false) => kind,
    };
    check.ca_file.clone_from(&parameters.ca_file);
    if parameters.server_name.is_some() {
        check.server_name.clone_from(&parameters.server_name);
    }
    let within = |time: Duration, allowed| fit(time, allowed).0;
    check.interval = parameters.inter.map(|time| within(time, &INTERVAL));
    check.down_interval = parameters.down_inter.map(|time| within(time, &INTERVAL));
    check.fast_interval = parameters.fast_inter.map(|time| within(time, &INTERVAL));
    check.timeout = settings.check_timeout.map(|time| within(time, &CONNECT));
    check.rise = parameters.rise;
    check.fall = parameters.fall;
    for server in &settings.servers {
        differing(server, parameters, report);
    }
    traps(settings, &check, first, report);
    backend.check = check;
}

fn differing(server: &Server, first: &Parameters, report: &mut Report) {
    let own = |p: &Parameters| {
        let times = (p.inter, p.fast_inter, p.down_inter);
        (times, p.rise, p.fall, p.check_tls, p.ca_file.clone())
    };
    if server.parameters.is_checked && own(&server.parameters) != own(first) {
        let text = format!("server {}: its own check", server.name);
        let what = "a backend has one check; the first server's is written";
        report.unsupported(server.line, &text, what);
    }
    if !server.parameters.is_checked {
        report.trap_once(server.line, format!("haproxy does not check server {}: it sends clients there also when it is dead; api-lb checks it", server.name));
    }
}

fn traps(settings: &Settings, check: &draft::Check, first: &Server, report: &mut Report) {
    let timeout = check.timeout.filter(|time| *time > Duration::from_secs(2));
    if let Some(time) = timeout {
        report.trap_once(first.line, format!("a check may take {}, as `timeout check` says: a hung apiserver is found that much later; 1s is enough in one network", Period(time)));
    }
    if check.kind == CheckKind::Http && settings.mode == Mode::Tcp {
        report.trap_once(first.line, "`option httpchk` without `check-ssl` asks in clear text; an apiserver answers 400 to that, so write https instead of http if these are apiservers");
    }
}
