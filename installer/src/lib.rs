//! From one file that describes a cluster to machines that run it.
//!
//! ```text
//! cluster.yaml ──▶ spec ──▶ Cluster ─┐
//!                                    ├─▶ render ──▶ what each host is to hold ─┐
//! certificates, keys ──▶ material ───┘                                         ├─▶ plan ──▶ steps
//! hosts, looked at ──▶ facts ──────────────────────────────────────────────────┤
//! programs, fetched ─▶ stock ──────────────────────────────────────────────────┘
//! ```
//!
//! Everything up to the plan is a function of values: nothing is touched.

#![forbid(unsafe_code)]

pub mod agent;
pub mod apply;
pub mod architecture;
pub mod certs;
pub mod checksums;
pub mod cli;
pub mod diagnose;
pub mod elf;
pub mod facts;
pub mod flows;
pub mod import;
pub mod init;
pub mod judge;
pub mod kubeconfig;
pub mod layout;
pub mod listing;
pub mod plan;
pub mod pod;
pub mod preflight;
pub mod render;
pub mod reset;
pub mod resource;
mod sign;
pub mod spec;
pub mod status;
pub mod stock;
pub mod swap;
pub mod transport;
pub mod verify;
pub mod versions;
