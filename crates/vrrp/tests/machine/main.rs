//! The state machine, event by event: T3 to T11, K1, K4 and M1 to M13 of the conformance cases
//! that need no wire, with a row on each side of every comparison (T1 and T2 are beside
//! `fsm::timers`, T5 of VRRPv3 is with the codec).
#![cfg(test)]

mod active;
mod late;
mod lost;
mod table;
mod timers;
mod told;

use table::{check, settings};
use vrrp::fsm::{Announcing, Settings};

/// Without the second burst, whose deadline would hide others.
pub(crate) fn quiet() -> Settings {
    Settings {
        announcing: Announcing {
            second: None,
            refresh: None,
        },
        ..settings()
    }
}

/// Active since 360.9375 ms, announced again; that of 200 ms after is due at 560.9375 ms.
const ACTIVE: &str = "
    0 | start    | initialize>backup started | backup | 360.9375
    @ | deadline | advert 100, acquire, announce, backup>active activeDown | active | 380.9375
    @ | deadline | announce | active | 460.9375
";

pub(crate) fn active(settings: Settings, rows: &str) {
    check(settings, &format!("{ACTIVE}\n{rows}"));
}
