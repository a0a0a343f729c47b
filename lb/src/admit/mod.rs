//! Who may come in: lists of networks, and limits for a frontend and for each source.
//!
//! ```text
//!   Gate::look (frontend: connections, rate) ─▶ accept ─▶ Gate::enter ─▶ [PROXY header] ─▶
//!   Gate::admit (lists; source: connections, rate) ─▶ dial … end ─▶ Gate::dismiss
//! ```
//!
//! Decides; closes nothing. One [`Gate`] per frontend and configuration; what it counts
//! outlives reloads and is one for all workers. Established connections are never looked at
//! again: a list that changes closes nobody's connection.

mod gate;
mod network;
mod rate;
mod sources;

pub use gate::{Books, Gate, Held, Rules, WhenFull};
pub use network::{Network, NetworkError};
pub use rate::Bucket;
pub use sources::{Limits, Sources};
