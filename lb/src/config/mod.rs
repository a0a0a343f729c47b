//! The configuration: [`File`] as it is written, [`Config`] as it is meant.

mod admission;
mod backends;
mod checks;
mod collide;
mod convert;
mod discovery;
mod file;
mod here;
mod lint;
mod meant;
mod reading;
mod routes;
mod stats_path;

use std::path::Path;

use config::Errors;

pub(crate) use collide::is_unfit;
pub use file::File;
pub use meant::{
    Backend, Balance, Check, Config, Dial, Discovery, Frontend, Host, Keepalive, Origin,
    Pace, Queue, Server, Source, Switch, Tcp,
};

pub(crate) use stats_path::stats_path;

/// What `kind` must say.
pub const KIND: &str = "ApiLb";

/// Reads a file and the certificates it names.
///
/// # Errors
/// All that is wrong with it.
pub fn read(path: &Path) -> Result<Config, Errors> {
    convert::convert(config::read(path, KIND)?)
}

/// Reads a text, which errors call `name`, and the certificates it names.
///
/// # Errors
/// All that is wrong with it.
pub fn parse(name: &str, text: &str) -> Result<Config, Errors> {
    convert::convert(config::parse(name, text, KIND)?)
}
