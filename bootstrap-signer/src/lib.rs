//! bootstrap-signer: nodes join by themselves, impostors do not.
//!
//! ```text
//!  bootstrap-signer.yaml ──config──▶ policy::Settings ─┐
//!  nodes.yaml ─────────────inventory──▶ Inventory ─────┤
//!  csr.yaml ───────────────manifest──▶ Submitted, PEM ─┼─▶ policy::explain ──explain──▶ text, JSON
//!  context.yaml ───────────context──▶ Facts, now ──────┘
//!
//!  API server ──watch──▶ book ──▶ desk ──policy::decide──▶ fair ──act──▶ API server
//!       ▲                  ▲        │ rights (SubjectAccessReviews)           │
//!       │               clock       └──▶ shown ──▶ /readyz /status /metrics   │
//!       └─────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! Beside it, where they are told to, [`signing`] turns approvals into certificates, and
//! [`tokens`] looks after bootstrap tokens.
//!
//! What is decided, and why, stands in the crate `policy`; nothing here decides.

pub mod act;
pub mod api;
pub mod book;
pub mod certificates;
pub mod cli;
pub mod config;
pub mod context;
pub mod credentials;
pub mod desk;
pub mod explain;
pub mod fair;
pub mod inventory;
pub mod live;
pub mod manifest;
pub mod rbac;
pub mod rights;
pub mod run;
pub mod shown;
pub mod signing;
mod stamp;
pub mod stranger;
pub mod tokens;
pub mod watch;
