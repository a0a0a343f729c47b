//! Every way a check can end.

use std::fmt;
use std::io;

/// How a check ended. Each variant feeds the log line, the counter ([`Outcome::name`])
/// and the server's state ([`Outcome::reach`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The check got what it asked for.
    Passed,
    /// The check could not be made, through no doing of the server.
    Local(LocalFault),
    /// The host refused the connection (RST to the SYN).
    Refused,
    /// The network said that the host cannot be reached (often: its ARP went unanswered).
    HostUnreachable,
    /// No route leads to the host, or a router on the way said so.
    NetworkUnreachable,
    /// No answer to the SYN within the timeout.
    ConnectTimeout,
    /// The connection was reset at this stage.
    Reset(Stage, Heard),
    /// The connection was closed at this stage, before the check had its answer.
    Closed(Stage, Heard),
    /// The handshake did not complete within the timeout.
    HandshakeTimeout(Heard),
    /// The peer does not speak TLS, or breaks its rules.
    TlsProtocol,
    /// The peer refused our handshake with this alert (RFC 8446, section 6).
    TlsRefused(u8),
    /// The certificate is not to be trusted.
    TlsUntrusted(Untrusted),
    /// The certificate (or one of its chain) has expired.
    TlsExpired,
    /// The certificate (or one of its chain) is not valid yet: often a wrong clock.
    TlsNotYetValid,
    /// The request was sent and no response came within the timeout.
    NoResponse(Heard),
    /// What came is no HTTP/1.1 response, or its head is larger than 16 KiB.
    BadResponse,
    /// A response came, with a status that is not allowed.
    Status(u16),
    /// The status is allowed, but the body did not end within the timeout.
    BodyTimeout,
    /// The status is allowed, but the body is larger than 64 KiB.
    BodyTooLarge,
    /// The status is allowed, but the body does not hold what it should.
    BodyMismatch,
}

/// How far a check got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Waiting for the SYN to be answered.
    Connect,
    /// In the TLS handshake.
    Handshake,
    /// Waiting for the head of the response.
    Request,
    /// Reading the body of the response.
    Body,
}

/// Whether the server sent anything at all on this connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// Not one byte.
    Nothing,
    /// At least one byte.
    Bytes,
}

/// Why a check could not be made at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LocalFault {
    /// No file descriptor, port or memory to open a socket with.
    Exhausted,
    /// The source address is not on this machine, or is not of the target's family.
    Source,
    /// The kernel (a packet filter, a capability) forbids the connection.
    Denied,
    /// Another error of the socket calls.
    Socket(io::ErrorKind),
}

/// Why a certificate is not trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Untrusted {
    /// No trusted authority signed it.
    Issuer,
    /// It is for another name or address.
    Name,
    /// It is not for servers (extended key usage).
    Purpose,
    /// Its signature does not match: often another authority of the same name, such as
    /// another cluster's.
    Signature,
    /// It has been revoked.
    Revoked,
    /// It cannot be read, or breaks the rules in another way.
    Malformed,
}

/// How much of the server was reached; decides what becomes of connections to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// The check could not be made: it says nothing about the server.
    Unknown,
    /// Refused, or no answer to the SYN.
    Unreachable,
    /// The connection was established, and not one byte came.
    Silent,
    /// At least one byte came (or, for a tcp check, it passed).
    Answered,
}

impl Outcome {
    /// Whether the check got what it asked for.
    #[must_use]
    pub fn passed(self) -> bool {
        self == Self::Passed
    }

    /// How much of the server was reached.
    #[must_use]
    pub fn reach(self) -> Reach {
        match self {
            Self::Local(_) => Reach::Unknown,
            Self::Refused
            | Self::HostUnreachable
            | Self::NetworkUnreachable
            | Self::ConnectTimeout => Reach::Unreachable,
            Self::Reset(Stage::Connect, _) | Self::Closed(Stage::Connect, _) => {
                Reach::Unreachable
            }
            Self::Reset(_, heard)
            | Self::Closed(_, heard)
            | Self::HandshakeTimeout(heard)
            | Self::NoResponse(heard) => heard.reach(),
            Self::Passed
            | Self::TlsProtocol
            | Self::TlsRefused(_)
            | Self::TlsUntrusted(_)
            | Self::TlsExpired
            | Self::TlsNotYetValid
            | Self::BadResponse
            | Self::Status(_)
            | Self::BodyTimeout
            | Self::BodyTooLarge
            | Self::BodyMismatch => Reach::Answered,
        }
    }

    /// The name for a metric's label: one word in snake case, without figures.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Local(_) => "local",
            Self::Refused => "refused",
            Self::HostUnreachable => "host_unreachable",
            Self::NetworkUnreachable => "network_unreachable",
            Self::ConnectTimeout => "connect_timeout",
            Self::Reset(..) => "reset",
            Self::Closed(..) => "closed",
            Self::HandshakeTimeout(_) => "handshake_timeout",
            Self::TlsProtocol => "tls_protocol",
            Self::TlsRefused(_) => "tls_refused",
            Self::TlsUntrusted(_) => "tls_untrusted",
            Self::TlsExpired => "tls_expired",
            Self::TlsNotYetValid => "tls_not_yet_valid",
            Self::NoResponse(_) => "no_response",
            Self::BadResponse => "bad_response",
            Self::Status(_) => "status",
            Self::BodyTimeout => "body_timeout",
            Self::BodyTooLarge => "body_too_large",
            Self::BodyMismatch => "body_mismatch",
        }
    }
}

impl Heard {
    fn reach(self) -> Reach {
        match self {
            Self::Nothing => Reach::Silent,
            Self::Bytes => Reach::Answered,
        }
    }
}

impl fmt::Display for Outcome {
    /// A phrase for a log line or a status page.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Passed => f.write_str("passed"),
            Self::Local(fault) => write!(f, "the check could not be made: {fault}"),
            Self::Refused => f.write_str("connection refused"),
            Self::HostUnreachable => f.write_str("host unreachable"),
            Self::NetworkUnreachable => f.write_str("network unreachable"),
            Self::ConnectTimeout => f.write_str("no answer to the connect"),
            Self::Reset(stage, heard) => write!(f, "reset {stage}, {heard}"),
            Self::Closed(stage, heard) => write!(f, "closed {stage}, {heard}"),
            Self::HandshakeTimeout(heard) => {
                write!(f, "the TLS handshake did not complete, {heard}")
            }
            Self::TlsProtocol => f.write_str("the peer does not speak TLS as it should"),
            Self::TlsRefused(alert) => {
                write!(f, "the peer refused the TLS handshake (alert {alert})")
            }
            Self::TlsUntrusted(why) => write!(f, "the certificate {why}"),
            Self::TlsExpired => f.write_str("the certificate has expired"),
            Self::TlsNotYetValid => f.write_str("the certificate is not valid yet"),
            Self::NoResponse(heard) => write!(f, "no response to the request, {heard}"),
            Self::BadResponse => f.write_str("the response is not valid HTTP/1.1"),
            Self::Status(status) => write!(f, "status {status}"),
            Self::BodyTimeout => f.write_str("the response's body did not end"),
            Self::BodyTooLarge => f.write_str("the response's body is too large"),
            Self::BodyMismatch => {
                f.write_str("the response's body does not hold what it should")
            }
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "in the connect",
            Self::Handshake => "in the TLS handshake",
            Self::Request => "before a response",
            Self::Body => "in the response's body",
        })
    }
}

impl fmt::Display for Heard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nothing => "not one byte came",
            Self::Bytes => "some bytes came",
        })
    }
}

impl fmt::Display for LocalFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exhausted => f.write_str("out of descriptors, ports or memory"),
            Self::Source => f.write_str("the source address is not usable here"),
            Self::Denied => f.write_str("not permitted on this machine"),
            Self::Socket(kind) => write!(f, "{kind}"),
        }
    }
}

impl fmt::Display for Untrusted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Issuer => "is signed by no trusted authority",
            Self::Name => "is for another name",
            Self::Purpose => "is not for a server",
            Self::Signature => "is not signed by the trusted authority of that name",
            Self::Revoked => "has been revoked",
            Self::Malformed => "cannot be used",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reach_of_every_outcome() {
        use Heard::{Bytes, Nothing};
        use Outcome as O;
        use Reach::{Answered, Silent, Unknown, Unreachable};
        for (outcome, reach) in [
            (O::Passed, Answered),
            (O::Local(LocalFault::Exhausted), Unknown),
            (O::Refused, Unreachable),
            (O::HostUnreachable, Unreachable),
            (O::NetworkUnreachable, Unreachable),
            (O::ConnectTimeout, Unreachable),
            (O::Reset(Stage::Connect, Nothing), Unreachable),
            (O::Reset(Stage::Handshake, Nothing), Silent),
            (O::Reset(Stage::Request, Bytes), Answered),
            (O::Closed(Stage::Handshake, Nothing), Silent),
            (O::Closed(Stage::Body, Bytes), Answered),
            (O::HandshakeTimeout(Nothing), Silent),
            (O::HandshakeTimeout(Bytes), Answered),
            (O::TlsProtocol, Answered),
            (O::TlsRefused(40), Answered),
            (O::TlsUntrusted(Untrusted::Issuer), Answered),
            (O::TlsExpired, Answered),
            (O::TlsNotYetValid, Answered),
            (O::NoResponse(Nothing), Silent),
            (O::NoResponse(Bytes), Answered),
            (O::BadResponse, Answered),
            (O::Status(500), Answered),
            (O::BodyTimeout, Answered),
            (O::BodyTooLarge, Answered),
            (O::BodyMismatch, Answered),
        ] {
            assert_eq!(outcome.reach(), reach, "{outcome:?}");
            assert_eq!(outcome.passed(), outcome == O::Passed);
            let word = |c: char| c.is_ascii_lowercase() || c == '_';
            assert!(outcome.name().chars().all(word), "{}", outcome.name());
        }
    }
}
