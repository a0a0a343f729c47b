//! A machine that is too restless to measure on, which only shows while a test runs.

use libtest_mimic::{Completion, Failed};

use super::{announce, is_demanded};

/// What a test of bounds of time says of a machine that stalls so often that they are neither
/// kept nor broken. Returned from a [`trial`](super::trial), it is a skip that needs `calm`, or a failure
/// where `STERNPOST_REQUIRE` demands that.
pub fn too_disturbed(why: &str) -> Failed {
    format!("{TOO_DISTURBED}{why}").into()
}

/// How [`too_disturbed`] begins.
const TOO_DISTURBED: &str = "TOO DISTURBED: ";

/// The name of a machine without stalls in `STERNPOST_REQUIRE`.
const CALM: &str = "calm";

/// What becomes of a trial that has ended.
pub(super) fn verdict(
    name: &str,
    ended: Result<(), Failed>,
) -> Result<Completion, Failed> {
    let Err(failed) = ended else {
        return Ok(Completion::Completed);
    };
    match failed.message() {
        Some(why) if why.starts_with(TOO_DISTURBED) && !is_demanded(CALM) => {
            announce(name, &format!("(needs: {CALM}): {why}"));
            Ok(Completion::ignored())
        }
        Some(_) | None => Err(failed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_disturbed_is_skipped_and_nothing_else_is() {
        let skipped = verdict("x", Err(too_disturbed("13 cycles void")));
        assert!(matches!(skipped, Ok(Completion::Ignored { .. })));
        let failed = verdict("x", Err("2 failed, after TOO DISTURBED: 1".into()));
        let said = failed
            .err()
            .and_then(|failed| failed.message().map(str::to_owned));
        assert_eq!(said.as_deref(), Some("2 failed, after TOO DISTURBED: 1"));
        assert!(matches!(verdict("x", Ok(())), Ok(Completion::Completed)));
    }
}
