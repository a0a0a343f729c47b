//! The admin server: what a daemon says of itself, and the commands it takes.
//!
//! ```text
//! Admin (listeners) ──accept──▶ Crowd (bounded) ──▶ connection ──▶ route ──▶ answer
//!                                oldest out          limits         decides    bytes
//! ```
//!
//! TCP listeners read only; the unix socket takes commands, and who may open it is
//! its mode, 0660. A connection is the same over any stream, so that a listener with
//! TLS has its place beside the two.

mod answer;
mod bind;
mod connection;
mod crowd;
mod route;
mod serve;
mod surface;

pub use bind::{Admin, BindError, Listen};
pub use surface::{CommandError, Page, Surface};
