//! The admin server: what a daemon says of itself, and the commands it takes.
//!
//! ```text
//! Admin (listeners) ──accept──▶ Crowd (bounded) ──▶ connection ──▶ route ──▶ answer
//!                                oldest out          limits         decides    bytes
//! ```
//!
//! TCP listeners read only; the unix socket takes commands, and who may open it is
//! its mode, 0660. A connection is the same over any stream; a listener with TLS stands
//! beside the two. From a browser, commands are taken as `web` says.

mod answer;
mod bind;
mod connection;
mod crowd;
mod route;
mod serve;
mod surface;
mod tls;
pub(crate) mod web;

pub use bind::{Admin, BindError, Listen, Secure};
pub use surface::{CommandError, Page, Surface};
pub use tls::{Certificate, CertificateError};
pub use web::password;
