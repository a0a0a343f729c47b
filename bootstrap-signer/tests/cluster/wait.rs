//! Waiting for what comes, and saying how long it took.

use std::error::Error;
use std::time::{Duration, Instant};

use crate::servers::Running;

pub(crate) type Res<T> = Result<T, Box<dyn Error>>;

/// Far above anything awaited with it, on a machine that does much else besides: what is
/// not there by then does not come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(300);

/// Between two questions.
const PAUSE: Duration = Duration::from_millis(20);
/// A question that hangs is asked anew.
const ANSWER: Duration = Duration::from_secs(30);

/// What takes longer is slow by design, such as a look once a minute, and not for want of
/// a processor.
const SANE: Duration = Duration::from_secs(30);

/// Asks until there is an answer, for as long as `running` runs.
pub(crate) async fn within<T>(
    what: &str,
    mut running: Option<&mut Running>,
    mut ask: impl AsyncFnMut() -> Option<T>,
) -> Res<T> {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Ok(Some(answer)) = tokio::time::timeout(ANSWER, ask()).await {
            return Ok(answer);
        }
        if let Some(running) = &mut running {
            running.still()?;
        }
        if Instant::now() > end {
            let log = running.map_or_else(String::new, |running| running.last_lines());
            return Err(format!("{what} did not come within {PATIENCE:?}\n{log}").into());
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Prints a time beside what it is on an idle machine. How fast this one is, and what else
/// it does, is not the daemon's: only what no load explains fails.
pub(crate) fn measured(what: &str, took: Duration, idle: Duration) -> Res<()> {
    println!("{what}: {took:.2?}; on an idle machine within {idle:?}");
    if took > SANE {
        return Err(format!("{what}: only after {took:.2?}").into());
    }
    Ok(())
}
