//! Bootstrap tokens and the signatures of `cluster-info`, as values.
//!
//! ```text
//!  random bytes ──▶ Token (id.secret) ─┐
//!  key, purpose ──derived──▶ Token ────┤
//!  text, file ────────parse────────────┼─▶ Spec ──data, annotations──▶ a Secret
//!                                      │
//!  a Secret's data ──▶ Stored ─────────┴─▶ live ids and secrets ──cluster_info──▶ what to
//!  token.csv ──▶ csv::Row (what becomes of it)                                    write
//! ```
//!
//! The crate has no clock, no client and no file; times are arguments. `Debug` never shows
//! a secret.

#![forbid(unsafe_code)]

mod cluster_info;
pub mod csv;
mod derive;
mod expiry;
mod jws;
mod spec;
mod stored;
mod text;

pub use cluster_info::{JWS_PREFIX, KUBECONFIG, Update, cluster_info};
pub use expiry::{Expiry, rfc3339};
pub use jws::detached;
pub use spec::{
    DEFAULT_GROUP, GroupError, Limits, MAX_NODES, NODE_NAMES, ONE_SHOT, Spec, USED_BY,
    Usage, check_group,
};
pub use stored::{NAMESPACE, PREFIX, Stored, TYPE};
pub use text::{RandomError, Secret, Token, TokenError};
