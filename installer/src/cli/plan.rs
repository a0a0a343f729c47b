//! `sternpost plan`: what `apply` would do, host by host.

use clap::Args;

use super::Sentence;
use super::apply::Apply;
use super::fetch::Kept;
use super::progress::Output;
use super::reach::Reach;

/// What is asked for.
#[derive(Debug, Args)]
pub(super) struct Plan {
    #[command(flatten)]
    reach: Reach,
    #[command(flatten)]
    kept: Kept,
    /// How it is printed.
    #[arg(short, long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

impl Plan {
    /// The plans, and an exit code that says whether there is something to do.
    pub(super) fn execute(self) -> Result<(String, u8), Sentence> {
        Apply::dry(self.reach, self.kept, self.output).execute()
    }
}
