//! The admin server: what a daemon says of itself, and the commands it takes.

mod bind;
mod surface;

pub use bind::{Admin, BindError, Listen};
pub use surface::{CommandError, Surface};
