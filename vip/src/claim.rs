//! Who *may* hold the address: the seam between the protocol, which says who should, and
//! the effects, which make it so.
//!
//! A partition gives two Actives by the RFC. Only a fence removes that, and this function
//! is where its answer enters; without one, whoever should hold the address may.

/// What the protocol wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// Hold the addresses and advertise.
    Hold,
    /// Not hold them.
    Leave,
}

/// What stands between wish and deed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fence {
    /// Nothing: a host that is cut off holds the address on its side of the cut.
    Open,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Hold the addresses.
    Hold,
    /// Do not hold them.
    Leave,
}

/// Decides. Leaving needs nobody's leave.
pub fn decide(wish: Wish, fence: Fence) -> Verdict {
    match (wish, fence) {
        (Wish::Leave, Fence::Open) => Verdict::Leave,
        (Wish::Hold, Fence::Open) => Verdict::Hold,
    }
}
