//! What is measured: each row is one kind of load.

use lab::load::usage;
use serde::{Deserialize, Serialize};

use crate::peer::{APISERVER, Cores, Lines, Peer, SECURE};

/// One kind of load.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, PartialOrd, Ord)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Row {
    /// Connect, 46 bytes, 1 KiB back, close; 128 at once.
    Connections,
    /// The same, with a line of the log for each.
    ConnectionsLogged,
    /// The same without lines, with a TLS handshake between client and server.
    ConnectionsTls,
    /// 200 bytes and 1 KiB back, over 256 kept connections.
    KeepAlive,
    /// The same, with the log on.
    KeepAliveLogged,
    /// One stream from a server.
    Down1,
    /// Sixteen streams from servers.
    Down16,
    /// One stream to a server.
    Up1,
    /// Sixteen streams to servers.
    Up16,
    /// Small requests by the clock beside four streams.
    Mixed,
    /// Requests by the clock, at a fifth of what haproxy carries.
    Latency20,
    /// Requests by the clock, at three fifths of it.
    Latency60,
    /// Connections that did one request and then nothing.
    Idle,
    /// 9,000 clients that connect at once.
    Storm,
    /// kubectl, again and again, against a real kube-apiserver.
    Kubectl,
}

/// The places of the manners in [`crate::peer::MANNERS`].
pub(crate) const CONNECTION: usize = 0;
/// As [`CONNECTION`].
pub(crate) const KEPT: usize = 1;
/// As [`CONNECTION`].
pub(crate) const DOWN: usize = 2;
/// As [`CONNECTION`].
pub(crate) const UP: usize = 3;

impl Row {
    /// All of them, in the order of the tables.
    pub(crate) const ALL: [Self; 15] = [
        Self::Connections,
        Self::ConnectionsLogged,
        Self::ConnectionsTls,
        Self::KeepAlive,
        Self::KeepAliveLogged,
        Self::Down1,
        Self::Down16,
        Self::Up1,
        Self::Up16,
        Self::Mixed,
        Self::Latency20,
        Self::Latency60,
        Self::Idle,
        Self::Storm,
        Self::Kubectl,
    ];

    /// As written in tables and on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Connections => "connections",
            Self::ConnectionsLogged => "connections-logged",
            Self::ConnectionsTls => "connections-tls",
            Self::KeepAlive => "keep-alive",
            Self::KeepAliveLogged => "keep-alive-logged",
            Self::Down1 => "down1",
            Self::Down16 => "down16",
            Self::Up1 => "up1",
            Self::Up16 => "up16",
            Self::Mixed => "mixed",
            Self::Latency20 => "latency20",
            Self::Latency60 => "latency60",
            Self::Idle => "idle",
            Self::Storm => "storm",
            Self::Kubectl => "kubectl",
        }
    }

    /// Whether the proxies write a line per connection.
    pub(crate) fn lines(self) -> Lines {
        if matches!(self, Self::ConnectionsLogged | Self::KeepAliveLogged) {
            Lines::On
        } else {
            Lines::Off
        }
    }

    /// The frontends that the proxies have for it.
    pub(crate) fn manners(self) -> &'static [usize] {
        match self {
            Self::ConnectionsTls => &[SECURE],
            Self::Kubectl => &[APISERVER],
            Self::Connections
            | Self::ConnectionsLogged
            | Self::KeepAlive
            | Self::KeepAliveLogged
            | Self::Down1
            | Self::Down16
            | Self::Up1
            | Self::Up16
            | Self::Mixed
            | Self::Latency20
            | Self::Latency60
            | Self::Idle
            | Self::Storm => &[CONNECTION, KEPT, DOWN, UP],
        }
    }

    /// Whether it says something about this peer on these cores. One that is made to splice
    /// needs two pipes per connection, and has no descriptors for a crowd. Where cores are
    /// shared, what is compared is throughput.
    /// The recorder costs something for each connection, and nothing else.
    pub(crate) fn takes(self, peer: Peer, cores: Cores) -> bool {
        if peer == Peer::OursRecorded {
            return self == Self::Connections && cores == Cores::One;
        }
        match self {
            Self::ConnectionsLogged | Self::KeepAliveLogged => {
                cores == Cores::One && matches!(peer, Peer::Haproxy | Peer::Ours)
            }
            Self::Idle | Self::Storm => {
                cores == Cores::One && peer != Peer::HaproxySplice
            }
            Self::Connections | Self::KeepAlive | Self::Down16 => true,
            Self::ConnectionsTls
            | Self::Down1
            | Self::Up1
            | Self::Up16
            | Self::Mixed
            | Self::Latency20
            | Self::Latency60
            | Self::Kubectl => cores == Cores::One,
        }
    }

    /// Whether the tail of its latencies is compared.
    pub(crate) fn compares_tails(self) -> bool {
        matches!(self, Self::Latency20 | Self::Latency60)
    }

    /// Whether latencies are what it is about: then the generator that measures them has a
    /// core of its own.
    pub(crate) fn counts_latencies(self) -> bool {
        self.compares_tails() || self == Self::Mixed
    }

    /// The cores that servers and load have.
    pub(crate) fn server_cores(self, cores: Cores) -> std::ops::Range<usize> {
        let first = match cores {
            Cores::One => 1,
            Cores::All => 0,
        };
        let last = usage::cores();
        if self.counts_latencies() {
            first..(last - 1).max(first + 1)
        } else {
            first..last
        }
    }
}
