//! Phrases of programs, and what is most likely behind them.

/// A phrase, and what is behind it.
pub(crate) struct Sign {
    said: &'static str,
    cause: &'static str,
}

/// `said` is in small letters.
pub(crate) const fn sign(said: &'static str, cause: &'static str) -> Sign {
    Sign { said, cause }
}

/// What is behind the first sign that stands in one of these lines.
pub(crate) fn behind<'a>(
    signs: &[Sign],
    lines: impl Iterator<Item = &'a str>,
) -> Option<&'static str> {
    let lower: Vec<_> = lines.map(str::to_ascii_lowercase).collect();
    let mut signs = signs.iter();
    let found = signs.find(|sign| lower.iter().any(|line| line.contains(sign.said)));
    found.map(|sign| sign.cause)
}

/// Holds a table against lines, with what each cause is to begin with.
#[cfg(test)]
pub(crate) fn hold(signs: &[Sign], rows: &[(&str, Option<&str>)]) {
    for sign in signs {
        assert_eq!(sign.said, sign.said.to_ascii_lowercase());
    }
    for (said, wanted) in rows {
        let found = behind(signs, ["first", said].into_iter());
        let fits = match (found, wanted) {
            (Some(found), Some(wanted)) => found.starts_with(wanted),
            (found, wanted) => found == *wanted,
        };
        assert!(fits, "{said}: {found:?}");
    }
    assert_eq!(behind(signs, std::iter::empty()), None);
}
