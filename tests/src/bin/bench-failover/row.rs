//! What happens to the owner, with which settings, and what is looked at.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::group::Peer;

/// One row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Row {
    DeathV2,
    DeathV3Tenth,
    DeathV3Hundredth,
    StopV2,
    StopV3Tenth,
    StopV3Hundredth,
    YieldV2,
    YieldV3Tenth,
    YieldV3Hundredth,
    Returns,
    Killed,
    Deleted,
    Flap,
    SourceAway,
    Flushed,
    Recreated,
    TrackedV2,
    TrackedV3,
    TrackedV3Hundredth,
    Overload,
    OverloadRealtime,
    Steady,
}

/// What befalls the owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    /// Cable cut, everything on it killed.
    HostDeath,
    /// SIGTERM to its daemon.
    Stop,
    /// Its daemon is told to give the address to another, and runs on.
    Yield,
    /// The preferred node starts again.
    Return,
    /// kill -9 of its daemon.
    Kill,
    /// The virtual address deleted by somebody.
    Delete,
    /// The cable away for 100 ms.
    Flap,
    /// Its own address deleted, and back after 500 ms.
    SourceAway,
    /// Every address flushed, and its own put back.
    Flush,
    /// The interface deleted, and made again after 1 s.
    Recreate,
    /// The service on it that its daemon asks about refuses from here on.
    EndpointDies,
    /// Four busy loops for each core.
    Overload,
    /// Nothing.
    Nothing,
}

/// How the daemons may be scheduled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scheduling {
    /// As each comes: ours asks for real time, keepalived does not.
    AsItComes,
    /// Neither has real time.
    InTurn,
    /// Both do.
    Realtime,
}

/// How the group speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Speech {
    /// 2 or 3.
    pub(crate) version: u8,
    /// Between two adverts.
    pub(crate) interval: Duration,
}

const V2: Speech = Speech {
    version: 2,
    interval: Duration::from_secs(1),
};
const V3_TENTH: Speech = Speech {
    version: 3,
    interval: Duration::from_millis(100),
};
const V3_HUNDREDTH: Speech = Speech {
    version: 3,
    interval: Duration::from_millis(10),
};

impl Row {
    pub(crate) const ALL: [Self; 22] = [
        Self::DeathV2,
        Self::DeathV3Tenth,
        Self::DeathV3Hundredth,
        Self::StopV2,
        Self::StopV3Tenth,
        Self::StopV3Hundredth,
        Self::YieldV2,
        Self::YieldV3Tenth,
        Self::YieldV3Hundredth,
        Self::Returns,
        Self::Killed,
        Self::Deleted,
        Self::Flap,
        Self::SourceAway,
        Self::Flushed,
        Self::Recreated,
        Self::TrackedV2,
        Self::TrackedV3,
        Self::TrackedV3Hundredth,
        Self::Overload,
        Self::OverloadRealtime,
        Self::Steady,
    ];

    /// For the command line.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::DeathV2 => "death-v2",
            Self::DeathV3Tenth => "death-v3-100ms",
            Self::DeathV3Hundredth => "death-v3-10ms",
            Self::StopV2 => "stop-v2",
            Self::StopV3Tenth => "stop-v3-100ms",
            Self::StopV3Hundredth => "stop-v3-10ms",
            Self::YieldV2 => "yield-v2",
            Self::YieldV3Tenth => "yield-v3-100ms",
            Self::YieldV3Hundredth => "yield-v3-10ms",
            Self::Returns => "returns",
            Self::Killed => "killed",
            Self::Deleted => "deleted",
            Self::Flap => "flap",
            Self::SourceAway => "source-away",
            Self::Flushed => "flushed",
            Self::Recreated => "recreated",
            Self::TrackedV2 => "tracked-v2",
            Self::TrackedV3 => "tracked-v3-100ms",
            Self::TrackedV3Hundredth => "tracked-v3-10ms",
            Self::Overload => "overload",
            Self::OverloadRealtime => "overload-realtime",
            Self::Steady => "steady",
        }
    }

    /// For people.
    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::DeathV2 => "host death, v2 every 1 s",
            Self::DeathV3Tenth => "host death, v3 every 100 ms",
            Self::DeathV3Hundredth => "host death, v3 every 10 ms",
            Self::StopV2 => "graceful stop, v2 every 1 s",
            Self::StopV3Tenth => "graceful stop, v3 every 100 ms",
            Self::StopV3Hundredth => "graceful stop, v3 every 10 ms",
            Self::YieldV2 => "`yield`, v2 every 1 s",
            Self::YieldV3Tenth => "`yield`, v3 every 100 ms",
            Self::YieldV3Hundredth => "`yield`, v3 every 10 ms",
            Self::Returns => "preferred node returns, v3 every 100 ms",
            Self::Killed => "`kill -9` of the daemon, v3 every 100 ms",
            Self::Deleted => "virtual address deleted by somebody, v2 every 1 s",
            Self::Flap => "cable away for 100 ms, v2 every 1 s",
            Self::SourceAway => "own address away for 500 ms, v2 every 1 s",
            Self::Flushed => "addresses flushed, own put back, v2 every 1 s",
            Self::Recreated => "interface deleted, made again after 1 s, v2 every 1 s",
            Self::TrackedV2 => "tracked endpoint dies, v2 every 1 s",
            Self::TrackedV3 => "tracked endpoint dies, v3 every 100 ms",
            Self::TrackedV3Hundredth => "tracked endpoint dies, v3 every 10 ms",
            Self::Overload => {
                "4 busy loops a core for 20 s, v3 every 10 ms, no real time"
            }
            Self::OverloadRealtime => {
                "4 busy loops a core for 20 s, v3 every 10 ms, real time"
            }
            Self::Steady => "nothing happens, v3 every 10 ms",
        }
    }

    pub(crate) const fn event(self) -> Event {
        match self {
            Self::DeathV2 | Self::DeathV3Tenth | Self::DeathV3Hundredth => {
                Event::HostDeath
            }
            Self::StopV2 | Self::StopV3Tenth | Self::StopV3Hundredth => Event::Stop,
            Self::YieldV2 | Self::YieldV3Tenth | Self::YieldV3Hundredth => Event::Yield,
            Self::Returns => Event::Return,
            Self::Killed => Event::Kill,
            Self::Deleted => Event::Delete,
            Self::Flap => Event::Flap,
            Self::SourceAway => Event::SourceAway,
            Self::Flushed => Event::Flush,
            Self::Recreated => Event::Recreate,
            Self::TrackedV2 | Self::TrackedV3 | Self::TrackedV3Hundredth => {
                Event::EndpointDies
            }
            Self::Overload | Self::OverloadRealtime => Event::Overload,
            Self::Steady => Event::Nothing,
        }
    }

    pub(crate) const fn speech(self) -> Speech {
        match self {
            Self::DeathV2
            | Self::StopV2
            | Self::YieldV2
            | Self::Deleted
            | Self::Flap
            | Self::SourceAway
            | Self::Flushed
            | Self::Recreated
            | Self::TrackedV2 => V2,
            Self::DeathV3Tenth
            | Self::StopV3Tenth
            | Self::YieldV3Tenth
            | Self::Returns
            | Self::Killed
            | Self::TrackedV3 => V3_TENTH,
            Self::DeathV3Hundredth
            | Self::StopV3Hundredth
            | Self::YieldV3Hundredth
            | Self::TrackedV3Hundredth
            | Self::Overload
            | Self::OverloadRealtime
            | Self::Steady => V3_HUNDREDTH,
        }
    }

    pub(crate) const fn scheduling(self) -> Scheduling {
        match self {
            Self::Overload => Scheduling::InTurn,
            Self::OverloadRealtime => Scheduling::Realtime,
            Self::DeathV2
            | Self::DeathV3Tenth
            | Self::DeathV3Hundredth
            | Self::StopV2
            | Self::StopV3Tenth
            | Self::StopV3Hundredth
            | Self::YieldV2
            | Self::YieldV3Tenth
            | Self::YieldV3Hundredth
            | Self::Returns
            | Self::Killed
            | Self::Deleted
            | Self::Flap
            | Self::SourceAway
            | Self::Flushed
            | Self::Recreated
            | Self::TrackedV2
            | Self::TrackedV3
            | Self::TrackedV3Hundredth
            | Self::Steady => Scheduling::AsItComes,
        }
    }

    /// Whether it is measured in this round. Those of 20 s are in every third one, so that
    /// five rounds stay below 20 minutes.
    pub(crate) fn is_in(self, round: u32) -> bool {
        match self.event() {
            Event::Overload => round.is_multiple_of(3),
            Event::HostDeath
            | Event::Stop
            | Event::Yield
            | Event::Return
            | Event::Kill
            | Event::Delete
            | Event::Flap
            | Event::SourceAway
            | Event::Flush
            | Event::Recreate
            | Event::EndpointDies
            | Event::Nothing => true,
        }
    }

    /// Through whom it is measured: keepalived has no word for giving an address away and
    /// running on, and the sends alone are what an advert costs the kernel.
    pub(crate) const fn peers(self) -> &'static [Peer] {
        match self.event() {
            Event::Yield => &[Peer::Ours],
            Event::Nothing => &[Peer::Ours, Peer::Keepalived, Peer::Bare],
            Event::HostDeath
            | Event::Stop
            | Event::Return
            | Event::Kill
            | Event::Delete
            | Event::Flap
            | Event::SourceAway
            | Event::Flush
            | Event::Recreate
            | Event::EndpointDies
            | Event::Overload => &[Peer::Ours, Peer::Keepalived],
        }
    }

    /// How long is looked, from the event on: past the slowest way in which either peer
    /// settles, the second announcement of keepalived (5 s) aside.
    pub(crate) fn watched(self) -> Duration {
        let down = self.speech().interval * 4;
        match self.event() {
            Event::HostDeath | Event::Return => down + Duration::from_millis(300),
            // Of priority 0 the skew is left, a second at most.
            Event::Stop | Event::Yield | Event::Delete => Duration::from_millis(1500),
            Event::Kill => Duration::from_secs(3),
            // keepalived's move, and its move back.
            Event::Flap | Event::SourceAway | Event::Flush => {
                down + Duration::from_millis(800)
            }
            // Away for a second first.
            Event::Recreate => down + Duration::from_millis(1800),
            // keepalived looks once a second, and its others wait for a whole down interval.
            Event::EndpointDies => down + Duration::from_millis(1500),
            Event::Overload => Duration::from_secs(20),
            Event::Nothing => Duration::from_secs(5),
        }
    }
}
