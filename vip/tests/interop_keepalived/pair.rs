//! One host with our daemon, one with keepalived, and a record of what they do and say.

use std::collections::BTreeSet;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use lab::held_up::{Machine, Mark};
use lab::holders::{current, overlap, sole_since};
use lab::host::{Host, NamespaceHost};
use lab::process::{Process, Program};
use lab::requirement::peer;
use lab::segment::Segment;
use lab::sniffer::{Frame, Sniffer};
use lab::timeline::Timeline;
use lab::{binaries, wait};
use libtest_mimic::Failed;
use serde_json::Value;

const BINARY: &str = env!("CARGO_BIN_EXE_vip-daemon");
const LOWER: Ipv4Addr = Ipv4Addr::new(10, 55, 0, 11);
const HIGHER: Ipv4Addr = Ipv4Addr::new(10, 55, 0, 13);
const THEIRS: Ipv4Addr = Ipv4Addr::new(10, 55, 0, 12);
const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 55, 0, 50);
const CLIENT_V6: Ipv6Addr = Ipv6Addr::new(0xfd55, 0, 0, 0, 0, 0, 0, 0x50);
const VIRTUAL: Ipv4Addr = Ipv4Addr::new(10, 55, 0, 100);
const OURS_V6: Ipv6Addr = Ipv6Addr::new(0xfd55, 0, 0, 0, 0, 0, 0, 0x11);
const THEIRS_V6: Ipv6Addr = Ipv6Addr::new(0xfd55, 0, 0, 0, 0, 0, 0, 0x12);
const VIRTUAL_V6: Ipv6Addr = Ipv6Addr::new(0xfd55, 0, 0, 0, 0, 0, 0, 0x100);

/// Ours, and theirs where they are to understand us.
const PASSWORD: &str = "42k8svip";

/// Above the down interval of VRRPv2 at 1 s (4 s at most) and keepalived's own start.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// keepalived's hand-over takes about a millisecond; the bound of the conventions.
const OVERLAP: Duration = Duration::from_millis(10);

/// How the two speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tongue {
    V2Multicast,
    V2Unicast,
    V3Multicast,
    V3Unicast,
    V3Fastest,
    V6Multicast,
    V6Unicast,
}

impl Tongue {
    pub(crate) const ALL: [(&'static str, Self); 7] = [
        ("v2_pass_multicast", Self::V2Multicast),
        ("w4_v2_pass_unicast", Self::V2Unicast),
        ("w5_v3_multicast", Self::V3Multicast),
        ("w5_v3_unicast", Self::V3Unicast),
        ("w5_v3_unicast_every_10_ms", Self::V3Fastest),
        ("w5_v3_ipv6_multicast", Self::V6Multicast),
        ("w5_v3_ipv6_unicast", Self::V6Unicast),
    ];

    pub(crate) fn unicast(self) -> bool {
        match self {
            Self::V2Unicast | Self::V3Unicast | Self::V3Fastest | Self::V6Unicast => true,
            Self::V2Multicast | Self::V3Multicast | Self::V6Multicast => false,
        }
    }

    /// Ours, theirs, and the one that moves.
    fn addresses(self, seats: Seats) -> [IpAddr; 3] {
        match self {
            Self::V6Multicast | Self::V6Unicast => {
                [OURS_V6.into(), THEIRS_V6.into(), VIRTUAL_V6.into()]
            }
            Self::V2Multicast
            | Self::V2Unicast
            | Self::V3Multicast
            | Self::V3Unicast
            | Self::V3Fastest => [seats.ours().into(), THEIRS.into(), VIRTUAL.into()],
        }
    }

    /// Who asks for the address that moves.
    pub(crate) fn client(self) -> IpAddr {
        match self {
            Self::V6Multicast | Self::V6Unicast => CLIENT_V6.into(),
            Self::V2Multicast
            | Self::V2Unicast
            | Self::V3Multicast
            | Self::V3Unicast
            | Self::V3Fastest => CLIENT.into(),
        }
    }

    pub(crate) fn v2(self) -> bool {
        matches!(self, Self::V2Multicast | Self::V2Unicast)
    }

    /// In hundredths of a second, as VRRPv3 has it on the wire.
    fn interval(self) -> u32 {
        match self {
            Self::V2Multicast | Self::V2Unicast => 100,
            Self::V3Fastest => 1,
            Self::V3Multicast | Self::V3Unicast => 10,
            Self::V6Multicast | Self::V6Unicast => 10,
        }
    }
}

/// Whose address of its own is the higher one: what decides between equal priorities.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seats {
    OursIsLower,
    OursIsHigher,
}

impl Seats {
    fn ours(self) -> Ipv4Addr {
        match self {
            Self::OursIsLower => LOWER,
            Self::OursIsHigher => HIGHER,
        }
    }
}

/// The hardware address of the address that moves, and of adverts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Macs {
    /// The interfaces' own.
    Own,
    /// The virtual one (keepalived's `use_vmac`).
    Virtual,
    /// The virtual one, and the interfaces' own for adverts (`vmac_xmit_base`).
    VirtualButAdverts,
}

impl Macs {
    /// In our file.
    fn ours(self) -> &'static str {
        match self {
            Self::Own => "",
            Self::Virtual => "  virtualMac: {}\n",
            Self::VirtualButAdverts => "  virtualMac: {advertsFrom: interface}\n",
        }
    }

    /// In theirs.
    fn theirs(self) -> &'static str {
        match self {
            Self::Own => "",
            Self::Virtual => "use_vmac",
            Self::VirtualButAdverts => "use_vmac\n vmac_xmit_base",
        }
    }
}

/// One host each.
pub(crate) struct Pair {
    pub(crate) tongue: Tongue,
    pub(crate) ours: Option<Process>,
    pub(crate) theirs: Option<Process>,
    pub(crate) timeline: Timeline,
    pub(crate) sniffer: Sniffer,
    pub(crate) began: Instant,
    /// Theirs.
    pub(crate) password: &'static str,
    /// Ours beside the one that moves.
    pub(crate) more: Option<Ipv4Addr>,
    pub(crate) macs: Macs,
    /// Ours, theirs, and the one that moves.
    addresses: [IpAddr; 3],
    pub(crate) machine: Machine,
    pub(crate) segment: Segment,
}

impl Pair {
    pub(crate) fn new(tongue: Tongue, seats: Seats, label: &str) -> Result<Self, Failed> {
        let logs = binaries::logs(label);
        // The logs of an earlier run would only mislead; there may be none.
        drop(fs::remove_dir_all(&logs));
        let hosts = [
            ("ours", seats.ours()),
            ("theirs", THEIRS),
            ("client", CLIENT),
        ];
        let segment = Segment::new(&logs, &hosts)?;
        let addresses = tongue.addresses(seats);
        let [ours, theirs, moves] = addresses;
        let own = [
            ("ours", ours, "fe80::11"),
            ("theirs", theirs, "fe80::12"),
            ("client", tongue.client(), "fe80::50"),
        ];
        for (name, address, local) in own {
            if address.is_ipv6() {
                let global = address.to_string();
                let host = segment.host(name)?;
                // The kernel's own link-local address begins with a second of doubt.
                for address in [local, &global] {
                    let add = format!("address add {address}/64 dev eth0 nodad");
                    host.output("ip", &add.split(' ').collect::<Vec<_>>())?;
                }
            }
        }
        let timeline = Timeline::watch(moves, segment.hosts())?;
        let sniffer = Sniffer::start(&segment)?;
        let began = Instant::now();
        Ok(Self {
            tongue,
            ours: None,
            theirs: None,
            timeline,
            sniffer,
            began,
            password: PASSWORD,
            more: None,
            macs: Macs::Own,
            addresses,
            machine: Machine::watch(segment.hosts())?,
            segment,
        })
    }

    pub(crate) fn host(&self, name: &str) -> Result<Arc<NamespaceHost>, Failed> {
        Ok(Arc::clone(self.segment.host(name)?))
    }

    pub(crate) fn we_start(&mut self, priority: u8) -> Result<(), Failed> {
        let host = self.host("ours")?;
        let (config, password) = (host.file("vip.yaml"), host.file("password"));
        fs::write(&password, PASSWORD)?;
        let socket = host.file("vip.sock");
        let [ours, theirs, moves] = self.addresses;
        let more = self
            .more
            .map(|more| format!(", \"{more}\""))
            .unwrap_or_default();
        let mut text = format!(
            "apiVersion: sternpost/v1\nkind: VipDaemon\nsocket: {}\nrouters:\n\
             - name: VI_1\n  interface: eth0\n  vrid: 51\n  priority: {priority}\n  \
               addresses: [\"{moves}\"{more}]\n",
            socket.display()
        );
        if self.tongue.v2() {
            text += &format!(
                "  version: 2\n  auth: {{passFile: {}}}\n",
                password.display()
            );
        } else {
            text += &format!("  advertInterval: {}0ms\n", self.tongue.interval());
        }
        if self.tongue.unicast() {
            text +=
                &format!("  unicast: {{source: \"{ours}\", peers: [\"{theirs}\"]}}\n");
        }
        text += self.macs.ours();
        fs::write(&config, text)?;
        let program = Program::new("vip-daemon", BINARY.as_ref(), self.segment.logs());
        let config = config.display().to_string();
        let mut process = host.start(&program.args(["run", "--config", &config]))?;
        process.ready(PATIENCE)?;
        self.ours = Some(process);
        Ok(())
    }

    pub(crate) fn they_start(&mut self, priority: u8) -> Result<(), Failed> {
        let host = self.host("theirs")?;
        let (config, pid) = (host.file("keepalived.conf"), host.file("pid"));
        let (version, auth) = match self.tongue.v2() {
            true => (
                2,
                format!(
                    "authentication {{ auth_type PASS\n auth_pass {}\n }}",
                    self.password
                ),
            ),
            false => (3, String::new()),
        };
        let interval = f64::from(self.tongue.interval()) / 100.0;
        let macs = self.macs.theirs();
        let [ours, theirs, moves] = self.addresses;
        let unicast = match self.tongue.unicast() {
            true => format!("unicast_src_ip {theirs}\n unicast_peer {{\n {ours}\n }}"),
            false => String::new(),
        };
        fs::write(
            &config,
            format!(
                "global_defs {{\n router_id theirs\n vrrp_version {version}\n}}\n\
                 vrrp_instance VI_1 {{\n state BACKUP\n interface eth0\n \
                 virtual_router_id 51\n priority {priority}\n advert_int {interval}\n \
                 {auth}\n {unicast}\n {macs}\n virtual_ipaddress {{\n {moves}\n }}\n}}\n"
            ),
        )?;
        let program =
            Program::new("keepalived", &peer("keepalived"), self.segment.logs());
        let path = |path: &std::path::Path| path.display().to_string();
        let (vrrp, config) = (path(&host.file("vrrp-pid")), path(&config));
        let pid = path(&pid);
        let args = [
            "-n", "-l", "-D", "-P", "-f", &config, "-p", &pid, "-r", &vrrp,
        ];
        self.theirs = Some(host.start(&program.args(args))?);
        Ok(())
    }

    /// The address that moves.
    pub(crate) fn moves(&self) -> IpAddr {
        let [_, _, moves] = self.addresses;
        moves
    }

    /// Waits until that host alone holds the address.
    pub(crate) fn held_by(&mut self, host: &str) -> Result<(), Failed> {
        let wanted = BTreeSet::from([host.to_owned()]);
        let what = format!("{host} alone holds the address");
        let timeline = &self.timeline;
        let held = || (current(&timeline.events()) == wanted).then_some(());
        wait::until(&what, PATIENCE, held)?;
        Ok(())
    }

    /// The hand-over since then was one.
    pub(crate) fn clean_since(&self, from: &Mark) -> Result<(), Failed> {
        let both = overlap(&self.timeline.events(), from.at, Instant::now());
        self.machine
            .within(from, "both held the address for", both, OVERLAP)
    }

    /// That host holds the address alone, so long after `since`.
    pub(crate) fn took_over(
        &self,
        host: &str,
        since: Instant,
    ) -> Result<Duration, Failed> {
        let held = sole_since(&self.timeline.events(), host);
        let held = held.ok_or_else(|| format!("{host} does not hold it alone"))?;
        Ok(held.saturating_duration_since(since))
    }

    /// Every advert could be read, and we refused none of theirs.
    pub(crate) fn no_complaints(&self) -> Result<(), Failed> {
        let seen = self.sniffer.seen(self.began, Instant::now());
        for frame in &seen {
            if let Frame::Garbled(why) = &frame.what {
                return Err(format!("garbled advert from {}: {why}", frame.from).into());
            }
        }
        let adverts = seen
            .iter()
            .filter(|frame| matches!(frame.what, Frame::Advert(_)));
        let from: BTreeSet<_> = adverts.map(|frame| frame.from.as_str()).collect();
        if from != BTreeSet::from(["ours", "theirs"]) {
            return Err(format!("adverts came only from {from:?}").into());
        }
        let log = fs::read_to_string(self.segment.logs().join("ours-vip-daemon.log"))?;
        if let Some(line) = log.lines().find(|line| line.contains("advert refused")) {
            return Err(line.to_owned().into());
        }
        Ok(())
    }

    /// Waits until both hold the address: neither hears the other.
    pub(crate) fn held_by_both(&self) -> Result<(), Failed> {
        wait::until("both hold the address", PATIENCE, || {
            (current(&self.timeline.events()).len() == 2).then_some(())
        })?;
        Ok(())
    }

    /// Our router as `status` shows it.
    pub(crate) fn our_router(&self) -> Result<Value, Failed> {
        let host = self.host("ours")?;
        let socket = host.file("vip.sock").display().to_string();
        let said = host.output(BINARY, &["status", "--json", "--socket", &socket])?;
        let status: Value = serde_json::from_str(&said)?;
        Ok(status.pointer("/routers/0").cloned().ok_or("no router")?)
    }

    /// Ends theirs in good order.
    pub(crate) fn they_stop(&mut self) -> Result<(), Failed> {
        let theirs = self.theirs.as_mut().ok_or("not started")?;
        theirs.stop(PATIENCE)?;
        self.theirs = None;
        Ok(())
    }

    /// Ends ours in good order.
    pub(crate) fn we_stop(&mut self) -> Result<(), Failed> {
        let ours = self.ours.as_mut().ok_or("not started")?;
        let status = ours.stop(PATIENCE)?;
        if !status.success() {
            return Err(format!("ended with {status}").into());
        }
        self.ours = None;
        Ok(())
    }
}
