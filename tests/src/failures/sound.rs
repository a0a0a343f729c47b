//! Playing a scene again that the machine has held up.

use std::path::Path;
use std::time::Duration;

use libtest_mimic::Failed;

use super::bounds::Verdict;
use crate::prober;
use crate::requirement::too_disturbed;

/// How long it is waited, after a void one, for a machine that disturbs nothing.
const CALM: Duration = Duration::from_secs(10);
/// How often it is played at most.
const TRIES: u32 = 3;

/// Plays until the machine lets bounds be kept or missed; each time with a folder of its own
/// for logs.
///
/// # Errors
/// When one is missed; when the machine never let that be told, as a skip that needs `calm`.
pub fn sound(
    what: &str,
    logs: &Path,
    mut play: impl FnMut(&Path) -> Result<Verdict, Failed>,
) -> Result<(), Failed> {
    let mut void = Vec::new();
    for attempt in 1..=TRIES {
        let logs = logs.join(attempt.to_string());
        match play(&logs)? {
            Verdict::Kept => return Ok(()),
            Verdict::Missed(said) => {
                return Err(format!("{what}: {said}\nlogs: {}", logs.display()).into());
            }
            Verdict::HeldUp(said) => {
                say(&format!("{what}: void: {said}"));
                void.push(said);
            }
        }
        prober::calm(CALM)?;
    }
    let (times, void) = (void.len(), void.join("; "));
    Err(too_disturbed(&format!(
        "{what}: {times} times void: {void}"
    )))
}

#[expect(clippy::print_stdout, reason = "what was void belongs to the result")]
fn say(what: &str) {
    println!("{what}");
}
