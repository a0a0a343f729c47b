//! Whether what a step expects is so: one look at the instruments, and what was measured.

use std::time::{Duration, Instant};

use super::judge::{ANSWERERS, KEEPERS, Miss};
use super::run::Stage;
use super::{AtLeast, Expect};
use crate::client::{EVERY, PATIENCE, Request, SLOW, Sum, sum};
use crate::group::{Role, Struck};
use crate::holders;
use crate::prober;
use crate::sniffer::Frame;
use crate::wait;

/// What was measured, with its name.
pub(super) type Measured = Vec<(&'static str, Duration)>;

/// Looks once. `struck` is the last fault, `within` the time it all may have taken.
pub(super) fn look(
    expect: &Expect,
    stage: &Stage,
    struck: Struck,
    within: Option<Duration>,
) -> Result<Measured, Miss> {
    let since = struck.begun;
    let mut measured = Measured::new();
    if let Some(host) = &expect.holder {
        measured.push(("held after", holder(host, stage, since, within)?));
    }
    if let Some(host) = &expect.without {
        let holders = holders::current(&stage.group.timeline().events());
        if holders.contains(host) {
            let said = format!("{host} holds the address");
            return Err(not_yet(said, since, within, KEEPERS));
        }
    }
    if let Some(wanted) = &expect.gratuitous_arp {
        let vip = stage.vip;
        frames(wanted, stage, since, "gratuitous ARPs", |frame| {
            *frame == Frame::GratuitousArp(vip)
        })?;
    }
    if let Some(wanted) = &expect.released {
        frames(
            wanted,
            stage,
            since,
            "adverts with priority 0",
            |frame| match frame {
                Frame::Advert(advert) => advert.priority == vrrp::Priority::RELEASE,
                Frame::Garbled(_)
                | Frame::GratuitousArp(_)
                | Frame::ArpReply(_)
                | Frame::UnsolicitedNa(_) => false,
            },
        )?;
    }
    if let Some(most) = expect.outage_at_most {
        let outage = prober::outage(&stage.prober.probes(since, Instant::now()));
        if outage > most.0 {
            let said = format!("outage {outage:?}, at most {most}");
            return Err(Miss::late(said, outage - most.0, KEEPERS));
        }
        measured.push(("outage", outage));
    }
    let events = stage.group.timeline().events();
    let moves = holders::moves(&events, since, Instant::now()).len();
    over("moves of the address", moves, expect.moves_at_most)?;
    requests(expect, stage, struck, within, &mut measured)?;
    watchers(expect, stage, since, within)?;
    Ok(measured)
}

fn holder(
    host: &str,
    stage: &Stage,
    since: Instant,
    within: Option<Duration>,
) -> Result<Duration, Miss> {
    let events = stage.group.timeline().events();
    let Some(held) = holders::sole_since(&events, host) else {
        let now = holders::current(&events);
        let said = format!("{host} is not the one holder; it is with {now:?}");
        return Err(not_yet(said, since, within, KEEPERS));
    };
    let took = held.saturating_duration_since(since);
    match within {
        Some(within) if took > within => {
            let said = format!("{host} held it after {took:?}, at most {within:?}");
            Err(Miss::late(said, took - within, KEEPERS))
        }
        Some(_) | None => Ok(took),
    }
}

/// What is not so at this moment; with a bound, it will be so later than now.
fn not_yet(
    said: String,
    since: Instant,
    within: Option<Duration>,
    of: &'static [Role],
) -> Miss {
    match within {
        Some(within) => Miss::late(said, since.elapsed().saturating_sub(within), of),
        None => said.into(),
    }
}

fn frames(
    wanted: &AtLeast,
    stage: &Stage,
    since: Instant,
    name: &str,
    is: impl Fn(&Frame) -> bool,
) -> Result<(), String> {
    let seen = stage.sniffer.seen(since, Instant::now());
    let count = seen
        .iter()
        .filter(|s| s.from == wanted.from && is(&s.what))
        .count();
    if count >= wanted.at_least {
        return Ok(());
    }
    let AtLeast { from, at_least } = wanted;
    Err(format!("{count} {name} from {from}, at least {at_least}"))
}

fn requests(
    expect: &Expect,
    stage: &Stage,
    struck: Struck,
    within: Option<Duration>,
    measured: &mut Measured,
) -> Result<(), Miss> {
    let Some(client) = &stage.client else {
        return Ok(());
    };
    if expect.answered && !client.answered_last() {
        let said = "the last request was not answered".to_owned();
        return Err(not_yet(said, struck.begun, within, ANSWERERS));
    }
    if expect.failed_at_most.is_none()
        && expect.slow_at_most.is_none()
        && expect.answers_at_least.is_none()
    {
        return Ok(());
    }
    let sum = ended(stage, struck)?;
    measured.push(("slowest request", sum.slowest));
    over("failed", sum.failed, expect.failed_at_most)
        .map_err(|said| format!("{said}: {:?}", sum.reasons))?;
    over("slow", sum.slow, expect.slow_at_most).map_err(|said| {
        let said = format!("{said}; the slowest took {:?}", sum.slowest);
        Miss::late(said, sum.slowest.saturating_sub(SLOW), ANSWERERS)
    })?;
    let answers = sum.asked - sum.failed - sum.in_flight;
    match expect.answers_at_least {
        Some(least) if answers < least => {
            // So many fewer could have been asked for in so much time.
            let missing = u32::try_from(least - answers).unwrap_or(u32::MAX);
            let said = format!("{answers} answers, at least {least}");
            Err(Miss::late(said, EVERY.saturating_mul(missing), ANSWERERS))
        }
        Some(_) | None => Ok(()),
    }
}

/// The requests since the fault, when all of them have ended.
pub(super) fn ended(stage: &Stage, struck: Struck) -> Result<Sum, String> {
    let Struck {
        begun: since, done, ..
    } = struck;
    let Some(client) = &stage.client else {
        return Ok(Sum::default());
    };
    let now = Instant::now();
    let over = |requests: &Vec<Request>| requests.iter().all(|r| r.ended.is_some());
    let requests = wait::until("the end of all requests", PATIENCE * 2, || {
        Some(client.requests(since, now)).filter(over)
    })
    .map_err(|late| late.to_string())?;
    let mut losses = vec![since..=done];
    let events = stage.group.timeline().events();
    losses.extend(holders::moves(&events, since, now));
    Ok(sum(&requests, &losses))
}

fn watchers(
    expect: &Expect,
    stage: &Stage,
    since: Instant,
    within: Option<Duration>,
) -> Result<(), Miss> {
    let Some(watchers) = &stage.watchers else {
        return Ok(());
    };
    let cuts = watchers.cuts(since, Instant::now()).len();
    over("cut long-lived connections", cuts, expect.cuts_at_most)?;
    let open = watchers.open();
    match expect.watchers {
        Some(wanted) if open != wanted => {
            let said = format!("{open} open, {wanted} wanted");
            Err(not_yet(said, since, within, ANSWERERS))
        }
        Some(_) | None => Ok(()),
    }
}

fn over(name: &str, count: usize, most: Option<usize>) -> Result<(), String> {
    match most {
        Some(most) if count > most => Err(format!("{count} {name}, at most {most}")),
        Some(_) | None => Ok(()),
    }
}
