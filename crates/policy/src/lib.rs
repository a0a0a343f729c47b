//! Whether a kubelet gets its certificate.
//!
//! ```text
//!  PEM ──pem──▶ DER ──request──▶ Request (or Unreadable) ─┐
//!  the object: signer, usages, requester, created ────────┤
//!  Facts: Nodes, Token, access, keys, pending, inventory ─┼─▶ Question ──decide──▶ Verdict
//!  Settings ──────────────────────────────────────────────┤        └────explain──▶ every rule
//!  now: SystemTime ───────────────────────────────────────┘
//! ```
//!
//! The crate has no clock, no runtime, no client and no file: whoever asks hands in what
//! is known, and what is not known ([`Known::Unknown`]) is never a reason to deny. A
//! verdict is one [`Reason`]; the reason says which [`Decision`] it is.

#![forbid(unsafe_code)]

mod address;
mod facts;
mod pattern;
mod reason;
mod request;
mod requester;
mod rules;
mod settings;
mod submitted;

pub use address::{Network, NetworkError, dns_name, is_node_name, is_request_name};
pub use facts::{
    Access, Facts, Inventory, Known, Limits, Listed, Node, Nodes, Rival, Token, Uses,
};
pub use pattern::{Pattern, PatternError};
pub use reason::{Decision, Reason, Verdict};
pub use request::{
    Attribute, Extension, Key, LARGEST, Names, Request, SelfSignature, Unreadable, oid,
};
pub use requester::Requester;
pub use rules::{
    Explanation, Finding, Line, Question, RULES, Rule, Stage, decide, examine, explain,
};
pub use settings::{Master, Quota, Settings, Source};
pub use submitted::{Signer, State, Submitted};
