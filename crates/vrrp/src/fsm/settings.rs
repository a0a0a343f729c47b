//! What a router of the state machine is set to.

use std::net::IpAddr;
use std::time::Duration;

use crate::{AdvertInterval, Dialects, Priority, Version};

/// Settings of one virtual router.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Decides the skew, and what a lower priority means to an Active.
    pub version: Version,
    /// Priority as it is at the start; [`super::Event::Priority`] changes it. 0 counts
    /// as 1.
    pub priority: Priority,
    /// Interval of our adverts.
    pub interval: AdvertInterval,
    /// How late an Active may be without losing its claim, where nobody else was heard
    /// meanwhile: what is held runs out by itself after that. Zero: any lateness that
    /// lets another take over ends the claim.
    pub patience: Duration,
    /// Address that our adverts come from: decides between equal priorities.
    pub source: IpAddr,
    /// Do we take over from a lower priority? An owner always does.
    pub preempt: Preempt,
    /// When the addresses are announced beside the moments that demand it.
    pub announcing: Announcing,
    /// keepalived's habits.
    pub dialects: Dialects,
}

/// Preempt_Mode (RFC 9568 section 6.1), with keepalived's `preempt_delay`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Preempt {
    /// From the first lower advert on: the down interval runs on over it.
    #[default]
    AtOnce,
    /// A lower Active is followed for so long, counted from its first advert, and anew
    /// after any that is not lower. An Active that falls silent is not waited for.
    After(Duration),
    /// A lower Active is followed as long as it advertises.
    Never,
}

/// Announcements after the one that goes with becoming Active.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Announcing {
    /// The second one so long after becoming Active: keepalived's `garp_master_delay`.
    /// Default 5 s; `None` for no second one.
    pub second: Option<Duration>,
    /// Then again and again so long apart: keepalived's `garp_master_refresh`. Default
    /// `None`.
    pub refresh: Option<Duration>,
}

impl Default for Announcing {
    fn default() -> Self {
        Self {
            second: Some(Duration::from_secs(5)),
            refresh: None,
        }
    }
}
