//! W9: both with a virtual hardware address. It moves with the address, so that a client's
//! entry for it never changes, whoever fails and whoever takes over. For how long both hold
//! it is measured without: setting interfaces up and down takes the one lock that all hosts
//! of the lab share.

use std::fs;
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use lab::host::Host;
use lab::process::{Process, Program};
use lab::sniffer::Frame;
use lab::wait;
use libtest_mimic::Failed;

use crate::pair::{Macs, PATIENCE, Pair, Tongue};

/// One question of the client's.
const ATTEMPT: Duration = Duration::from_millis(250);

/// How long the client may have to ask. Over IPv6 the kernel of a node that gives the address
/// up tells switches that it leaves the address's group, from the virtual hardware address. Where
/// no advert comes from there after it, they look for it at that node until the next owner
/// announces again, a keepalived after 5 s.
fn patience(pair: &Pair) -> Duration {
    let v6 = pair.moves().is_ipv6();
    match pair.macs {
        Macs::VirtualButAdverts if v6 => Duration::from_secs(8),
        Macs::Own | Macs::Virtual | Macs::VirtualButAdverts => Duration::from_secs(5),
    }
}

/// The client notes down every change of what it knows about its neighbours.
struct Client {
    monitor: Process,
    mac: &'static str,
}

impl Client {
    fn start(pair: &Pair) -> Result<Self, Failed> {
        let program =
            Program::new("neighbours", "/sbin/ip".as_ref(), pair.segment.logs());
        let host = pair.host("client")?;
        let monitor = host.start(&program.args(["monitor", "neigh"]))?;
        let mac = match pair.tongue {
            Tongue::V6Multicast | Tongue::V6Unicast => "00:00:5e:00:02:33",
            Tongue::V2Multicast
            | Tongue::V2Unicast
            | Tongue::V3Multicast
            | Tongue::V3Unicast
            | Tongue::V3Fastest => "00:00:5e:00:01:33",
        };
        let client = Self { monitor, mac };
        // Another one again and again, until it is heard.
        let mut last = 0_u8;
        wait::until("the client listens", PATIENCE, || {
            last = last.wrapping_add(1);
            let at = format!("10.55.0.77 lladdr 02:00:00:00:77:{last:02x} dev eth0");
            let note = format!("neigh replace {at}");
            host.output("ip", &note.split(' ').collect::<Vec<_>>())
                .ok()?;
            let log = fs::read_to_string(client.monitor.log()).ok()?;
            log.contains("10.55.0.77").then_some(())
        })?;
        Ok(client)
    }

    /// Is answered by whoever holds the address, from that very address. Nobody listens
    /// there: the answer is a refusal.
    fn asks(&self, pair: &Pair) -> Result<(), Failed> {
        let (to, host) = (SocketAddr::new(pair.moves(), 9), pair.host("client")?);
        let within = patience(pair);
        wait::until("the client is answered", within, || {
            let asked = host
                .run(move || TcpStream::connect_timeout(&to, ATTEMPT))
                .ok()?;
            let said = asked.err().map(|error| error.kind());
            (said == Some(ErrorKind::ConnectionRefused)).then_some(())
        })?;
        Ok(())
    }

    /// Whatever was learned about the address is the virtual hardware address.
    fn learned_one_address(&self, pair: &Pair) -> Result<(), Failed> {
        let log = fs::read_to_string(self.monitor.log())?;
        let moves = format!("{} ", pair.moves());
        let about: Vec<_> = log.lines().filter(|line| line.contains(&moves)).collect();
        let learned = about.iter().filter(|line| line.contains("lladdr"));
        let other = learned.clone().find(|line| !line.contains(self.mac));
        match (learned.clone().next(), other) {
            (Some(_), None) => Ok(()),
            (None, _) => Err(format!("the client learned nothing:\n{log}").into()),
            (_, Some(line)) => Err(format!("the client learned {line}").into()),
        }
    }
}

/// keepalived leaves it to whoever runs it that its interface does not ask in the name of
/// the virtual address (its NOTE_vrrp_vmac); we do that ourselves.
fn as_its_manual_says(pair: &Pair) -> Result<(), Failed> {
    let theirs = pair.host("theirs")?;
    theirs.output("sysctl", &["-q", "-w", "net.ipv4.conf.eth0.arp_announce=2"])?;
    Ok(())
}

/// They hold, we preempt, we stop, they die: the client asks after each.
pub(crate) fn one_mac(pair: &mut Pair) -> Result<(), Failed> {
    moves(pair, Macs::Virtual)
}

/// The same with adverts from the interfaces' own hardware addresses.
pub(crate) fn one_mac_but_for_adverts(pair: &mut Pair) -> Result<(), Failed> {
    moves(pair, Macs::VirtualButAdverts)
}

fn moves(pair: &mut Pair, macs: Macs) -> Result<(), Failed> {
    pair.macs = macs;
    as_its_manual_says(pair)?;
    pair.they_start(100)?;
    pair.held_by("theirs")?;
    let client = Client::start(pair)?;
    client.asks(pair)?;
    pair.we_start(150)?;
    pair.held_by("ours")?;
    client.asks(pair)?;
    pair.we_stop()?;
    pair.held_by("theirs")?;
    client.asks(pair)?;
    pair.we_start(90)?;
    wait::until("we are their backup", PATIENCE, || {
        let router = pair.our_router().ok()?;
        (router.pointer("/state")? == "backup").then_some(())
    })?;
    // With everything, its interface included.
    pair.segment.cut("theirs")?;
    pair.timeline.reach("theirs", lab::holders::What::Cut);
    pair.theirs = None;
    pair.held_by("ours")?;
    client.asks(pair)?;
    client.learned_one_address(pair)?;
    from_where(pair, macs)?;
    pair.no_complaints()
}

/// The hardware address that adverts of both come from.
fn from_where(pair: &Pair, macs: Macs) -> Result<(), Failed> {
    const VIRTUAL: [u8; 4] = [0x00, 0x00, 0x5e, 0x00];
    let seen = pair.sniffer.seen(pair.began, Instant::now());
    for frame in seen.iter().filter(|it| matches!(it.what, Frame::Advert(_))) {
        let is_virtual = frame.octets.get(6..10) == Some(&VIRTUAL[..]);
        if is_virtual != (macs == Macs::Virtual) {
            let (from, octets) = (&frame.from, &frame.octets);
            return Err(format!("an advert of {from} is {octets:02x?}").into());
        }
    }
    Ok(())
}
