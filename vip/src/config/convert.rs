//! From the file to what the program runs on. Every error is kept, so that one run of
//! `check` names them all.

use std::collections::BTreeSet;
use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use config::{Document, Errors, KeyPath, Period};
use vrrp::packet::{Auth, PASSWORD_OCTETS, Password};
use vrrp::{AdvertInterval, Family, Priority, Version, Vrid};

use super::reader::{Reader, Secrets};
use crate::channel::message::KEY;

use super::{Announce, Checksum, Config, Preempt, Router, Travel, file};

const ADMIN: SocketAddr =
    SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 9010);
const SCRIPTS: &str = "/run/sternpost/vip-daemon-scripts.sock";
const SOCKET: &str = "/run/sternpost/vip-daemon.sock";
/// `IFNAMSIZ` less the closing NUL.
const INTERFACE_BYTES: usize = 15;
const NAME_BYTES: usize = 64;
const SECOND: Duration = Duration::from_secs(1);

/// Converts, or says everything that is wrong.
pub(super) fn convert(
    document: &Document<file::File>,
    secrets: Secrets,
) -> Result<Config, Errors> {
    let mut reader = Reader {
        source: &document.source,
        errors: Errors::new(),
        warnings: Vec::new(),
        secrets,
        scripts: None,
    };
    let file = &document.file;
    let scripts = file.scripts.as_ref().map(|scripts| {
        let socket = scripts.socket.clone();
        socket.unwrap_or_else(|| PathBuf::from(SCRIPTS))
    });
    reader.scripts.clone_from(&scripts);
    let at = KeyPath::root().key("routers");
    if file.routers.is_empty() {
        reader.refuse::<()>(&at, "is empty; write at least one router");
    }
    let mut routers: Vec<_> = file
        .routers
        .iter()
        .enumerate()
        .filter_map(|(position, router)| reader.router(router, &at.index(position)))
        .collect();
    reader.unique(&routers, &at);
    reader.own_interfaces(&routers, &at);
    if routers.len() == file.routers.len() {
        reader.related(&routers, &at);
    }
    let sync_groups = reader.sync_groups(&file.sync_groups, file, &mut routers);
    let at = KeyPath::root().key("channel");
    let channel = file.channel.as_ref();
    let channel = channel.and_then(|channel| reader.channel(channel, &at));
    let at = KeyPath::root().key("notify").key("fifo");
    if file
        .notify
        .fifo
        .as_ref()
        .is_some_and(|fifo| !fifo.is_absolute())
    {
        reader.refuse::<()>(&at, "is not an absolute path; begin it with /");
    }
    let mark = reader.mark(file.address_protocol);
    let config = Config {
        fifo: file.notify.fifo.clone(),
        channel,
        routers,
        sync_groups,
        admin: file.admin.address.map_or(ADMIN, |address| address.0),
        socket: file.socket.clone().unwrap_or_else(|| PathBuf::from(SOCKET)),
        log: file.log.clone(),
        scripts,
        mark,
        warnings: reader.warnings,
    };
    reader.errors.or(config)
}

impl Reader<'_> {
    fn router(&mut self, file: &file::Router, at: &KeyPath) -> Option<Router> {
        let name = self.name(&file.name, &at.key("name"));
        let interface = self.interface(&file.interface, &at.key("interface"));
        let vrid = self.number(Some(file.vrid), 1..=255, 1, &at.key("vrid"));
        let version = self.version(file.version, &at.key("version"));
        let priority = self.number(file.priority, 1..=255, 100, &at.key("priority"));
        let interval =
            self.interval(version?, file.advert_interval, &at.key("advertInterval"));
        let addresses = self.addresses(version?, &file.addresses, &at.key("addresses"));
        let family = addresses.iter().flatten().next();
        let family = family.map(|address| Family::of(address.ip()));
        let travel = self.travel(family, file.unicast.as_ref(), &at.key("unicast"));
        let auth = self.auth(version?, file.auth.as_ref(), &at.key("auth"));
        let one_way = version? == Version::V2 || family == Some(Family::V6);
        let checksum = self.checksum(file.checksum, one_way, at);
        let announce = self.announce(&file.announce, &at.key("announce"));
        let tracks = self.tracks(&file.track, &at.key("track"));
        let notify = self.notify(&file.notify, &at.key("notify"));
        let preempt = self.preempt(file, at);
        self.weigh(
            file,
            tracks.as_deref().unwrap_or_default(),
            &at.key("track"),
        );
        let vrid = vrid.and_then(Vrid::new);
        let virtual_mac = self.virtual_mac(file, family, vrid, &at.key("virtualMac"));
        let excluded =
            self.excluded(family, &addresses, &file.excluded, &at.key("excluded"));
        if let (Some(addresses), Some(travel)) = (&addresses, &travel) {
            self.near(addresses, travel, &at.key("addresses"));
        }
        let home = match &virtual_mac {
            Some(Some(virtual_mac)) => Some(virtual_mac.name.as_str()),
            Some(None) => interface.as_deref(),
            None => None,
        };
        for (key, addresses) in [("addresses", &addresses), ("excluded", &excluded)] {
            let addresses = addresses.as_deref().unwrap_or_default();
            self.labelled(addresses, home, &at.key(key));
        }
        Some(Router {
            name: name?,
            interface: interface?,
            vrid: vrid?,
            version: version?,
            priority: Priority::new(priority?),
            interval: interval?,
            travel: travel?,
            addresses: addresses?,
            excluded: excluded?,
            virtual_mac: virtual_mac?,
            preempt: preempt?,
            misconfigured_peer: file.misconfigured_peer,
            checksum: checksum?,
            auth: auth?,
            announce: announce?,
            tracks: tracks?,
            notify: notify?,
            sync_group: None,
        })
    }

    pub(super) fn name(&mut self, name: &str, at: &KeyPath) -> Option<String> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if name.is_empty() || name.len() > NAME_BYTES || !name.chars().all(allowed) {
            return self
                .refuse(at, "is not a name; allowed: 1 to 64 of a-z A-Z 0-9 - _ .");
        }
        Some(name.to_owned())
    }

    pub(super) fn interface(&mut self, name: &str, at: &KeyPath) -> Option<String> {
        let bad = |c: char| c.is_whitespace() || c == '/' || c == ':';
        if name.is_empty() || name.len() > INTERFACE_BYTES || name.contains(bad) {
            return self.refuse(at, "is not an interface's name; allowed: 1 to 15 bytes");
        }
        Some(name.to_owned())
    }

    fn version(&mut self, version: Option<i64>, at: &KeyPath) -> Option<Version> {
        match version {
            None | Some(3) => Some(Version::V3),
            Some(2) => Some(Version::V2),
            Some(_) => self.refuse(at, "is not a version of VRRP; allowed: 2, 3"),
        }
    }

    fn interval(
        &mut self,
        version: Version,
        period: Option<Period>,
        at: &KeyPath,
    ) -> Option<AdvertInterval> {
        let Some(Period(every)) = period else {
            return Some(AdvertInterval::DEFAULT);
        };
        match (AdvertInterval::new(version, every), version) {
            (Ok(interval), _) => Some(interval),
            (Err(_), Version::V2) => self.refuse(
                at,
                "is not an interval of VRRPv2; allowed: whole seconds from 1s to 255s \
                 (write version: 3 for less than a second)",
            ),
            (Err(_), Version::V3) => self.refuse(
                at,
                "is not an interval of VRRPv3; allowed: 10ms to 40950ms in steps of 10ms",
            ),
        }
    }

    /// `one_way`: the protocol has only one.
    fn checksum(
        &mut self,
        style: Checksum,
        one_way: bool,
        at: &KeyPath,
    ) -> Option<Checksum> {
        if one_way && style != Checksum::Auto {
            let problem = "is for version: 3 over IPv4; elsewhere there is one way";
            return self.refuse(&at.key("checksum"), problem);
        }
        Some(style)
    }

    /// `family`: of the addresses, where these could be read.
    fn travel(
        &mut self,
        family: Option<Family>,
        file: Option<&file::Unicast>,
        at: &KeyPath,
    ) -> Option<Travel> {
        let Some(unicast) = file else {
            return Some(Travel::Multicast);
        };
        let peers_at = at.key("peers");
        if unicast.peers.is_empty() {
            self.warn(&peers_at, "is empty: this node sends to nobody");
        }
        let peers: Vec<_> = (unicast.peers.iter().enumerate())
            .map(|(position, text)| self.ip(family, text, &peers_at.index(position)))
            .collect();
        let source_at = at.key("source");
        let source = match &unicast.source {
            None => None,
            Some(text) => Some(self.ip(family, text, &source_at)?),
        };
        let peers: Vec<_> = peers.into_iter().collect::<Option<_>>()?;
        if let Some(position) = peers.iter().position(|peer| Some(*peer) == source) {
            return self.refuse(&peers_at.index(position), "is our own source address");
        }
        Some(Travel::Unicast {
            source,
            peers,
            unlisted: unicast.unlisted,
        })
    }

    fn ip(&mut self, family: Option<Family>, text: &str, at: &KeyPath) -> Option<IpAddr> {
        let Ok(ip) = text.parse::<IpAddr>() else {
            return self.refuse(
                at,
                "is not an IP address; write it like \"192.168.220.101\"",
            );
        };
        match (Family::of(ip), family) {
            (Family::V6, Some(Family::V4)) => {
                self.refuse(at, "is IPv6, the router's addresses are IPv4")
            }
            (Family::V4, Some(Family::V6)) => {
                self.refuse(at, "is IPv4, the router's addresses are IPv6")
            }
            (Family::V4, Some(Family::V4) | None)
            | (Family::V6, Some(Family::V6) | None) => Some(ip),
        }
    }

    fn preempt(&mut self, file: &file::Router, at: &KeyPath) -> Option<Preempt> {
        let delay = self.period(
            file.preempt_delay,
            Duration::ZERO,
            Duration::ZERO..=Duration::from_secs(1000),
            &at.key("preemptDelay"),
        )?;
        match file.preempt {
            None | Some(true) => Some(Preempt::After(delay)),
            Some(false) if delay.is_zero() => Some(Preempt::Never),
            Some(false) => self.refuse(
                &at.key("preemptDelay"),
                "delays what preempt: false never does; remove one of them",
            ),
        }
    }

    fn auth(
        &mut self,
        version: Version,
        file: Option<&file::Auth>,
        at: &KeyPath,
    ) -> Option<Auth> {
        let Some(auth) = file else {
            return Some(Auth::None);
        };
        if version == Version::V3 {
            return self.refuse(at, "is for version: 2 only; VRRPv3 has no passwords");
        }
        let at = at.key("passFile");
        let text = self.secret(&auth.pass_file, &at)?;
        let password = text.lines().next().unwrap_or_default().trim_end();
        if password.is_empty() {
            return self.refuse(&at, "has no password on its first line");
        }
        if password.len() > PASSWORD_OCTETS {
            self.warn(&at, "holds more than 8 bytes; VRRPv2 uses the first 8");
        }
        Some(Auth::Simple(Password::new(password)))
    }

    pub(super) fn secret(&mut self, path: &Path, at: &KeyPath) -> Option<String> {
        if self.secrets == Secrets::Spare {
            return Some("-".repeat(KEY));
        }
        match fs::read_to_string(path) {
            Err(error) => self.refuse(at, format!("cannot be read: {error}")),
            Ok(text) => {
                let mode =
                    fs::metadata(path).map_or(0, |about| about.permissions().mode());
                if mode & 0o077 != 0 {
                    self.warn(at, "can be read by others; chmod 0600");
                }
                Some(text)
            }
        }
    }

    fn announce(&mut self, file: &file::Announce, at: &KeyPath) -> Option<Announce> {
        let burst = self.number::<u32>(file.burst, 1..=100, 5, &at.key("burst"));
        let again = self.period(
            file.again,
            Duration::from_secs(5),
            Duration::ZERO..=Duration::from_secs(255),
            &at.key("again"),
        );
        let refresh = self.refresh(file.refresh, &at.key("refresh"));
        let some = |period: Duration| (!period.is_zero()).then_some(period);
        Some(Announce {
            burst: burst?,
            again: some(again?),
            refresh: some(refresh?),
        })
    }

    fn refresh(&mut self, refresh: Option<Period>, at: &KeyPath) -> Option<Duration> {
        if refresh == Some(Period(Duration::ZERO)) {
            return Some(Duration::ZERO);
        }
        let hour = Duration::from_secs(3600);
        self.period(refresh, Duration::from_secs(60), SECOND..=hour, at)
    }

    /// What must not stand twice in one file.
    fn unique(&mut self, routers: &[Router], at: &KeyPath) {
        let mut names = BTreeSet::new();
        let mut groups = BTreeSet::new();
        let mut held = BTreeSet::new();
        for (position, router) in routers.iter().enumerate() {
            let at = at.index(position);
            let v6 = router.family() == Family::V6;
            if !names.insert(&router.name) {
                self.refuse::<()>(&at.key("name"), "is the name of another router");
            }
            if !groups.insert((&router.interface, router.vrid, v6)) {
                let problem = "is the VRID of another router on this interface";
                self.refuse::<()>(&at.key("vrid"), problem);
            }
            for (key, addresses) in [
                ("addresses", &router.addresses),
                ("excluded", &router.excluded),
            ] {
                for (position, address) in addresses.iter().enumerate() {
                    if !held.insert(address.ip()) {
                        let at = at.key(key).index(position);
                        self.refuse::<()>(&at, "is an address of another router");
                    }
                }
            }
        }
    }
}
