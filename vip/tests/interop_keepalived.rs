//! In one group with the keepalived 2.2.7 of the distribution, in both roles: each side
//! must yield to the other's higher priority, and take over when the other dies or stops.

use std::collections::BTreeSet;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use lab::holders::{current, overlap};
use lab::host::{Host, NamespaceHost};
use lab::process::{Process, Program};
use lab::requirement::{Requirement, peer, trial};
use lab::segment::Segment;
use lab::sniffer::{Frame, Sniffer};
use lab::timeline::Timeline;
use lab::{binaries, netns, schedule, signals, wait};
use libtest_mimic::{Arguments, Failed, Trial};
use nix::sys::signal::Signal;

const OURS: Ipv4Addr = Ipv4Addr::new(10, 55, 0, 11);
const THEIRS: Ipv4Addr = Ipv4Addr::new(10, 55, 0, 12);
const VIRTUAL: Ipv4Addr = Ipv4Addr::new(10, 55, 0, 100);
const OURS_V6: Ipv6Addr = Ipv6Addr::new(0xfd55, 0, 0, 0, 0, 0, 0, 0x11);
const THEIRS_V6: Ipv6Addr = Ipv6Addr::new(0xfd55, 0, 0, 0, 0, 0, 0, 0x12);
const VIRTUAL_V6: Ipv6Addr = Ipv6Addr::new(0xfd55, 0, 0, 0, 0, 0, 0, 0x100);

/// Ours, and theirs where they are to understand us.
const PASSWORD: &str = "42k8svip";

/// Above the down interval of VRRPv2 at 1 s (4 s at most) and keepalived's own start.
const PATIENCE: Duration = Duration::from_secs(9);

/// keepalived's hand-over takes about a millisecond; the bound of the conventions.
const OVERLAP: Duration = Duration::from_millis(10);

/// How the two speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tongue {
    V2Multicast,
    V2Unicast,
    V3Multicast,
    V3Unicast,
    V6Multicast,
    V6Unicast,
}

impl Tongue {
    const ALL: [(&'static str, Self); 6] = [
        ("v2_pass_multicast", Self::V2Multicast),
        ("v2_pass_unicast", Self::V2Unicast),
        ("v3_multicast", Self::V3Multicast),
        ("v3_unicast", Self::V3Unicast),
        ("v3_ipv6_multicast", Self::V6Multicast),
        ("v3_ipv6_unicast", Self::V6Unicast),
    ];

    fn unicast(self) -> bool {
        matches!(self, Self::V2Unicast | Self::V3Unicast | Self::V6Unicast)
    }

    /// Ours, theirs, and the one that moves.
    fn addresses(self) -> [IpAddr; 3] {
        match self {
            Self::V6Multicast | Self::V6Unicast => {
                [OURS_V6.into(), THEIRS_V6.into(), VIRTUAL_V6.into()]
            }
            Self::V2Multicast | Self::V2Unicast | Self::V3Multicast | Self::V3Unicast => {
                [OURS.into(), THEIRS.into(), VIRTUAL.into()]
            }
        }
    }

    fn v2(self) -> bool {
        matches!(self, Self::V2Multicast | Self::V2Unicast)
    }
}

type Test = fn(&mut Pair) -> Result<(), Failed>;

fn main() {
    schedule::prefer_run();
    netns::sweep();
    signals::clean_up_on_interrupt();
    let mut arguments = Arguments::from_args();
    // Two groups at once would disturb each other's clocks.
    arguments.test_threads.get_or_insert(1);
    let needs = [Requirement::Root, Requirement::Peers];
    let trials = Tongue::ALL.into_iter().flat_map(|(name, tongue)| {
        let tests: [(&str, Test); 2] = [
            ("w1_w2_w3_they_lead", they_lead),
            ("w1_w2_w3_we_lead", we_lead),
        ];
        tests.map(|(what, test)| named(name, tongue, what, test, &needs))
    });
    let w7 = named(
        "v2_pass_multicast",
        Tongue::V2Multicast,
        "w7_with_another_password_we_hold_back",
        another_password,
        &needs,
    );
    libtest_mimic::run(&arguments, trials.chain([w7]).collect()).exit();
}

fn named(
    group: &str,
    tongue: Tongue,
    what: &str,
    test: Test,
    needs: &[Requirement],
) -> Trial {
    let name = format!("interop_keepalived::{group}::{what}");
    let label = name.replace("::", "-");
    trial(name, needs, move || test(&mut Pair::new(tongue, &label)?))
}

/// Neither hears the other: keepalived would make itself a second Active beside us, and
/// stays one; we do not become a second one beside it, and say why.
fn another_password(pair: &mut Pair) -> Result<(), Failed> {
    pair.password = "another1";
    pair.they_start(100)?;
    pair.held_by("theirs")?;
    pair.we_start(150)?;
    // Longer than two of our down intervals.
    wait::pass(Duration::from_secs(8), || false);
    pair.held_by("theirs")?;
    let log = fs::read_to_string(pair.segment.logs().join("ours-vip-daemon.log"))?;
    if !log.contains("reason=\"password\"") {
        return Err(format!("nothing is said about the password:\n{log}").into());
    }
    pair.theirs
        .as_ref()
        .ok_or("not started")?
        .signal(Signal::SIGTERM);
    pair.held_by("ours")
}

/// They have the higher priority: we yield when they come, and take over when they die.
fn they_lead(pair: &mut Pair) -> Result<(), Failed> {
    pair.we_start(100)?;
    pair.held_by("ours")?;
    let came = Instant::now();
    pair.they_start(150)?;
    pair.held_by("theirs")?;
    pair.clean_since(came)?;
    // W1: killed with everything; its address stays behind, so its cable goes too.
    pair.segment.cut("theirs")?;
    pair.timeline.reach("theirs", lab::holders::What::Cut);
    pair.theirs = None;
    pair.held_by("ours")?;
    pair.no_complaints()
}

/// We have the higher priority: they yield when we come, and take over when we stop.
fn we_lead(pair: &mut Pair) -> Result<(), Failed> {
    pair.they_start(100)?;
    pair.held_by("theirs")?;
    let came = Instant::now();
    pair.we_start(150)?;
    pair.held_by("ours")?;
    pair.clean_since(came)?;
    // W3: priority 0 from us; theirs is the skew of priority 100, 609 ms at most.
    let left = Instant::now();
    let ours = pair.ours.as_mut().ok_or("not started")?;
    let status = ours.stop(PATIENCE)?;
    if !status.success() {
        return Err(format!("ended with {status}").into());
    }
    pair.held_by("theirs")?;
    let took = left.elapsed();
    if took > Duration::from_millis(750) {
        return Err(format!("theirs took over only after {took:?}").into());
    }
    // W3, the other way: their priority 0, our skew.
    pair.ours = None;
    pair.we_start(90)?;
    let left = Instant::now();
    pair.theirs
        .as_ref()
        .ok_or("not started")?
        .signal(Signal::SIGTERM);
    pair.held_by("ours")?;
    let took = left.elapsed();
    if took > Duration::from_millis(1000) {
        return Err(format!("we took over only after {took:?}").into());
    }
    pair.no_complaints()
}

/// One host each.
struct Pair {
    tongue: Tongue,
    ours: Option<Process>,
    theirs: Option<Process>,
    timeline: Timeline,
    sniffer: Sniffer,
    began: Instant,
    /// Theirs.
    password: &'static str,
    segment: Segment,
}

impl Pair {
    fn new(tongue: Tongue, label: &str) -> Result<Self, Failed> {
        let logs = binaries::output("lab-logs").join(label);
        // The logs of an earlier run would only mislead; there may be none.
        drop(fs::remove_dir_all(&logs));
        let segment = Segment::new(&logs, &[("ours", OURS), ("theirs", THEIRS)])?;
        let [ours, theirs, moves] = tongue.addresses();
        let own = [("ours", ours, "fe80::11"), ("theirs", theirs, "fe80::12")];
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
            segment,
        })
    }

    fn host(&self, name: &str) -> Result<Arc<NamespaceHost>, Failed> {
        Ok(Arc::clone(self.segment.host(name)?))
    }

    fn we_start(&mut self, priority: u8) -> Result<(), Failed> {
        let host = self.host("ours")?;
        let (config, password) = (host.file("vip.yaml"), host.file("password"));
        fs::write(&password, PASSWORD)?;
        let socket = host.file("vip.sock");
        let [ours, theirs, moves] = self.tongue.addresses();
        let mut text = format!(
            "apiVersion: sternpost/v1\nkind: VipDaemon\nsocket: {}\nrouters:\n\
             - name: VI_1\n  interface: eth0\n  vrid: 51\n  priority: {priority}\n  \
               addresses: [\"{moves}\"]\n",
            socket.display()
        );
        if self.tongue.v2() {
            text += &format!(
                "  version: 2\n  auth: {{passFile: {}}}\n",
                password.display()
            );
        } else {
            text += "  advertInterval: 100ms\n";
        }
        if self.tongue.unicast() {
            text +=
                &format!("  unicast: {{source: \"{ours}\", peers: [\"{theirs}\"]}}\n");
        }
        fs::write(&config, text)?;
        let binary = env!("CARGO_BIN_EXE_vip-daemon");
        let program = Program::new("vip-daemon", binary.as_ref(), self.segment.logs());
        let config = config.display().to_string();
        let mut process = host.start(&program.args(["run", "--config", &config]))?;
        process.ready(PATIENCE)?;
        self.ours = Some(process);
        Ok(())
    }

    fn they_start(&mut self, priority: u8) -> Result<(), Failed> {
        let host = self.host("theirs")?;
        let (config, pid) = (host.file("keepalived.conf"), host.file("pid"));
        let (version, interval, auth) = match self.tongue.v2() {
            true => (
                2,
                "1",
                format!(
                    "authentication {{ auth_type PASS\n auth_pass {}\n }}",
                    self.password
                ),
            ),
            false => (3, "0.1", String::new()),
        };
        let [ours, theirs, moves] = self.tongue.addresses();
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
                 {auth}\n {unicast}\n virtual_ipaddress {{\n {moves}\n }}\n}}\n"
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

    /// Waits until that host alone holds the address.
    fn held_by(&mut self, host: &str) -> Result<(), Failed> {
        let wanted = BTreeSet::from([host.to_owned()]);
        let what = format!("{host} alone holds the address");
        let timeline = &self.timeline;
        let held = || (current(&timeline.events()) == wanted).then_some(());
        wait::until(&what, PATIENCE, held)?;
        Ok(())
    }

    /// The hand-over since then was one.
    fn clean_since(&self, from: Instant) -> Result<(), Failed> {
        let both = overlap(&self.timeline.events(), from, Instant::now());
        if both > OVERLAP {
            return Err(format!("both held the address for {both:?}").into());
        }
        Ok(())
    }

    /// Every advert could be read, and we refused none of theirs.
    fn no_complaints(&self) -> Result<(), Failed> {
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
}
