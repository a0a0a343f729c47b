//! `sternpost pod`: what runs in the Pods that `verify` lays down.

use clap::Subcommand;
use daemon::exit;
use daemon::signals::Signals;

use super::Sentence;
use crate::pod::{self, Asked, GREETING};

/// What a Pod is to do.
#[derive(Debug, Subcommand)]
pub(super) enum Pod {
    /// Answer with the name of this Pod, until it is ended.
    Answer,
    /// Find out what is asked for as JSON, and print what was found as JSON.
    Ask {
        /// Names and servers.
        asked: String,
    },
}

impl Pod {
    /// The answer of `ask`; `answer` comes back only when it cannot go on.
    pub(super) fn execute(&self) -> Result<(String, u8), Sentence> {
        match self {
            Self::Answer => {
                end_when_told().map_err(|error| error.to_string())?;
                super::say(&format!("{GREETING}{}", pod::name()));
                Err(pod::answer().to_string())
            }
            Self::Ask { asked } => {
                let asked: Asked =
                    serde_json::from_str(asked).map_err(|error| error.to_string())?;
                let told = serde_json::to_string(&pod::ask(&asked));
                Ok((told.map_err(|error| error.to_string())?, exit::DONE))
            }
        }
    }
}

/// The first process of a container ends by no signal that it does not ask for.
fn end_when_told() -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()?;
    let mut signals = {
        let _inside = runtime.enter();
        Signals::new()?
    };
    std::thread::spawn(move || {
        runtime.block_on(async {
            let _ = signals.next().await;
        });
        std::process::exit(exit::DONE.into());
    });
    Ok(())
}
