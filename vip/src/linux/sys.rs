//! The five calls that no safe wrapper of our libraries offers. Every `unsafe` block of this
//! crate is here.

#![expect(
    unsafe_code,
    reason = "four of the kernel's C interfaces and one of the event loop's, each with its \
              safety comment"
)]

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use socket2::{SockAddr, Socket};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use vrrp::Family;

/// `AF_PACKET` as wide as the field it goes into.
const PACKET_FAMILY: libc::sa_family_t = 17;

/// `ETH_P_ARP`, `ETH_P_IP` and `ETH_P_IPV6` of linux/if_ether.h.
const ARP: u16 = 0x0806;
const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;

/// The size of a `sockaddr_ll`: 20 bytes on every Linux (packet(7)).
const LINK_ADDRESS_LENGTH: libc::socklen_t = 20;

/// What an `AF_PACKET` socket receives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Receives {
    /// Nothing: no receive hook, so that the kernel never copies a frame into it.
    Nothing,
    /// ARP.
    Arp,
    /// IP packets of that family.
    Ip(Family),
}

/// Binds an `AF_PACKET` socket to one interface.
///
/// # Errors
/// What bind(2) says: the interface is gone (`ENODEV`), or is not ours to use.
pub(super) fn bind_packet(
    socket: &Socket,
    interface: u32,
    receives: Receives,
) -> io::Result<()> {
    let protocol = match receives {
        Receives::Nothing => 0,
        Receives::Arp => ARP.to_be(),
        Receives::Ip(Family::V4) => IPV4.to_be(),
        Receives::Ip(Family::V6) => IPV6.to_be(),
    };
    let interface = i32::try_from(interface).map_err(io::Error::other)?;
    // SAFETY: `SockAddrStorage` is larger than and aligned for `sockaddr_ll`; it is zeroed
    // by socket2 before the call, every field written is plain data, and the length set
    // is that of the structure written.
    let ((), address) = unsafe {
        SockAddr::try_init(|storage, length| {
            let link = storage.cast::<libc::sockaddr_ll>();
            (*link).sll_family = PACKET_FAMILY;
            (*link).sll_protocol = protocol;
            (*link).sll_ifindex = interface;
            *length = LINK_ADDRESS_LENGTH;
            Ok(())
        })
    }?;
    socket.bind(&address)
}

/// `ICMPV6_FILTER` of linux/icmpv6.h; a bit that is set holds a type of message back.
const ICMPV6_FILTER: libc::c_int = 1;

/// Has an ICMPv6 socket receive one type of message and no other.
///
/// # Errors
/// What setsockopt(2) says: the socket is no raw one for ICMPv6.
pub(super) fn only_icmpv6(socket: &Socket, kind: u8) -> io::Result<()> {
    let mut filter = [u32::MAX; 8];
    if let Some(word) = filter.get_mut(usize::from(kind / 32)) {
        *word &= !(1 << (kind % 32));
    }
    let length = libc::socklen_t::try_from(size_of_val(&filter));
    let length = length.map_err(io::Error::other)?;
    // SAFETY: the descriptor is open while `socket` is borrowed, and the kernel reads
    // `length` octets of `filter`, which is as long as that.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_ICMPV6,
            ICMPV6_FILTER,
            filter.as_ptr().cast(),
            length,
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Has the event loop watch a descriptor for something to read. Inside a tokio runtime.
///
/// # Errors
/// When the kernel watches no more of them.
pub(super) fn watch(descriptor: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an `OwnedFd` is open, is the only one that closes its descriptor, and always
    // returns the same one; the `AsyncFd` owns it until it is dropped.
    let watched =
        unsafe { AsyncFd::register_with_interest(descriptor, Interest::READABLE) };
    Ok(watched?)
}

/// Puts the calling thread under `SCHED_RR` with the given priority (1–99).
///
/// # Errors
/// `EPERM` without `CAP_SYS_NICE` or a `RLIMIT_RTPRIO`, or where the kernel's real-time
/// group has no budget.
pub(crate) fn round_robin(priority: u8) -> io::Result<()> {
    let parameters = libc::sched_param {
        sched_priority: i32::from(priority),
    };
    // SAFETY: pid 0 is the calling thread and the pointer is valid for the call.
    let result =
        unsafe { libc::sched_setscheduler(0, libc::SCHED_RR, &raw const parameters) };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Asks for the calling thread to wait for as little as one without real-time scheduling can:
/// the least nice value where that is allowed, and turns of 100 µs, which nobody is refused
/// and which the kernel (6.12 and newer) gives sooner for being short.
///
/// # Errors
/// What sched_setattr(2) says.
pub(crate) fn short_turns() -> io::Result<()> {
    const LEAST_NICE: i32 = -20;
    const TURN_NANOS: u64 = 100_000;
    let own = rustix::process::getpriority_process(None)?;
    let ask = |nice: i32| {
        let attributes = libc::sched_attr {
            size: u32::try_from(size_of::<libc::sched_attr>())
                .map_err(io::Error::other)?,
            sched_policy: 0,
            sched_flags: 0,
            sched_nice: nice,
            sched_priority: 0,
            sched_runtime: TURN_NANOS,
            sched_deadline: 0,
            sched_period: 0,
        };
        // SAFETY: pid 0 is the calling thread; the kernel reads as many octets of the
        // structure as its first field says, which is its size.
        let result = unsafe {
            libc::syscall(libc::SYS_sched_setattr, 0, &raw const attributes, 0)
        };
        if result == 0 {
            Ok(())
        } else {
            Err(io::Error::last_os_error())
        }
    };
    ask(LEAST_NICE).or_else(|_| ask(own))
}
