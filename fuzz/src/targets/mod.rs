//! The targets, by what they read.

pub mod files;
pub mod requests;
pub mod wire;
