//! Signing: approved requests get their certificates here, when the configuration says so.
//!
//! ```text
//!  an approval that was written ──┐                  rules, files of authorities
//!  the watch: approved, unissued ─┴─▶ tray ──▶ work ──judge──▶ certify ──▶ status.certificate
//!                                                └──▶ not what we sign ──▶ condition Failed
//! ```
//!
//! Who approved does not matter; what is signed is looked at once more, since a person's
//! approval or another approver's may be about anything. Several of us may sign at once:
//! a certificate is written onto one version of a request, so that one of them stands.

mod authorities;
mod files;
mod issue;
mod judge;
mod shown;
mod tray;
mod work;
mod write;

pub use authorities::{Authorities, keep_fresh};
pub use files::{LoadError, Plan, Role, Source};
pub use judge::{Refusal, Wish, judge};
pub use shown::Shown;
pub use tray::{Order, Tray};
pub use work::{Ended, Worker};
pub use write::{Pen, Put};
