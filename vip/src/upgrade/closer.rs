//! Packet sockets are closed by another process, so that an upgrade does not wait for that.
//!
//! Before the kernel gives a packet socket up it waits until no CPU can be about to use it:
//! tens of milliseconds each, one after the other, and a program that is replaced closes all it
//! has before the next one begins. A router has two or three; with a dozen routers peers would
//! have stopped waiting. So they are put into the queue of a socket that a child holds, and are
//! closed when that ends, which it does a moment after the program is replaced.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, IoSlice};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

/// The name of the hidden command.
pub const COMMAND: &str = "closer";

/// What one message carries at most (`SCM_MAX_FD` of the kernel).
const MOST: usize = 253;

/// The child sees its end of the line close, and other descriptors of this process may be
/// closed after that: microseconds.
const MOMENT: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 250_000_000,
};

/// The child that closes what this process has; dropped, or replaced by another program, it
/// does so.
#[derive(Debug)]
pub(super) struct Closer {
    /// A child of this process, to be buried.
    pub(super) pid: u32,
    _line: OwnedFd,
}

impl Closer {
    /// Starts it.
    ///
    /// # Errors
    /// When the kernel refuses; then the sockets are closed where they are.
    pub(super) fn start() -> io::Result<Self> {
        let (ours, theirs) = socketpair(
            AddressFamily::UNIX,
            SocketType::STREAM,
            SocketFlags::CLOEXEC,
            None,
        )?;
        for some in packets()?.chunks(MOST) {
            let sockets = [ControlMessage::ScmRights(some)];
            let octet = [IoSlice::new(&[0])];
            let (line, flags) = (ours.as_raw_fd(), MsgFlags::empty());
            sendmsg::<()>(line, &octet, &sockets, flags, None)?;
        }
        let child = Command::new("/proc/self/exe")
            .arg0("vip-daemon")
            .arg(COMMAND)
            .env_clear()
            .stdin(Stdio::from(theirs))
            .stdout(Stdio::null())
            // As the guard: what is for the daemon is not for it.
            .process_group(0)
            .spawn()?;
        Ok(Self {
            pid: child.id(),
            _line: ours,
        })
    }
}

/// The packet sockets of this process.
fn packets() -> io::Result<Vec<RawFd>> {
    let table = fs::read_to_string("/proc/self/net/packet")?;
    let inodes = table
        .lines()
        .filter_map(|line| line.split_whitespace().last());
    let inodes: BTreeSet<_> = inodes.map(|inode| format!("socket:[{inode}]")).collect();
    let all = fs::read_dir("/proc/self/fd")?.filter_map(|entry| {
        let entry = entry.ok()?;
        // The descriptor of the folder itself is gone by the time of the next line.
        let leads = fs::read_link(entry.path()).ok()?;
        let is_one = inodes.contains(leads.to_str()?);
        is_one.then(|| entry.file_name().to_str()?.parse().ok())?
    });
    Ok(all.collect())
}

/// What the child does: it reads nothing of what it holds.
///
/// # Errors
/// When standard input is no line to anybody.
pub fn run() -> io::Result<()> {
    let line = io::stdin();
    poll(&mut [PollFd::new(&line, PollFlags::empty())], None)?;
    poll(&mut [], Some(&MOMENT))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;

    #[test]
    fn other_sockets_are_not_among_the_packet_sockets() {
        let other = UdpSocket::bind("127.0.0.1:0").unwrap();
        assert!(!packets().unwrap().contains(&other.as_raw_fd()));
    }
}
