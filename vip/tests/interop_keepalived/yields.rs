//! Giving the addresses away on purpose, with a keepalived as successor.

use std::time::{Duration, Instant};

use lab::host::Host;
use lab::sniffer::Frame;
use lab::wait;
use libtest_mimic::Failed;

use crate::pair::Pair;

/// Nobody can be told first: priority 0 is sent, they take over after their skew, and we
/// leave them alone although our priority is higher.
pub(crate) fn to_them(pair: &mut Pair) -> Result<(), Failed> {
    pair.they_start(100)?;
    pair.held_by("theirs")?;
    pair.we_start(150)?;
    pair.held_by("ours")?;
    let host = pair.host("ours")?;
    let socket = host.file("vip.sock").display().to_string();
    let left = pair.machine.mark();
    let said = host.output(
        env!("CARGO_BIN_EXE_vip-daemon"),
        &["yield", "--socket", &socket],
    )?;
    if !said.contains("noChannel") {
        return Err(format!("it says:\n{said}").into());
    }
    pair.held_by("theirs")?;
    let seen = pair.sniffer.seen(left.at, Instant::now());
    let mut ours = seen.iter().filter(|frame| frame.from == "ours");
    let told = ours.find(|frame| match &frame.what {
        Frame::Advert(advert) => advert.priority == vrrp::Priority::RELEASE,
        Frame::Garbled(_)
        | Frame::GratuitousArp(_)
        | Frame::ArpReply(_)
        | Frame::UnsolicitedNa(_) => false,
    });
    let told = told.ok_or("we sent no priority 0")?.at;
    // Their skew is 61 ms, their down interval 361.
    let took = pair.took_over("theirs", told)?;
    let bound = Duration::from_millis(300);
    pair.machine
        .within(&left, "theirs took over after", took, bound)?;
    // Several of our down intervals.
    wait::pass(Duration::from_secs(2), || false);
    pair.held_by("theirs")?;
    pair.no_complaints()
}
