//! `global_defs`: what it says for every router, and what it says of keepalived itself.

use std::path::Path;

use super::report::Report;
use super::seldom::seldom;
use super::shared::groupless;
use super::words::Directive;

/// What routers inherit.
#[derive(Clone, Debug, Default)]
pub(super) struct Defaults {
    pub(super) version: Option<u8>,
    pub(super) interface: Option<String>,
    pub(super) script_user: Option<String>,
    pub(super) fifo: Option<String>,
    pub(super) burst: Option<String>,
    pub(super) again: Option<String>,
    pub(super) refresh: Option<String>,
    pub(super) priority_changes: Option<bool>,
}

/// Where the unit lets the daemon make files.
const FIFOS: &str = "/run/sternpost";

/// Mail, which nothing here sends.
const MAIL: [&str; 11] = [
    "notification_email",
    "notification_email_from",
    "smtp_server",
    "smtp_helo_name",
    "smtp_connect_timeout",
    "smtp_alert",
    "smtp_alert_vrrp",
    "smtp_alert_checker",
    "email_faults",
    "no_email_faults",
    "alert_method",
];

pub(super) fn read(
    block: &Directive,
    before: Option<Defaults>,
    report: &mut Report,
) -> Defaults {
    let mut defaults = before.unwrap_or_default();
    report.honoured(block, "");
    for at in block.inner() {
        if MAIL.contains(&at.name()) {
            mail(at, report);
        } else if !inherited(at, &mut defaults, report) {
            verdict(at, report);
        }
    }
    defaults
}

pub(super) fn mail(at: &Directive, report: &mut Report) {
    if at.block.as_ref().is_some_and(Vec::is_empty) {
        return report.not_needed(at, "it names nobody");
    }
    let what = "no mail is sent; alert on vip_daemon_transitions_total";
    report.all_unsupported(at, what);
}

/// What routers take from here where they say nothing themselves.
fn inherited(at: &Directive, defaults: &mut Defaults, report: &mut Report) -> bool {
    let value = at.value().to_owned();
    let key = match at.name() {
        "vrrp_version" => {
            defaults.version = value.parse().ok();
            "version of every router"
        }
        "default_interface" => {
            defaults.interface = Some(value);
            "interface of routers that name none"
        }
        "script_user" => {
            defaults.script_user = Some(value);
            let how = "script.user of every script";
            if let Some(group) = at.words.get(2) {
                report.unsupported(at, groupless(how, group));
                return true;
            }
            how
        }
        "notify_fifo" | "vrrp_notify_fifo" => {
            fifo(at, report);
            defaults.fifo = Some(value);
            return true;
        }
        "vrrp_notify_priority_changes" => {
            defaults.priority_changes = Some(at.is_on());
            "notify.priorityChanges of every router"
        }
        "vrrp_min_garp" => {
            if at.is_on() {
                defaults.burst = Some("1".to_owned());
                defaults.again = Some("0s".to_owned());
            }
            "announce.burst and announce.again"
        }
        "vrrp_garp_master_repeat" => {
            defaults.burst = Some(value);
            "announce.burst"
        }
        "vrrp_garp_master_delay" => {
            defaults.again = Some(format!("{value}s"));
            "announce.again"
        }
        "vrrp_garp_master_refresh" => {
            defaults.refresh = Some(format!("{value}s"));
            "announce.refresh"
        }
        _ => return false,
    };
    report.honoured(at, key);
    true
}

/// `PATH [USER [GROUP]]`. The lines are keepalived's; where it may lie is not.
fn fifo(at: &Directive, report: &mut Report) {
    let (path, owner) = (at.value(), at.words.get(2));
    if !Path::new(path).starts_with(FIFOS) {
        let what = format!(
            "written as notify.fifo; but the unit lets vip-daemon make files below {FIFOS} \
             alone: write a path there, for the reader, too, or have this one made by \
             tmpfiles.d: p {path} 0640 vip-daemon sternpost"
        );
        report.unsupported(at, what);
    } else if let Some(owner) = owner {
        let what = format!(
            "written as notify.fifo, without owner {owner}: it belongs to vip-daemon, and \
             group sternpost reads it"
        );
        report.unsupported(at, what);
    } else {
        report.honoured(at, "notify.fifo");
    }
    report.trap(
        at.line,
        "a router that a reload takes out is told to the FIFO as STOP",
    );
}

pub(super) fn verdict(at: &Directive, report: &mut Report) {
    let zero = matches!(at.value(), "0" | "0.0" | "");
    let not_needed = match at.name() {
        "router_id" => "it names the host in mails and logs only",
        "vrrp_skip_check_adv_addr" => {
            "an advert with other addresses is accepted, and raises an alarm"
        }
        "vrrp_iptables" | "vrrp_ipsets" | "nftables" | "nftables_priority"
        | "nftables_counters" => "no packet filter is ever touched",
        "vrrp_garp_interval" | "vrrp_gna_interval" if zero => {
            "the frames of a burst follow each other without a gap"
        }
        "enable_script_security" => {
            "scripts run in a process of their own, only as the file writes them; let \
             nobody but root write to their folders"
        }
        "vrrp_garp_lower_prio_repeat"
        | "vrrp_garp_lower_prio_delay"
        | "vrrp_garp_master_refresh_repeat" => {
            "a rival is answered with a burst at once, after 20 ms and after 200 ms"
        }
        "vrrp_higher_prio_send_advert" => "a router that yields is silent, as by the RFC",
        "vrrp_priority"
        | "vrrp_rt_priority"
        | "vrrp_cpu_affinity"
        | "vrrp_no_swap"
        | "vrrp_rlimit_rttime"
        | "vrrp_rlimit_rtime"
        | "max_auto_priority"
        | "min_auto_priority_delay"
        | "process_names"
        | "process_name"
        | "use_pid_dir"
        | "vrrp_process_name"
        | "umask" => {
            "the adverts' thread is real-time by itself, and the unit says the rest"
        }
        "dynamic_interfaces" => "an interface that comes later, or again, is waited for",
        "lvs_sync_daemon"
        | "lvs_flush"
        | "lvs_flush_onstop"
        | "lvs_timeouts"
        | "checker_priority"
        | "checker_no_swap"
        | "checker_rt_priority"
        | "bfd_priority"
        | "bfd_no_swap" => "it is about keepalived's other programs",
        "enable_snmp_vrrp"
        | "enable_snmp_checker"
        | "enable_snmp_rfc"
        | "enable_snmp_rfcv2"
        | "enable_snmp_rfcv3"
        | "enable_traps"
        | "snmp_socket"
        | "enable_dbus"
        | "dbus_service_name"
        | "json_version" => "/metrics and /status say it",
        "log_unknown_vrids" => "they are counted (vip_daemon_adverts_refused_total)",
        _ => return beyond(at, report),
    };
    report.not_needed(at, not_needed);
}

fn beyond(at: &Directive, report: &mut Report) {
    let what = match at.name() {
        "vrrp_strict" => {
            "keepalived filters packets to the address with it and refuses unicast and \
             passwords; here the address always answers, and both are taken"
        }
        "vrrp_garp_interval" | "vrrp_gna_interval" => "bursts have no gap",
        "vrrp_mcast_group4" | "vrrp_mcast_group6" => {
            "the group is the RFC's: 224.0.0.18; every node must agree"
        }
        "vrrp_lower_prio_no_advert" => "a lower rival is always answered",
        "net_namespace" | "net_namespace_ipvs" | "instance" | "namespace_with_ipsets" => {
            "run the daemon in that namespace: NetworkNamespacePath= in its unit"
        }
        "notify_fifo_script" | "vrrp_notify_fifo_script" => {
            "the FIFO's reader is not started; run it as a unit of its own"
        }
        "vrrp_startup_delay" => "a router takes part at once, as a Backup",
        _ => return seldom(at, report),
    };
    report.all_unsupported(at, what);
}
