//! Two that both hold the address, and who keeps it: equal priorities after a partition
//! (W6), and lists of addresses that differ (W8).

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use lab::holders::{Event, What};
use lab::sniffer::Frame;
use lab::wait;
use libtest_mimic::Failed;

use crate::pair::{PATIENCE, Pair, Seats};

/// What only we have.
const MORE: Ipv4Addr = Ipv4Addr::new(10, 55, 0, 101);

/// Ours announces until then (20 ms and 200 ms after the last sign of the other).
const SETTLED: Duration = Duration::from_millis(400);

/// W6: cut off from each other both become Active; when the cut heals the higher address
/// keeps it, and where that is ours, our announcement is the last one.
pub(crate) fn equals(pair: &mut Pair, seats: Seats) -> Result<(), Failed> {
    let winner = match seats {
        Seats::OursIsLower => "theirs",
        Seats::OursIsHigher => "ours",
    };
    pair.they_start(100)?;
    pair.held_by("theirs")?;
    // A port that has only just come up would open again by itself.
    pair.segment.isolate("theirs")?;
    pair.we_start(100)?;
    pair.held_by_both()?;
    let healed = Instant::now();
    pair.segment.heal("theirs")?;
    pair.held_by(winner)?;
    let gave_way = |event: &&Event| event.what == What::LetsGo && event.at >= healed;
    let events = pair.timeline.events();
    let settled = events.iter().find(gave_way).ok_or("nobody gave way")?.at;
    wait::pass(SETTLED, || false);
    pair.held_by(winner)?;
    let seen = pair.sniffer.seen(healed, Instant::now());
    let announced = |from: &str, since: Instant| {
        let mine = seen.iter().filter(|seen| seen.from == from);
        let mut arp = mine.filter(|seen| matches!(seen.what, Frame::GratuitousArp(_)));
        arp.any(|seen| seen.at >= since)
    };
    match seats {
        // Behind anything that keepalived said before it gave way.
        Seats::OursIsHigher if !announced("ours", settled) => {
            Err("we did not have the last word".into())
        }
        Seats::OursIsLower if announced("ours", settled) => {
            Err("we announced what we had given away".into())
        }
        Seats::OursIsHigher | Seats::OursIsLower => pair.no_complaints(),
    }
}

/// W8: their list lacks one of ours. We follow them, as 2.3.4 would, and say it.
pub(crate) fn they_lead_with_less(pair: &mut Pair) -> Result<(), Failed> {
    pair.more = Some(MORE);
    pair.they_start(150)?;
    pair.held_by("theirs")?;
    pair.we_start(100)?;
    alarm(pair)?;
    // Longer than our down interval: we follow them, not merely wait.
    wait::pass(Duration::from_secs(5), || false);
    pair.held_by("theirs")?;
    pair.they_stop()?;
    pair.held_by("ours")
}

/// W8: keepalived 2.2.7 refuses our list and takes the address beside us, for ever. What we
/// can do is say so, and keep what is ours.
pub(crate) fn we_lead_with_more(pair: &mut Pair) -> Result<(), Failed> {
    pair.more = Some(MORE);
    pair.we_start(150)?;
    pair.held_by("ours")?;
    pair.they_start(100)?;
    pair.held_by_both()?;
    alarm(pair)?;
    let router = pair.our_router()?;
    if router.pointer("/state").and_then(|state| state.as_str()) != Some("active") {
        return Err(format!("we gave way to a lower priority: {router}").into());
    }
    wait::until("the conflict is counted", PATIENCE, || {
        let router = pair.our_router().ok()?;
        (router.pointer("/counts/conflicts")?.as_u64()? > 0).then_some(())
    })?;
    Ok(())
}

/// `status` names the peer and what differs.
fn alarm(pair: &Pair) -> Result<(), Failed> {
    wait::until("an alarm that names their addresses", PATIENCE, || {
        let router = pair.our_router().ok()?;
        let alarm = router.pointer("/alarm")?.as_str()?.to_owned();
        (alarm.contains("10.55.0.12") && alarm.contains("addresses")).then_some(())
    })?;
    Ok(())
}
