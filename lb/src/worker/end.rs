//! How connections end: one word for the log, the metrics and the status.

use super::Which;

/// Where a connection stood when it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stood {
    /// Its first words were waited for.
    Request,
    /// It waited for a place at a server.
    Queue,
    /// A server was dialled for it.
    Connect,
    /// It had a server.
    Data,
}

impl Stood {
    const fn of(self, each: [&'static str; 4]) -> &'static str {
        let [request, queue, connect, data] = each;
        match self {
            Self::Request => request,
            Self::Queue => queue,
            Self::Connect => connect,
            Self::Data => data,
        }
    }
}

/// Every way a connection can end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum End {
    /// Both sides closed in order, the client first.
    ClientClosed,
    /// Both sides closed in order, the server first.
    ServerClosed,
    /// The client reset it; the server was given a reset.
    ClientReset,
    /// The server reset it; the client was given a reset.
    ServerReset,
    /// The client no longer acknowledged (keepalive or TCP_USER_TIMEOUT).
    ClientGone,
    /// The server no longer acknowledged (keepalive or TCP_USER_TIMEOUT).
    ServerGone,
    /// The client went away before a server was connected.
    ClientAborted,
    /// The client's address may not come in.
    Denied,
    /// The client's source has as many connections as it may.
    SourceConnections,
    /// The client's source comes faster than it may.
    SourceRate,
    /// The frontend has as many connections as it may.
    FrontendConnections,
    /// Clients come to the frontend faster than they may.
    FrontendRate,
    /// The process has as many connections as it may.
    ProcessConnections,
    /// The connection came from a proxy and did not begin with a PROXY header.
    BadProxyHeader,
    /// The connection came from a proxy, whose PROXY header did not come in time.
    NoProxyHeader,
    /// No ClientHello in time, where one is wanted; the client was reset.
    NoHello,
    /// The client's first bytes are no ClientHello, where one is wanted; it was reset.
    NotTls,
    /// The backend has no server that may be used; the client was reset.
    NoServer,
    /// Every server was dialled in vain; the client was reset.
    DialFailed,
    /// The dial budget (time or attempts) was used up; the client was reset.
    DialBudget,
    /// Too many waited already for a place at a server; the client was reset.
    QueueFull,
    /// No place at a server came free in time; the client was reset.
    QueueTimeout,
    /// No file descriptor or memory for the server's socket; the client was reset.
    NoResources,
    /// The server became unreachable; the client was reset.
    ServerUnreachable,
    /// The server hangs and owed an answer; the client was reset.
    ServerHung,
    /// Quiet both ways for longer than the configured idle time.
    Idle,
    /// Quiet, and moved away from a server that has too many.
    Rebalanced,
    /// By an operator's command.
    Killed,
    /// The process ended before the connection did.
    Shutdown,
}

impl End {
    /// Every end, in the order of [`End::index`].
    pub const ALL: [Self; 29] = [
        Self::ClientClosed,
        Self::ServerClosed,
        Self::ClientReset,
        Self::ServerReset,
        Self::ClientGone,
        Self::ServerGone,
        Self::ClientAborted,
        Self::Denied,
        Self::SourceConnections,
        Self::SourceRate,
        Self::FrontendConnections,
        Self::FrontendRate,
        Self::ProcessConnections,
        Self::BadProxyHeader,
        Self::NoProxyHeader,
        Self::NoHello,
        Self::NotTls,
        Self::NoServer,
        Self::DialFailed,
        Self::DialBudget,
        Self::QueueFull,
        Self::QueueTimeout,
        Self::NoResources,
        Self::ServerUnreachable,
        Self::ServerHung,
        Self::Idle,
        Self::Rebalanced,
        Self::Killed,
        Self::Shutdown,
    ];

    /// Its place in [`End::ALL`].
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The word in logs, metrics and status.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ClientClosed => "clientClosed",
            Self::ServerClosed => "serverClosed",
            Self::ClientReset => "clientReset",
            Self::ServerReset => "serverReset",
            Self::ClientGone => "clientGone",
            Self::ServerGone => "serverGone",
            Self::ClientAborted => "clientAborted",
            Self::Denied => "denied",
            Self::SourceConnections => "sourceConnections",
            Self::SourceRate => "sourceRate",
            Self::FrontendConnections => "frontendConnections",
            Self::FrontendRate => "frontendRate",
            Self::ProcessConnections => "processConnections",
            Self::BadProxyHeader => "badProxyHeader",
            Self::NoProxyHeader => "noProxyHeader",
            Self::NoHello => "noHello",
            Self::NotTls => "notTls",
            Self::NoServer => "noServer",
            Self::DialFailed => "dialFailed",
            Self::DialBudget => "dialBudget",
            Self::QueueFull => "queueFull",
            Self::QueueTimeout => "queueTimeout",
            Self::NoResources => "noResources",
            Self::ServerUnreachable => "serverUnreachable",
            Self::ServerHung => "serverHung",
            Self::Idle => "idle",
            Self::Rebalanced => "rebalanced",
            Self::Killed => "killed",
            Self::Shutdown => "shutdown",
        }
    }

    /// haproxy's two letters for it, for readers that know them: who ended it (`C`lient,
    /// `S`erver, a `c`lient or `s`erver that was too slow, `P`roxy by rule, `R`esources, server
    /// `D`own, `K`illed), and where it stood (`R`equest awaited, `Q`ueue, `C`onnect, `D`ata).
    /// Most ends are possible in one place alone; of the others `stood` tells.
    #[must_use]
    pub const fn flags(self, stood: Stood) -> &'static str {
        match self {
            Self::ClientClosed | Self::ServerClosed | Self::Rebalanced => "--",
            Self::ClientReset => "CD",
            Self::ServerReset => "SD",
            Self::ClientGone | Self::Idle => "cD",
            Self::ServerGone => "sD",
            Self::ClientAborted => stood.of(["CR", "CQ", "CC", "CD"]),
            Self::Denied
            | Self::SourceConnections
            | Self::SourceRate
            | Self::FrontendConnections
            | Self::FrontendRate
            | Self::BadProxyHeader
            | Self::NotTls => "PR",
            Self::NoProxyHeader | Self::NoHello => "cR",
            Self::ProcessConnections => "RR",
            Self::NoServer | Self::DialFailed => "SC",
            Self::DialBudget => "sC",
            Self::QueueFull => "SQ",
            Self::QueueTimeout => "sQ",
            Self::NoResources => "RC",
            Self::ServerUnreachable | Self::ServerHung => "DD",
            Self::Killed => stood.of(["KR", "KQ", "KC", "KD"]),
            Self::Shutdown => stood.of(["PR", "PQ", "PC", "PD"]),
        }
    }

    /// Whether both sides have seen an orderly end; all others are given a reset.
    #[must_use]
    pub const fn is_orderly(self) -> bool {
        matches!(
            self,
            Self::ClientClosed | Self::ServerClosed | Self::Rebalanced
        )
    }

    /// How a cut of this kind is named.
    #[must_use]
    pub const fn of_cut(which: Which) -> Self {
        match which {
            Which::All => Self::ServerUnreachable,
            Which::Unanswered => Self::ServerHung,
        }
    }
}
