//! Tracking: checks of what an address is good for, and what they make of the priority.
//!
//! ```text
//!   follow (one per check) ──verdict──▶ Tracker ──standing()──▶ the driver
//! ```
//!
//! [`standing()`] decides; [`Tracker`] keeps the verdicts of one router's checks and
//! publishes the result; [`follow()`] runs one check again and again.

mod follow;
mod standing;
#[cfg(test)]
mod tests;
mod tracker;

pub use follow::follow;
pub use standing::{Out, Standing, standing, weighed};
pub use tracker::{Last, Seen, Tracker};
