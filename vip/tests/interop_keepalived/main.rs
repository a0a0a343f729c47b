//! In one group with the keepalived 2.2.7 of the distribution, in both roles: each side
//! must yield to the other's higher priority, and take over when the other dies or stops.

mod contest;
mod octets;
mod pair;
mod told;
mod virtual_mac;
mod yields;

use std::fs;
use std::time::Duration;

use lab::requirement::{Requirement, trial, undisturbed};
use lab::{netns, schedule, signals, wait};
use libtest_mimic::{Arguments, Failed, Trial};
use nix::sys::signal::Signal;

use pair::{Pair, Seats, Tongue};

type Test = fn(&mut Pair) -> Result<(), Failed>;

/// Of a trial whose bounds the machine disturbs.
const TRIES: u32 = 3;

fn main() {
    schedule::prefer_run();
    netns::sweep();
    signals::clean_up_on_interrupt();
    let mut arguments = Arguments::from_args();
    // Two groups at once would disturb each other's clocks.
    arguments.test_threads.get_or_insert(1);
    let needs = [Requirement::Root, Requirement::Peers];
    let roles: [(&str, Test); 3] = [
        ("w1_w2_w3_they_lead", they_lead),
        ("w1_w2_w3_we_lead", we_lead),
        (
            "w11_on_the_wire_only_source_and_number_differ",
            octets::alike,
        ),
    ];
    let every = Tongue::ALL.into_iter().flat_map(|(cases, tongue)| {
        roles.map(|(what, test)| (cases, tongue, what, test))
    });
    let multicast = ("v2_pass_multicast", Tongue::V2Multicast);
    let single: [(&str, Test); 3] = [
        ("w7_with_another_password_we_hold_back", another_password),
        (
            "w8_their_shorter_list_is_followed_and_named",
            contest::they_lead_with_less,
        ),
        (
            "w8_our_longer_list_is_refused_and_we_say_so",
            contest::we_lead_with_more,
        ),
    ];
    let single = single.map(|(what, test)| (multicast.0, multicast.1, what, test));
    let fallback: (_, _, _, Test) = (
        "v3_multicast",
        Tongue::V3Multicast,
        "a_yield_to_them_falls_back_to_priority_0",
        yields::to_them,
    );
    let mut trials: Vec<_> = every
        .chain(single)
        .chain([fallback])
        .chain(virtual_macs())
        .map(|(group, tongue, what, test)| {
            let seats = Seats::OursIsLower;
            named(group, what, &needs, move |label| {
                test(&mut Pair::new(tongue, seats, label)?)
            })
        })
        .collect();
    for (what, seats) in [
        (
            "w6_equal_priorities_the_higher_address_is_theirs",
            Seats::OursIsLower,
        ),
        (
            "w6_equal_priorities_the_higher_address_is_ours",
            Seats::OursIsHigher,
        ),
    ] {
        for (group, tongue) in [multicast, ("w5_v3_unicast", Tongue::V3Unicast)] {
            trials.push(named(group, what, &needs, move |label| {
                contest::equals(&mut Pair::new(tongue, seats, label)?, seats)
            }));
        }
    }
    trials.push(named(
        "told",
        "n3_n4_a_failed_check_is_told_as_they_tell_it",
        &needs,
        told::alike,
    ));
    libtest_mimic::run(&arguments, trials).exit();
}

/// W9 in the tongues that it differs in.
fn virtual_macs() -> [(&'static str, Tongue, &'static str, Test); 6] {
    let v2 = ("v2_pass_multicast", Tongue::V2Multicast);
    let v3 = ("v3_multicast", Tongue::V3Multicast);
    let v6 = ("v3_ipv6_multicast", Tongue::V6Multicast);
    let moves: (&str, Test) = (
        "w9_the_virtual_mac_moves_with_the_address",
        virtual_mac::one_mac,
    );
    let own: (&str, Test) = (
        "w9_and_adverts_come_from_the_interfaces_own",
        virtual_mac::one_mac_but_for_adverts,
    );
    let all = [
        (v2, moves),
        (v3, moves),
        (v6, moves),
        (v2, own),
        (v3, own),
        (v6, own),
    ];
    all.map(|((group, tongue), (what, test))| (group, tongue, what, test))
}

fn named(
    group: &str,
    what: &str,
    needs: &[Requirement],
    test: impl Fn(&str) -> Result<(), Failed> + Send + 'static,
) -> Trial {
    let name = format!("interop_keepalived::{group}::{what}");
    let label = name.replace("::", "-");
    trial(name, needs, move || undisturbed(TRIES, || test(&label)))
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
    let came = pair.machine.mark();
    pair.they_start(150)?;
    pair.held_by("theirs")?;
    pair.clean_since(&came)?;
    // W1: killed with everything; its address stays behind, so its cable goes too.
    pair.segment.cut("theirs")?;
    pair.timeline.reach("theirs", lab::holders::What::Cut);
    pair.theirs = None;
    pair.held_by("ours")?;
    pair.no_complaints()
}

/// The skew of their priority in VRRPv2, 609 ms, and the end of a process.
const THEIR_SKEW: Duration = Duration::from_millis(750);
/// The same of ours, 648 ms, and the end of two.
const OUR_SKEW: Duration = Duration::from_secs(1);

/// We have the higher priority: they yield when we come, and take over when we stop.
fn we_lead(pair: &mut Pair) -> Result<(), Failed> {
    pair.they_start(100)?;
    pair.held_by("theirs")?;
    let came = pair.machine.mark();
    pair.we_start(150)?;
    pair.held_by("ours")?;
    pair.clean_since(&came)?;
    // W3: priority 0 from us.
    let left = pair.machine.mark();
    pair.we_stop()?;
    pair.held_by("theirs")?;
    let took = pair.took_over("theirs", left.at)?;
    pair.machine
        .within(&left, "theirs took over after", took, THEIR_SKEW)?;
    // W3, the other way: their priority 0, our skew.
    pair.we_start(90)?;
    let left = pair.machine.mark();
    pair.theirs
        .as_ref()
        .ok_or("not started")?
        .signal(Signal::SIGTERM);
    pair.held_by("ours")?;
    let took = pair.took_over("ours", left.at)?;
    pair.machine
        .within(&left, "we took over after", took, OUR_SKEW)?;
    pair.no_complaints()
}
