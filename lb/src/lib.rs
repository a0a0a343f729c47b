//! A TCP load balancer in front of kube-apiservers.
//!
//! ```text
//!  file ─▶ config ─▶ control ──Snapshot, Command──▶ worker (one per thread)
//!                     ▲  │ ▲                          accept ▶ pick ▶ dial ▶ relay ▶ end
//!   check ──Report────┘  │ └────────Event──────────────┘
//!   (one task per server)└─▶ status, metrics, log (only read)
//! ```

pub mod check;
pub mod config;
pub mod listener;
pub mod pool;
pub mod report;
pub mod roster;
pub mod simple;
pub mod tcp;
pub mod worker;
