//! Directives of a `vrrp_instance` that have no key in ours: done anyway, or not at all.

use super::global::mail;
use super::instance::Reading;
use super::seldom::seldom;
use super::words::Directive;

impl Reading<'_> {
    pub(super) fn verdict(&mut self, at: &Directive) {
        let not_needed = match at.name() {
            "dont_track_primary" if !at.is_on() => "it is off",
            "promote_secondaries" => "the addresses outlive the first one anyway",
            "accept" => "the addresses always answer",
            "skip_check_adv_addr" => {
                "an advert with other addresses is accepted, and raises an alarm"
            }
            "garp_lower_prio_repeat"
            | "garp_lower_prio_delay"
            | "garp_master_refresh_repeat" => {
                "a rival is answered with a burst at once, after 20 ms and after 200 ms"
            }
            "linkbeat_use_polling" | "debug" | "kernel_rx_buf_size" | "track_src_ip" => {
                "the kernel's own notices are followed, and nothing is polled"
            }
            "higher_prio_send_advert" => "a router that yields is silent, as by the RFC",
            "native_ipv6" => "the family is that of the addresses",
            "old_unicast_checksum" | "v3_checksum_as_v2" => {
                "both ways of computing it are accepted, and the peers' is sent"
            }
            "smtp_alert" | "smtp_alerts" | "no_smtp_alert" => {
                return mail(at, self.report);
            }
            _ => return self.beyond(at),
        };
        self.report.not_needed(at, not_needed);
    }

    fn beyond(&mut self, at: &Directive) {
        let what = match at.name() {
            "notify"
            | "notify_master"
            | "notify_backup"
            | "notify_fault"
            | "notify_stop"
            | "notify_deleted"
            | "notify_master_rx_lower_pri" => {
                "no program is told of that; `vip-daemon events` and /metrics say it"
            }
            "virtual_routes" | "virtual_rules" => "only addresses are moved",
            "use_vmac_addr" => {
                "addresses with a `dev` of their own keep that one's hardware address; \
                 write a router of their own with virtualMac for them"
            }
            "use_ipvlan" => {
                "the address moves between the interfaces' own hardware addresses, which \
                 gratuitous ARP announces, or has a virtual one (virtualMac)"
            }
            "track_bfd" => "there is no BFD; shorten advertInterval",
            "mcast_dst_ip" => "the group is the RFC's; every node must agree",
            "dont_track_primary" => "an interface that is down takes its router out",
            "no_accept" => "the addresses always answer",
            "strict_mode" => "unicast and passwords are taken, and the address answers",
            "lower_prio_no_advert" => "a lower rival is always answered",
            "unicast_ttl" | "unicast_hop_limit" | "min_ttl" | "max_ttl" => {
                "unicast adverts are sent with 255, and taken with any"
            }
            "down_timer_adverts" => "a Backup waits three intervals, as by the RFC",
            "auth_hmac" => "keepalived 2.4's own; no other router understands it",
            _ => return seldom(at, self.report),
        };
        self.report.all_unsupported(at, what);
    }
}
