//! A machine that is too restless to measure on, which only shows while a test runs.

use libtest_mimic::{Completion, Failed};

use super::{announce, is_demanded};

/// What a test of bounds of time says of a machine that stalls so often that they are neither
/// kept nor broken. Returned from a [`trial`](super::trial), it is a skip that needs `calm`, or a failure
/// where `STERNPOST_REQUIRE` demands that.
pub fn too_disturbed(why: &str) -> Failed {
    format!("{TOO_DISTURBED}{why}").into()
}

/// Tries again what was [`too_disturbed`], so often in all.
///
/// # Errors
/// The last one; any other is the last one.
#[expect(clippy::print_stdout, reason = "what was void belongs to the result")]
pub fn undisturbed<T>(
    tries: u32,
    mut attempt: impl FnMut() -> Result<T, Failed>,
) -> Result<T, Failed> {
    for _ in 1..tries {
        match attempt() {
            Err(failed) if is_too_disturbed(&failed) => {
                println!("void: {}", failed.message().unwrap_or_default());
            }
            ended => return ended,
        }
    }
    attempt()
}

fn is_too_disturbed(failed: &Failed) -> bool {
    let said = failed.message();
    said.is_some_and(|said| said.starts_with(TOO_DISTURBED))
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
    if !is_too_disturbed(&failed) || is_demanded(CALM) {
        return Err(failed);
    }
    let why = failed.message().unwrap_or_default();
    announce(name, &format!("(needs: {CALM}): {why}"));
    Ok(Completion::ignored())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_too_disturbed_is_tried_again_and_not_for_ever() {
        for (ends, tries, done) in [
            (["x", "", ""], 1, false),
            (["TOO DISTURBED: x", "", ""], 2, true),
            (["TOO DISTURBED: x", "x", ""], 2, false),
            (["TOO DISTURBED: x"; 3], 3, false),
        ] {
            let mut left = ends.iter();
            let ended = undisturbed(3, || match left.next() {
                Some(said) if !said.is_empty() => Err(Failed::from(*said)),
                Some(_) | None => Ok(()),
            });
            assert_eq!((ends.len() - left.len(), ended.is_ok()), (tries, done));
        }
    }

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
