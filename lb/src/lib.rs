//! A TCP load balancer in front of kube-apiservers.
//!
//! ```text
//!  file ─▶ config ─▶ control ──Snapshot, Command──▶ worker (one per thread)
//!                     ▲  │ ▲                          accept ▶ pick ▶ dial ▶ relay ▶ end
//!   check ──Report────┘  │ └────────Event──────────────┘
//!   (one task per server)└─▶ status, metrics, log (only read)
//! ```

pub mod admit;
pub mod beside;
pub mod check;
pub mod cli;
pub mod config;
pub mod control;
pub mod csv;
pub mod discover;
pub mod drain;
pub mod engine;
pub mod hello;
pub mod import;
pub mod limits;
pub mod listener;
pub mod metrics;
pub mod operate;
pub mod order;
pub mod page;
pub mod pool;
pub mod proxy;
pub mod reading;
pub mod recorder;
pub mod report;
pub mod roster;
pub mod status;
pub mod surface;
pub mod tcp;
pub mod trail;
pub mod upgrade;
pub mod worker;
pub mod workers;
