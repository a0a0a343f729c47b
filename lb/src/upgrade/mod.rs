//! `api-lb upgrade`: the program is replaced in place, and every connection goes on.
//!
//! ```text
//!  POST /upgrade ─▶ trial: the new program reads the file and the state ──no──▶ refused
//!                     │ yes                                            (nothing happened)
//!                     ▼
//!   hold ─▶ freeze ─▶ State, sockets ─▶ Parcel ─▶ exec(new) ─▶ adopt ─▶ READY=1
//!   (listeners stay   (engine::Kept)    (blob,      │              │ cannot,
//!    open)                               carriers)  └── exec(old) ◀┘ or is late
//! ```
//!
//! The process keeps its pid, its rights and its cgroup; `docs/decisions/upgrade-in-place.md`
//! says why. [`blob`] is the format, [`parcel`] carries it with the sockets through the exec,
//! [`swap`] runs programs, [`custody`] bounds the start of a new one; control freezes and adopts.

pub mod blob;
pub mod custody;
mod history;
pub mod parcel;
pub mod swap;

pub use blob::{Clock, State};
pub use history::{Done, History};
pub use parcel::Parcel;
