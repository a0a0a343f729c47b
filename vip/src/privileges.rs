//! Rights: what the daemon keeps when it is started as root, and whether it may lock its
//! memory.

use std::io;

use nix::sys::mman::{MlockAllFlags, mlockall};
use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, set_capabilities, set_no_new_privs,
};

/// What it works with: addresses and links, raw sockets, and where the unit allows it
/// real-time scheduling and locked memory.
const KEPT: CapabilitySet = CapabilitySet::NET_ADMIN
    .union(CapabilitySet::NET_RAW)
    .union(CapabilitySet::SYS_NICE)
    .union(CapabilitySet::IPC_LOCK);

/// Gives up every right but those the daemon works with, for this thread and those it
/// starts from here on. Call it before any other thread is started.
///
/// # Errors
/// What the kernel says; giving up rights is never refused in practice.
pub fn reduce() -> io::Result<()> {
    set_no_new_privs(true)?;
    give_up_all_but(KEPT)
}

/// What the guard keeps: the right to change addresses, and nothing else where capset(2)
/// is allowed. The unit's filter refuses it; the guard then has the rights of the unit.
/// False when it has not even the one it needs.
///
/// # Errors
/// What the kernel says.
pub fn guard() -> io::Result<bool> {
    set_no_new_privs(true)?;
    let held = capabilities(None)?.effective;
    match give_up_all_but(CapabilitySet::NET_ADMIN) {
        Err(error) if error.kind() != io::ErrorKind::PermissionDenied => Err(error),
        Ok(()) | Err(_) => Ok(held.contains(CapabilitySet::NET_ADMIN)),
    }
}

fn give_up_all_but(wanted: CapabilitySet) -> io::Result<()> {
    let held = capabilities(None)?;
    let kept = held.permitted.intersection(wanted);
    let sets = CapabilitySets {
        effective: kept,
        permitted: kept,
        inheritable: held.inheritable.intersection(wanted),
    };
    // Under its unit there is nothing left to give up, and capset(2) is not allowed.
    if sets == held {
        return Ok(());
    }
    Ok(set_capabilities(None, sets)?)
}

/// Locks the pages of the process as they are touched, so that none is fetched from disk
/// while an advert is due. Only with `CAP_IPC_LOCK`: under a limit the kernel would
/// refuse memory later instead of now.
///
/// # Errors
/// When the right is missing, or what the kernel says.
pub fn lock_memory() -> io::Result<()> {
    if !capabilities(None)?
        .effective
        .contains(CapabilitySet::IPC_LOCK)
    {
        return Err(io::Error::from(io::ErrorKind::PermissionDenied));
    }
    let flags = MlockAllFlags::MCL_CURRENT
        | MlockAllFlags::MCL_FUTURE
        | MlockAllFlags::from_bits_retain(libc::MCL_ONFAULT);
    Ok(mlockall(flags)?)
}
