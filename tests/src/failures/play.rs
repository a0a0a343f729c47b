//! Plays a scene: the stage, the load, the fault, and what is seen of it.

use std::path::Path;
use std::time::Duration;

use super::backend::Mode;
use super::dials::{Dials, dials};
use super::figures::{Figures, Seen};
use super::load::Load;
use super::proxy::{PORT, Peer, Programs, Proxy};
use super::scene::{Scene, Size};
use super::stage::{Stage, WIDE};
use super::stalls::Mark;
use super::{hostile, storm};
use crate::error::LabError;
use crate::wait;

/// Until everybody has connected and the checks have passed.
pub(super) const SETTLE: Duration = Duration::from_secs(3);
/// Room for so few that a paused server's queue is full at once.
const NARROW: u32 = 4;
/// The server that fails, and what it says of itself.
const VICTIM: usize = 1;
const ITS_NUMBER: u8 = 2;
const THEIR_NUMBERS: [u8; 3] = [1, 2, 3];
/// Of the connections that last, a server has its share give or take this part of it.
const EVEN: f64 = 0.1;

impl Scene {
    /// Runs it with this proxy on a stage of its own.
    ///
    /// # Errors
    /// When the lab cannot do its part; a bound that is missed is a figure.
    pub fn run(
        self,
        peer: Peer,
        size: Size,
        programs: &Programs,
        logs: &Path,
    ) -> Result<Figures, LabError> {
        let backlog = if self == Self::QueueFull {
            NARROW
        } else {
            WIDE
        };
        let mut stage = Stage::new(programs, backlog, logs)?;
        let host = stage.lb()?.clone();
        let addresses = stage.addresses();
        let door = self.door(size);
        let proxy = Proxy::start(peer, door, programs, &host, &addresses, logs)?;
        let address = (std::net::Ipv4Addr::LOCALHOST, PORT).into();
        if self == Self::Storm {
            return storm::run(&mut stage, &proxy, size);
        }
        if self == Self::Hostile {
            return hostile::run(&stage, &proxy, size);
        }
        self.prepare(&mut stage, size)?;
        let load = Load::begin(&host, address, self.demand())?;
        pass(SETTLE);
        let mark = Mark::now(&stage, &proxy)?;
        let lasts = self.fault_lasts(size);
        let mut figures = if self == Self::Returns {
            returns(&mut stage, load, lasts)?
        } else {
            let before = dials(&proxy)?;
            let fault = load.now();
            self.play(&mut stage, &proxy, lasts)?;
            let back = load.now();
            pass(self.goes_on(size));
            let after = dials(&proxy)?;
            let seen = load.end()?;
            self.figures(&seen, fault, back, before.zip(after))
        };
        figures.stalled = Some(mark.stalled(&stage, &proxy).as_secs_f64());
        Ok(figures)
    }

    /// What is so before anybody comes: every proxy has found it out that can.
    fn prepare(self, stage: &mut Stage, size: Size) -> Result<(), LabError> {
        match self {
            Self::Reloads | Self::Upgrades => {
                stage.isolate(VICTIM)?;
                pass(size.found_out());
            }
            Self::Returns => {
                stage.kill(VICTIM);
                pass(size.found_out());
            }
            Self::Killed
            | Self::Blackholed
            | Self::Hung
            | Self::QueueFull
            | Self::Draining
            | Self::AllDown
            | Self::Overloaded
            | Self::Storm
            | Self::Hostile => {}
        }
        Ok(())
    }

    fn play(
        self,
        stage: &mut Stage,
        proxy: &Proxy,
        lasts: Duration,
    ) -> Result<(), LabError> {
        match self {
            Self::Killed => {
                stage.kill(VICTIM);
                pass(lasts);
                stage.start(VICTIM)?;
            }
            Self::Blackholed => {
                stage.isolate(VICTIM)?;
                pass(lasts);
                stage.heal(VICTIM)?;
            }
            Self::Hung | Self::QueueFull => {
                stage.pause(VICTIM);
                pass(lasts);
                stage.resume(VICTIM);
            }
            Self::Draining => {
                stage.tell(VICTIM, Mode::Draining)?;
                pass(lasts);
                stage.kill(VICTIM);
            }
            Self::AllDown => {
                (0..3).for_each(|n| stage.kill(n));
                pass(lasts);
                stage.start(VICTIM)?;
            }
            Self::Overloaded => {
                for n in 0..3 {
                    stage.tell(n, Mode::Busy)?;
                }
                pass(lasts);
                for n in 0..3 {
                    stage.tell(n, Mode::Well)?;
                }
            }
            Self::Reloads => {
                for _ in 0..5 {
                    pass(lasts / 5);
                    proxy.reload();
                }
            }
            Self::Upgrades => {
                for _ in 0..5 {
                    pass(lasts / 5);
                    proxy.upgrade()?;
                }
            }
            Self::Storm | Self::Returns | Self::Hostile => {}
        }
        Ok(())
    }

    fn figures(
        self,
        seen: &Seen,
        fault: Duration,
        back: Duration,
        dials: Option<(Dials, Dials)>,
    ) -> Figures {
        // What nobody could answer is no figure of the proxy.
        let from = if self == Self::AllDown { back } else { fault };
        let mut figures = seen.figures(from);
        let dials = dials.as_ref();
        figures.extra = dials.and_then(|(before, after)| after.extra_since(before));
        match self {
            Self::Killed | Self::Blackholed | Self::Hung | Self::QueueFull => {
                figures.back_after = seen.first_by(ITS_NUMBER, back);
            }
            Self::AllDown => {
                let first = seen.asked.iter().filter(|a| a.by.is_some());
                let first = first.filter_map(|a| a.at.checked_sub(back)).min();
                figures.back_after = first.map(|time| time.as_secs_f64());
            }
            Self::Draining => {
                let left = seen.last_by(ITS_NUMBER, fault, back).unwrap_or_default();
                figures.more.insert("newLeftAfter".to_owned(), left);
                let early = seen.lasted.iter().filter(|l| l.is_cut);
                let early = early.filter(|l| l.at + l.took < back).count();
                let early = u32::try_from(early).unwrap_or(u32::MAX);
                figures
                    .more
                    .insert("cutBeforeExit".to_owned(), early.into());
            }
            Self::Reloads | Self::Upgrades => {
                let dead =
                    dials.map(|(before, after)| after.failed_since(before, VICTIM));
                let dead = dead.map(|dials| ("deadDials".to_owned(), dials));
                figures.more.extend(dead);
            }
            Self::Overloaded | Self::Returns | Self::Storm | Self::Hostile => {}
        }
        figures
    }
}

/// The server is back; those that last and are quiet may be moved to it.
fn returns(stage: &mut Stage, load: Load, most: Duration) -> Result<Figures, LabError> {
    let began = load.now();
    stage.start(VICTIM)?;
    let back = load.now();
    let is_even = || load.look(|seen| seen.spread(&THEIR_NUMBERS) <= EVEN);
    wait::pass(most, is_even);
    let (even, took) = (is_even(), load.now().saturating_sub(back));
    let seen = load.end()?;
    let mut figures = seen.figures(began);
    figures.back_after = seen.first_by(ITS_NUMBER, back);
    let spread = if even {
        ("spreadAfter", took.as_secs_f64())
    } else {
        ("spread", seen.spread(&THEIR_NUMBERS))
    };
    let more = [("moved", seen.moved.into()), spread];
    figures.more = more.map(|(name, value)| (name.to_owned(), value)).into();
    Ok(figures)
}

pub(super) fn pass(time: Duration) {
    wait::pass(time, || false);
}
