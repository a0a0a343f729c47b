//! What of a `vrrp_instance` can be said only when all of it is read: its version decides over
//! interval and password, its state over `nopreempt`.

use super::draft::{Placed, Router};
use super::instance::{Reading, seconds};
use super::words::Directive;

/// Where the password of a router is to be put.
const PASSWORDS: &str = "/etc/sternpost/vip-password-";

impl Reading<'_> {
    pub(super) fn finish(mut self, block: &Directive) -> Router {
        let v6 = self.router.addresses.iter().any(Placed::is_v6);
        self.router.version = match self.version {
            Some(3) => 3,
            Some(_) | None if v6 => 3,
            Some(_) | None => 2,
        };
        self.interval();
        self.authentication();
        self.preemption();
        self.own_device();
        self.sender();
        self.delay();
        if self.router.interface.is_empty() {
            self.report.trap(block.line, "no interface: write one");
        }
        self.router
    }

    /// An address whose `dev` says where it is anyway needs no word about it. With use_vmac
    /// that is the interface with the virtual hardware address, and not the instance's.
    fn own_device(&mut self) {
        let router = &mut self.router;
        let home = match &router.virtual_mac {
            None => router.interface.clone(),
            Some(Some(name)) => name.clone(),
            Some(None) => format!("vrrp.{}", router.vrid),
        };
        for address in router.addresses.iter_mut().chain(&mut router.excluded) {
            address.device.take_if(|device| *device == home);
        }
    }

    fn sender(&mut self) {
        let Some(at) = self.xmit_base.take() else {
            return;
        };
        if self.router.virtual_mac.is_none() {
            let why = "keepalived ignores it without use_vmac";
            return self.report.not_needed(&at, why);
        }
        self.router.own_mac_sends = true;
        self.report.honoured(&at, "virtualMac.advertsFrom");
    }

    fn interval(&mut self) {
        self.router.interval = "1s".to_owned();
        let Some(at) = self.advert.take() else {
            return;
        };
        let text = seconds(at.value());
        let sub_second = text.as_ref().is_some_and(|text| text.ends_with("ms"));
        self.router.interval = match text {
            Some(_) if sub_second && self.router.version == 2 => {
                let value: f64 = at.value().parse().unwrap_or(1.0);
                let whole = format!("{}s", value.round().max(1.0));
                self.report.trap(
                    at.line,
                    format!(
                        "VRRPv2 has whole seconds only: keepalived rounds {} to {whole}, \
                         and so does this; version 3 on every node has less",
                        at.value()
                    ),
                );
                whole
            }
            Some(text) => text,
            None => "1s".to_owned(),
        };
        let how = format!("advertInterval: {}", self.router.interval);
        self.report.honoured(&at, how);
    }

    fn authentication(&mut self) {
        let Some(block) = self.auth.take() else {
            return;
        };
        let is_pass = |at: &Directive| {
            at.name() == "auth_type" && at.value().eq_ignore_ascii_case("PASS")
        };
        let passes = block.inner().iter().any(is_pass);
        for at in block.inner() {
            match at.name() {
                _ if self.router.version == 3 => {
                    let why = "VRRPv3 has no passwords, and keepalived ignores it";
                    self.report.not_needed(at, why);
                }
                "auth_type" if passes => self.report.honoured(at, "auth"),
                "auth_pass" if passes => self.password(at),
                _ => {
                    let what = "only PASS; keepalived's AH is not the RFC's, and no other \
                                router understands it";
                    self.report.unsupported(at, what);
                }
            }
        }
        self.report.honoured(&block, "");
    }

    fn password(&mut self, at: &Directive) {
        let file = format!("{PASSWORDS}{}", self.router.name);
        let how = format!(
            "auth.passFile: write the password into {file}, mode 0600, alone on its line"
        );
        self.report.honoured(at, how);
        if at.value().len() > 8 {
            let sentence = "the password has more than 8 bytes; VRRPv2 sends the first 8";
            self.report.trap(at.line, sentence);
        }
        self.router.pass_file = Some(file);
    }

    fn preemption(&mut self) {
        let Some(line) = self.nopreempt else {
            return;
        };
        let text = "nopreempt".to_owned();
        let verdict = if self.is_master {
            self.report.trap(
                line,
                "nopreempt with state MASTER: keepalived ignores nopreempt then, and so \
                 does what was written; write preempt: false if it was meant",
            );
            super::Verdict::NotNeeded(
                "keepalived ignores it with state MASTER".to_owned(),
            )
        } else {
            self.router.preempts = false;
            super::Verdict::Honoured("preempt: false".to_owned())
        };
        self.report.add(line, &text, verdict);
    }

    fn delay(&mut self) {
        let Some(at) = self.delay.take() else {
            return;
        };
        if self.is_master {
            self.report.trap(
                at.line,
                "preempt_delay with state MASTER: keepalived ignores it then, and so does \
                 what was written; write preemptDelay if it was meant",
            );
            let why = "keepalived ignores it with state MASTER";
            return self.report.not_needed(&at, why);
        }
        if !self.router.preempts {
            return self
                .report
                .not_needed(&at, "with nopreempt there is nothing to delay");
        }
        self.router.delay = seconds(at.value());
        self.report.honoured(&at, "preemptDelay");
    }
}
