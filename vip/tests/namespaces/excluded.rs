//! An address that stands in no advert: held and let go of with the others.

use std::time::Instant;

use lab::sniffer::{Frame, Sniffer};
use lab::wait;
use libtest_mimic::Failed;

use crate::Test;
use crate::hosts::{Lab, PATIENCE, VIRTUAL, assert_is};

/// The tests of this file.
pub(crate) const TESTS: [(&str, Test); 1] = [(
    "an_excluded_address_moves_with_the_others_and_is_not_advertised",
    excluded,
)];

const BESIDE: &str = "10.55.0.201";

fn excluded() -> Result<(), Failed> {
    let lab = Lab::new("excluded")?;
    let sniffer = Sniffer::start(&lab.segment)?;
    let began = Instant::now();
    let more = format!("  excluded: [\"{BESIDE}/24\"]\n");
    let mut daemon = lab.start("a", &lab.config("a", 200, &more)?)?;
    lab.held_by(&["a"])?;
    let there = || {
        let shown = lab.ip("a", "-o address show dev eth0")?;
        Ok::<_, Failed>(shown.contains(&format!("{BESIDE}/24")))
    };
    wait::until("it is there", PATIENCE, || there().ok()?.then_some(()))?;
    // A peer that does not know of it takes our adverts.
    let _b = lab.start("b", &lab.config("b", 100, "")?)?;
    lab.state("b", "backup")?;
    let announced = Frame::GratuitousArp(BESIDE.parse()?);
    wait::until("its announcement", PATIENCE, || {
        let seen = sniffer.seen(began, Instant::now());
        let mut of_a = seen.iter().filter(|frame| frame.from == "a");
        of_a.any(|frame| frame.what == announced).then_some(())
    })?;
    assert_is(
        "alarm",
        lab.router("b")?.pointer("/alarm"),
        serde_json::Value::Null,
    )?;
    // Deleted by somebody, it is put back like the others.
    lab.ip("a", &format!("address delete {BESIDE}/24 dev eth0"))?;
    wait::until("it is back", PATIENCE, || there().ok()?.then_some(()))?;
    daemon.stop(PATIENCE)?;
    lab.held_by(&["b"])?;
    wait::until("it is gone", PATIENCE, || (!there().ok()?).then_some(()))?;
    assert_is(
        "addresses of b",
        lab.router("b")?.pointer("/addresses/0"),
        format!("{VIRTUAL}/24"),
    )
}
