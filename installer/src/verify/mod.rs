//! Whether a cluster serves: what its masters say, and what Pods see that are laid down for
//! it on every node and taken away again.
//!
//! ```text
//! masters ──▶ Check: question → answer → verdict ─┐
//! nodes ───▶ Trial ──▶ image, objects, Pods ──▶ orders to agents
//!              └─▶ pods: what Pods say → verdict ─┴─▶ Finding, a line each
//! ```

mod drill;
mod finding;
mod masters;
mod pods;
mod standing;
mod store;
mod trial;
mod workload;

pub use drill::{Drill, Watched};
pub use finding::{Finding, Verdict, line};
pub use masters::Check;
pub use standing::{certificates, standing};
pub use trial::{Pace, Trial};
