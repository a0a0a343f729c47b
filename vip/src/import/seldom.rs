//! Directives of keepalived that few files have, each with its verdict.

use super::report::Report;
use super::words::Directive;

type Verdicts = &'static [(&'static [&'static str], &'static str)];

/// What vip-daemon does by itself, or has no part in.
const NOT_NEEDED: Verdicts = &[
    (
        &[
            "bfd_cpu_affinity",
            "bfd_process_name",
            "bfd_rlimit_rttime",
            "bfd_rt_priority",
            "checker_cpu_affinity",
            "checker_log_all_failures",
            "checker_process_name",
            "checker_rlimit_rttime",
            "lvs_flush_on_stop",
            "lvs_netlink_cmd_rcv_bufs",
            "lvs_netlink_cmd_rcv_bufs_force",
            "lvs_netlink_monitor_rcv_bufs",
            "lvs_netlink_monitor_rcv_bufs_force",
            "nftables_ipvs",
            "nftables_ipvs_priority",
            "nftables_ipvs_start_fwmark",
            "no_checker_emails",
            "rs_init_notifies",
        ],
        "it is about keepalived's other programs",
    ),
    (
        &["nftables_ifindex", "vrrp_nftables"],
        "no packet filter is ever touched",
    ),
    (
        &[
            "vrrp_netlink_cmd_rcv_bufs",
            "vrrp_netlink_cmd_rcv_bufs_force",
            "vrrp_netlink_monitor_rcv_bufs",
            "vrrp_netlink_monitor_rcv_bufs_force",
            "vrrp_rx_bufs_multiplier",
            "vrrp_rx_bufs_policy",
            "process_monitor_rcv_bufs",
            "process_monitor_rcv_bufs_force",
        ],
        "what is missed of the kernel's notices is asked for, and a full queue is counted",
    ),
    (
        &[
            "child_wait_time",
            "config_save_dir",
            "data_use_instance",
            "random_seed",
            "reload_check_config",
            "reload_file",
            "tmp_config_directory",
        ],
        "the file is read in one go, and one that is not good changes nothing",
    ),
    (
        &["linkbeat_use_polling"],
        "the kernel's own notices are followed, and nothing is polled",
    ),
    (
        &["disable_local_igmp"],
        "it is the host's to say (net.ipv4.igmp_link_local_mcast_reports)",
    ),
];

/// What follows where it is not there.
const UNSUPPORTED: Verdicts = &[
    (
        &[
            "startup_script",
            "startup_script_timeout",
            "shutdown_script",
            "shutdown_script_timeout",
        ],
        "no program runs at start and end; write ExecStartPre= and ExecStopPost= into a \
         drop-in of the unit",
    ),
    (
        &["vrrp_garp_extra_if", "garp_extra_if"],
        "announce.refresh announces every address on the interface it is on",
    ),
    (
        &["notify_deleted"],
        "no program is told of that; `vip-daemon status --watch` and /metrics say it",
    ),
    (
        &["fifo_write_vrrp_states_on_reload"],
        "a reload tells of what it changes alone; `vip-daemon status` says how all stand",
    ),
    (
        &["lvs_notify_fifo", "lvs_notify_fifo_script"],
        "vip-daemon moves addresses; what balances behind them is api-lb",
    ),
    (
        &["vrrp_check_unicast_src"],
        "an advert that has crossed no router is taken, and named; write \
         `unlisted: refuse` into each `unicast`",
    ),
    (
        &["vrrp_down_timer_adverts"],
        "a Backup waits three intervals, as by the RFC",
    ),
    (
        &["vmac_prefix", "vmac_addr_prefix"],
        "interfaces with a virtual hardware address are called vrrp.VRID, or by \
         virtualMac.name",
    ),
    (
        &["reload_time_file", "reload_repeat"],
        "reload by a timer unit that runs `systemctl reload vip-daemon`",
    ),
    (
        &["include_check"],
        "other files are not read; put their text where it is included",
    ),
    (
        &["unicast_fault_no_peer"],
        "without peers adverts go to the multicast group",
    ),
    (
        &["vrf"],
        "the router works on the interface it names; write `interface`",
    ),
    (
        &["linkbeat_interfaces", "interface_up_down_delays"],
        "the kernel's own notices are followed; an owner waits for two intervals before it \
         calls its link lost",
    ),
    (
        &["track_group"],
        "only virtual addresses are put and looked after",
    ),
    (
        &["bfd_instance", "track_bfd"],
        "there is no BFD; shorten advertInterval",
    ),
];

/// Gives a directive that stands in neither table the verdict `unknown`.
pub(super) fn seldom(at: &Directive, report: &mut Report) {
    let find = |all: Verdicts| {
        let mut all = all.iter();
        all.find_map(|(names, why)| names.contains(&at.name()).then_some(*why))
    };
    match find(NOT_NEEDED) {
        Some(why) => all_not_needed(at, why, report),
        None => report.all_unsupported(at, find(UNSUPPORTED).unwrap_or("unknown")),
    }
}

fn all_not_needed(at: &Directive, why: &str, report: &mut Report) {
    report.not_needed(at, why);
    for inner in at.inner() {
        all_not_needed(inner, why, report);
    }
}
