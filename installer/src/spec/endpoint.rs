//! `endpoint` and `balancer`: where clients find the API, and who sees to it that they do.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use config::{KeyPath, Period};
use ipnet::IpNet;

use super::file::{self, BalancerMode, Role};
use super::meant::{Balancer, Endpoint, Host, Notify, VirtualRouter};
use super::reader::Reader;

/// Where each API server listens, on its host's own address.
pub(crate) const APISERVER_PORT: u16 = 6443;

const VRID: u16 = 51;
const ADVERT_INTERVAL: Duration = Duration::from_millis(100);
/// What VRRPv3 can say (RFC 9568): 12 bits of centiseconds.
const INTERVALS: (Duration, Duration) =
    (Duration::from_millis(10), Duration::from_millis(40_950));
/// `IFNAMSIZ` less the closing NUL.
const INTERFACE: usize = 15;

impl Reader<'_> {
    pub(super) fn endpoint(
        &mut self,
        file: &file::File,
        hosts: &[Host],
        at: &KeyPath,
    ) -> Option<(Endpoint, Balancer)> {
        let endpoint_at = at.key("endpoint");
        let addresses_at = endpoint_at.key("addresses");
        let texts = &file.endpoint.addresses;
        let name = match &file.endpoint.name {
            None => None,
            Some(name) => Some(self.dns_name(name, &endpoint_at.key("name"))?),
        };
        let mode = file.balancer.mode;
        self.only_own(&file.balancer, &at.key("balancer"));
        let (addresses, balancer) = match mode {
            BalancerMode::Own => {
                let router = self.router(file, at);
                let addresses = router.as_ref().map(|router| router.addresses.clone());
                let ips = addresses.iter().flatten().map(IpNet::addr).collect();
                (ips, Balancer::Own(router?))
            }
            BalancerMode::External => {
                let addresses = self.each(texts, &addresses_at, Self::ip);
                if addresses.is_empty() && name.is_none() {
                    self.refuse::<()>(
                        &endpoint_at,
                        "names nothing; write the balancer's addresses or its name",
                    );
                }
                (addresses, Balancer::External)
            }
            BalancerMode::Local => {
                self.refuse_addresses(
                    texts,
                    "each host dials its own api-lb",
                    &addresses_at,
                );
                (vec![IpAddr::V4(Ipv4Addr::LOCALHOST)], Balancer::Local)
            }
            BalancerMode::None => {
                self.refuse_addresses(
                    texts,
                    "the one control-plane host is dialled",
                    &addresses_at,
                );
                let mut masters = hosts.iter().filter(|host| host.is(Role::ControlPlane));
                // Its API server listens on its first address alone.
                let address = masters.next().map(Host::address);
                (address.into_iter().collect(), Balancer::None)
            }
        };
        let port = self.port(file, at);
        Some((
            Endpoint {
                addresses,
                name,
                port,
            },
            balancer,
        ))
    }

    /// The port that clients dial must be the one that is listened on, or the balancer
    /// is there in vain.
    fn port(&mut self, file: &file::File, at: &KeyPath) -> u16 {
        let (dialled, listened) = (file.endpoint.port, file.balancer.port);
        let port = dialled.or(listened).unwrap_or(APISERVER_PORT);
        if let (Some(dialled), Some(listened)) = (dialled, listened)
            && dialled != listened
        {
            self.refuse::<()>(
                &at.key("endpoint").key("port"),
                format!(
                    "bypasses the balancer, which listens on {listened} (balancer.port); \
                     write {listened}, or leave it out"
                ),
            );
        }
        if port == 0 {
            self.refuse::<()>(&at.key("endpoint").key("port"), "is no port to dial");
        } else if file.balancer.mode == BalancerMode::None
            && dialled.is_some_and(|port| port != APISERVER_PORT)
        {
            let problem = format!(
                "is nobody's: in balancer.mode: none the API server itself is dialled, which \
                 listens on {APISERVER_PORT}; leave it out"
            );
            self.refuse::<()>(&at.key("endpoint").key("port"), problem);
        }
        port
    }

    fn refuse_addresses(&mut self, texts: &[String], why: &str, at: &KeyPath) {
        if !texts.is_empty() {
            self.refuse::<()>(at, format!("has no use in this balancer.mode: {why}"));
        }
    }

    /// Keys of the virtual router say nothing where there is none.
    fn only_own(&mut self, file: &file::Balancer, at: &KeyPath) {
        if file.mode == BalancerMode::Own {
            return;
        }
        let written = [
            ("interface", file.interface.is_some()),
            ("vrid", file.vrid.is_some()),
            ("advertInterval", file.advert_interval.is_some()),
            ("notify", file.notify.is_some()),
        ];
        for (key, there) in written {
            if there {
                let problem = "belongs to a virtual router, which only mode: own has";
                self.refuse::<()>(&at.key(key), problem);
            }
        }
        if file.mode != BalancerMode::Local && file.port.is_some() {
            let problem = "is where a balancer of ours listens, which only mode: own and local \
                           have; what clients dial is endpoint.port";
            self.refuse::<()>(&at.key("port"), problem);
        }
    }

    fn router(&mut self, file: &file::File, at: &KeyPath) -> Option<VirtualRouter> {
        let addresses_at = at.key("endpoint").key("addresses");
        let texts = &file.endpoint.addresses;
        if texts.is_empty() {
            return self.refuse(
                &addresses_at,
                "needs the virtual address, such as [\"192.168.220.224/24\"]",
            );
        }
        let addresses = self.each(texts, &addresses_at, Self::virtual_address);
        let balancer_at = at.key("balancer");
        let vrid = file.balancer.vrid.unwrap_or(VRID);
        let vrid = match u8::try_from(vrid) {
            Ok(vrid) if vrid > 0 => Some(vrid),
            Ok(_) | Err(_) => self.refuse(
                &balancer_at.key("vrid"),
                "is out of range; allowed: 1 to 255",
            ),
        };
        let interval = file.balancer.advert_interval;
        let interval = interval.map_or(ADVERT_INTERVAL, |Period(interval)| interval);
        let (least, most) = INTERVALS;
        if interval < least || interval > most || !interval.as_millis().is_multiple_of(10)
        {
            self.refuse::<()>(
                &balancer_at.key("advertInterval"),
                "is not an interval of VRRPv3; allowed: 10ms to 40950ms in steps of 10ms",
            );
        }
        let interface = file.balancer.interface.as_ref();
        let bad = |name: &&String| {
            name.is_empty()
                || name.len() > INTERFACE
                || name.contains(|c: char| c.is_whitespace() || c == '/')
        };
        if interface.filter(bad).is_some() {
            let problem = "is not an interface's name; allowed: 1 to 15 bytes";
            self.refuse::<()>(&balancer_at.key("interface"), problem);
        }
        let notify = file.balancer.notify.as_ref();
        let notify = notify.map(|one| self.notify(one, &balancer_at.key("notify")));
        Some(VirtualRouter {
            notify,
            addresses,
            interface: interface.cloned(),
            vrid: vrid?,
            advert_interval: interval,
        })
    }

    fn notify(&mut self, file: &file::Notify, at: &KeyPath) -> Notify {
        let program = file.command.first();
        if !program.is_some_and(|program| program.starts_with('/')) {
            let problem = "begins with no absolute path; write it like \
                           [\"/usr/local/bin/told\", \"--quiet\"]";
            self.refuse::<()>(&at.key("command"), problem);
        }
        Notify {
            command: file.command.clone(),
            user: file.user.clone(),
        }
    }

    fn virtual_address(&mut self, text: &str, at: &KeyPath) -> Option<IpNet> {
        if let Ok(address) = text.parse::<IpAddr>() {
            let bits = if address.is_ipv4() { "24" } else { "64" };
            return self.refuse(
                at,
                format!("has no prefix length; write it as its subnet has it, such as \"{text}/{bits}\""),
            );
        }
        let Ok(network) = text.parse::<IpNet>() else {
            let problem =
                "is not an address with its prefix; write it like \"192.168.220.224/24\"";
            return self.refuse(at, problem);
        };
        self.ip(&network.addr().to_string(), at)?;
        let narrow = network.prefix_len() >= network.max_prefix_len() - 1;
        if !narrow && network.addr() == network.network() {
            return self.refuse(at, "is the network's own address; write a host's");
        }
        Some(network)
    }
}
