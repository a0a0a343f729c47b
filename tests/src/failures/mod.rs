//! What clients of a balancer see while servers behind it fail: the same faults and the same
//! load for this project's and for its peers.
//!
//! ```text
//!   host lb: load (a thread) ─▶ proxy ─▶ hosts s1 s2 s3: backend (a process each)
//!                                            ▲ killed, cut off, paused, draining, busy …
//! ```
//! 200 new connections a second (500 under reloads and upgrades), each with a ClientHello and
//! waiting for its answer, and 60 that last and ask once a second. The client never tries again.

pub mod backend;
pub mod bounds;
mod dials;
pub mod figures;
mod hostile;
pub mod load;
mod play;
pub mod proxy;
pub mod scene;
mod sound;
pub mod stage;
pub mod stalls;
mod storm;

pub use bounds::{Bound, Holds, Verdict};
pub use figures::Figures;
pub use proxy::{Peer, Programs};
pub use scene::{Scene, Size};
pub use sound::sound;
