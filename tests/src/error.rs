//! Why a lab could not do what it was asked.

use std::fmt::Display;
use std::io;

/// What stopped the lab itself (a bound that was missed is a result, not one of these).
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    /// The kernel or a file refused.
    #[error("{doing}: {source}")]
    Io {
        /// What was being done.
        doing: String,
        /// What the system said.
        source: io::Error,
    },
    /// A command ended with a failure.
    #[error("`{command}` failed: {said}")]
    Command {
        /// The command line.
        command: String,
        /// Its standard error.
        said: String,
    },
    /// Something expected did not come within its time.
    #[error("{what} did not happen within {within:?}")]
    Late {
        /// What was waited for.
        what: String,
        /// For how long.
        within: std::time::Duration,
    },
    /// A process ended where it should run.
    #[error("{process} ended: {status}; its log is {log}")]
    Ended {
        /// Host and process.
        process: String,
        /// How it ended.
        status: String,
        /// Where to read on.
        log: String,
    },
    /// Certificates could not be made.
    #[error("certificates: {0}")]
    Certificates(String),
    /// Something this machine lacks.
    #[error("{0}")]
    Missing(String),
}

/// Says what was being done when an I/O error came.
pub trait Doing<T> {
    /// Turns the error into a [`LabError`] that starts with `doing`.
    ///
    /// # Errors
    /// The error it was given, told.
    fn doing(self, doing: impl Display) -> Result<T, LabError>;
}

impl<T, E: Into<io::Error>> Doing<T> for Result<T, E> {
    fn doing(self, doing: impl Display) -> Result<T, LabError> {
        self.map_err(|source| LabError::Io {
            doing: doing.to_string(),
            source: source.into(),
        })
    }
}
