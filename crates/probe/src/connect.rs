//! The first step of every check: a TCP connection.

use std::io;

use tokio::net::{TcpSocket, TcpStream};

use crate::wire::Progress;
use crate::{LocalFault, Outcome, Target};

/// Opens a connection, or says how that failed.
pub(crate) async fn connect(
    target: Target,
    progress: &Progress,
) -> Result<TcpStream, Outcome> {
    let socket = socket(target).map_err(Outcome::Local)?;
    let stream = socket
        .connect(target.address)
        .await
        .map_err(|e| outcome(&e, progress))?;
    // A check is one small write and one small read: never wait to fill a segment.
    let _ = stream.set_nodelay(true);
    Ok(stream)
}

fn socket(target: Target) -> Result<TcpSocket, LocalFault> {
    let opened = match target.address.is_ipv4() {
        true => TcpSocket::new_v4(),
        false => TcpSocket::new_v6(),
    };
    let socket = opened.map_err(|e| fault(&e))?;
    if let Some(source) = target.source {
        socket
            .bind((source, 0).into())
            .map_err(|e| bind_fault(&e))?;
    }
    Ok(socket)
}

#[expect(clippy::wildcard_enum_match_arm, reason = "an open set, not ours")]
fn outcome(error: &io::Error, progress: &Progress) -> Outcome {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => Outcome::Refused,
        io::ErrorKind::HostUnreachable => Outcome::HostUnreachable,
        io::ErrorKind::NetworkUnreachable => Outcome::NetworkUnreachable,
        io::ErrorKind::TimedOut => Outcome::ConnectTimeout,
        io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted => {
            progress.reset()
        }
        _ => Outcome::Local(fault(error)),
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "an open set, not ours")]
fn fault(error: &io::Error) -> LocalFault {
    match error.kind() {
        io::ErrorKind::PermissionDenied => LocalFault::Denied,
        // A connect finds no free local port.
        io::ErrorKind::AddrNotAvailable => LocalFault::Exhausted,
        _ if is_shortage(error) => LocalFault::Exhausted,
        kind => LocalFault::Socket(kind),
    }
}

/// Whether this host is out of descriptors or memory, at any stage of a check: that says
/// nothing about the server.
pub(crate) fn is_shortage(error: &io::Error) -> bool {
    /// `errno` of a full file table, from Linux's `errno-base.h`: 23 and 24.
    const FILE_TABLES: [i32; 2] = [23, 24];
    /// `ENOBUFS`, from Linux's `errno.h`.
    const NO_BUFFERS: i32 = 105;
    let is_one = |errno| FILE_TABLES.contains(&errno) || errno == NO_BUFFERS;
    error.kind() == io::ErrorKind::OutOfMemory || error.raw_os_error().is_some_and(is_one)
}

#[expect(clippy::wildcard_enum_match_arm, reason = "an open set, not ours")]
fn bind_fault(error: &io::Error) -> LocalFault {
    match error.kind() {
        io::ErrorKind::AddrInUse => LocalFault::Exhausted,
        io::ErrorKind::PermissionDenied => LocalFault::Denied,
        // Not an address of this machine, or one of the other family.
        _ => LocalFault::Source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Heard, Stage};

    /// What Linux says to a connect, by `errno`; loopback shows only some of it.
    #[test]
    fn every_errno_of_a_connect() {
        for (errno, expected) in [
            (111, Outcome::Refused),
            (113, Outcome::HostUnreachable),
            (101, Outcome::NetworkUnreachable),
            (110, Outcome::ConnectTimeout),
            (104, Outcome::Reset(Stage::Connect, Heard::Nothing)),
            (99, Outcome::Local(LocalFault::Exhausted)),
            (24, Outcome::Local(LocalFault::Exhausted)),
            (105, Outcome::Local(LocalFault::Exhausted)),
            (1, Outcome::Local(LocalFault::Denied)),
            (13, Outcome::Local(LocalFault::Denied)),
            (
                22,
                Outcome::Local(LocalFault::Socket(io::ErrorKind::InvalidInput)),
            ),
        ] {
            let error = io::Error::from_raw_os_error(errno);
            assert_eq!(outcome(&error, &Progress::default()), expected, "{error}");
        }
    }

    #[test]
    fn a_source_must_be_ours_and_of_the_same_family() {
        for (errno, expected) in [
            (99, LocalFault::Source),
            (22, LocalFault::Source),
            (97, LocalFault::Source),
            (98, LocalFault::Exhausted),
            (13, LocalFault::Denied),
        ] {
            let error = io::Error::from_raw_os_error(errno);
            assert_eq!(bind_fault(&error), expected, "{error}");
        }
    }
}
