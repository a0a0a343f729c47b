//! `vrrp_instance`: one router.

use super::address::Advertised;
use super::draft::Router;
use super::global::Defaults;
use super::report::Report;
use super::script::Definitions;
use super::shared::{Tracking, programs};
use super::words::Directive;

/// What a router is read from, and into.
pub(super) struct Reading<'a> {
    pub(super) router: Router,
    /// As the file says; keepalived's default is BACKUP.
    pub(super) is_master: bool,
    pub(super) nopreempt: Option<usize>,
    pub(super) delay: Option<Directive>,
    pub(super) version: Option<u8>,
    pub(super) advert: Option<Directive>,
    pub(super) auth: Option<Directive>,
    pub(super) xmit_base: Option<Directive>,
    defaults: &'a Defaults,
    definitions: &'a mut Definitions,
    pub(super) report: &'a mut Report,
}

pub(super) fn read(
    block: &Directive,
    defaults: &Defaults,
    definitions: &mut Definitions,
    report: &mut Report,
) -> Router {
    report.honoured(block, "a router of that name");
    let mut reading = Reading {
        router: Router {
            line: block.line,
            name: named(block.value()),
            interface: defaults.interface.clone().unwrap_or_default(),
            priority: 100,
            preempts: true,
            burst: defaults.burst.clone(),
            again: defaults.again.clone(),
            refresh: defaults.refresh.clone(),
            ..Router::default()
        },
        is_master: false,
        nopreempt: None,
        delay: None,
        version: defaults.version,
        advert: None,
        auth: None,
        xmit_base: None,
        defaults,
        definitions,
        report,
    };
    // keepalived takes them in any order; what others are compared with comes first here.
    let mut all: Vec<_> = block.inner().iter().collect();
    all.sort_by_key(|at| match at.name() {
        "interface" => 0,
        "virtual_ipaddress" => 1,
        _later => 2,
    });
    for at in all {
        let known = reading.identity(at)
            || reading.travel(at)
            || reading.virtual_mac(at)
            || reading.announcing(at)
            || reading.tracking(at)
            || reading.notify(at);
        if !known {
            reading.verdict(at);
        }
    }
    reading.finish(block)
}

impl Reading<'_> {
    fn identity(&mut self, at: &Directive) -> bool {
        let how = match at.name() {
            "interface" => {
                self.router.interface = at.value().to_owned();
                "interface"
            }
            "virtual_router_id" => {
                self.router.vrid = at.value().parse().unwrap_or(0);
                "vrid"
            }
            "priority" => {
                self.router.priority = at.value().parse().unwrap_or(0);
                "priority"
            }
            "version" => {
                self.version = at.value().parse().ok();
                "version"
            }
            "advert_int" => {
                self.advert = Some(at.clone());
                return true;
            }
            "authentication" => {
                self.auth = Some(at.clone());
                return true;
            }
            "nopreempt" => {
                self.nopreempt = Some(at.line);
                return true;
            }
            "preempt" => "preempt: true, the default",
            "preempt_delay" => {
                self.delay = Some(at.clone());
                return true;
            }
            "state" => {
                self.is_master = at.value().eq_ignore_ascii_case("MASTER");
                let why = "the highest priority that lives becomes Active, whatever a \
                           node starts as";
                self.report.not_needed(at, why);
                return true;
            }
            "virtual_ipaddress" => {
                self.report.honoured(at, "addresses");
                at.inner()
                    .iter()
                    .for_each(|one| self.address(one, Advertised::Yes));
                return true;
            }
            "virtual_ipaddress_excluded" => {
                self.report.honoured(at, "excluded");
                at.inner()
                    .iter()
                    .for_each(|one| self.address(one, Advertised::No));
                return true;
            }
            _ => return false,
        };
        self.report.honoured(at, how);
        true
    }

    fn travel(&mut self, at: &Directive) -> bool {
        match at.name() {
            "unicast_src_ip" | "mcast_src_ip" => {
                self.router.source = Some(at.value().to_owned());
                if at.name() == "mcast_src_ip" {
                    let what = "adverts come from the interface's first address";
                    self.report.unsupported(at, what);
                } else {
                    self.report.honoured(at, "unicast.source");
                }
            }
            "check_unicast_src" => {
                self.router.peers_only = at.is_on();
                self.report.honoured(at, "unicast.unlisted");
            }
            "unicast_peer" => {
                self.report.honoured(at, "unicast.peers");
                for peer in at.inner() {
                    self.router.peers.push(peer.name().to_owned());
                    match peer.words.get(1..).unwrap_or_default() {
                        [] => self.report.honoured(peer, ""),
                        more => {
                            let more = more.join(" ");
                            let what = format!("the peer is written, without: {more}");
                            self.report.unsupported(peer, what);
                        }
                    }
                }
                if at.inner().is_empty() {
                    self.report.trap(
                        at.line,
                        "unicast_peer is empty: keepalived sends to the multicast group \
                         then, and so does what was written",
                    );
                }
            }
            _ => return false,
        }
        true
    }

    fn virtual_mac(&mut self, at: &Directive) -> bool {
        match at.name() {
            "use_vmac" => {
                let name = at.words.get(1).filter(|name| !name.contains(':'));
                self.router.virtual_mac = Some(name.cloned());
                match at.words.iter().skip(1).any(|word| word.contains(':')) {
                    true => self.report.unsupported(
                        at,
                        "written with the RFC's hardware address, 00:00:5e:00:01 and the \
                         VRID; every node must agree",
                    ),
                    false => self.report.honoured(at, "virtualMac"),
                }
            }
            "vmac_xmit_base" => self.xmit_base = Some(at.clone()),
            _ => return false,
        }
        true
    }

    fn announcing(&mut self, at: &Directive) -> bool {
        let value = at.value().to_owned();
        let how = match at.name() {
            "garp_master_repeat" => {
                self.router.burst = Some(value);
                "announce.burst"
            }
            "garp_master_delay" => {
                self.router.again = Some(format!("{value}s"));
                "announce.again"
            }
            "garp_master_refresh" => {
                self.router.refresh = Some(format!("{value}s"));
                "announce.refresh"
            }
            _ => return false,
        };
        self.report.honoured(at, how);
        true
    }

    fn tracking(&mut self, at: &Directive) -> bool {
        let interface = self.router.interface.clone();
        let mut tracking = Tracking {
            user: self.defaults.script_user.as_deref(),
            definitions: self.definitions,
            report: self.report,
        };
        let tracks = tracking.tracks(at, &interface);
        let known = tracks.is_some();
        self.router.tracks.extend(tracks.into_iter().flatten());
        known
    }

    fn notify(&mut self, at: &Directive) -> bool {
        if at.name() == "notify_priority_changes" {
            self.router.priority_changes = Some(at.is_on());
            self.report.honoured(at, "notify.priorityChanges");
            return true;
        }
        let user = self.defaults.script_user.as_deref();
        programs(at, user, &mut self.router.notify, self.report)
    }
}

/// Seconds as keepalived writes them, as our files write a duration.
pub(super) fn seconds(text: &str) -> Option<String> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let whole: u64 = if whole.is_empty() {
        0
    } else {
        whole.parse().ok()?
    };
    let digits = format!("{part:0<3}");
    let millis: u64 = digits.get(..3)?.parse().ok()?;
    Some(
        match (whole.checked_mul(1000)?.checked_add(millis)?, millis) {
            (_, 0) => format!("{whole}s"),
            (all, _) => format!("{all}ms"),
        },
    )
}

/// A name that our files allow.
pub(super) fn named(name: &str) -> String {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let name: String = name
        .chars()
        .map(|c| if allowed(c) { c } else { '-' })
        .take(64)
        .collect();
    if name.is_empty() {
        "router".to_owned()
    } else {
        name
    }
}

#[cfg(test)]
mod tests {
    use super::seconds;

    #[test]
    fn seconds_become_durations() {
        for (text, duration) in [
            ("1", Some("1s")),
            ("0.1", Some("100ms")),
            (".01", Some("10ms")),
            ("1.50", Some("1500ms")),
            ("2.000", Some("2s")),
            ("0.0005", Some("0s")),
            ("x", None),
            ("-1", None),
            ("99999999999999999999", None),
        ] {
            assert_eq!(seconds(text).as_deref(), duration, "{text}");
        }
    }
}
