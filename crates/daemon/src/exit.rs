//! What a process ends with, the same for every binary.

/// Done as asked.
pub const DONE: u8 = 0;
/// Tried and failed: a port in use, a peer that does not answer.
pub const FAILED: u8 = 1;
/// Wrong usage or a wrong configuration file; nothing was touched.
pub const USAGE: u8 = 2;
/// Nothing is wrong and changes are pending (`plan`).
pub const PENDING: u8 = 3;
