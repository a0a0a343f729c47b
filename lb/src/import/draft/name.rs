//! Names and texts as they may stand in a file of ours.

/// In double quotes, whatever it holds.
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control() => out += &format!("\\u{:04x}", u32::from(c)),
            c => out.push(c),
        }
    }
    out + "\""
}

/// A name that may stand in a file of ours and is not one of `taken`.
pub(in crate::import) fn name(written: &str, taken: &[&str]) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let plain: String = written
        .chars()
        .map(|c| if fits(c) { c } else { '-' })
        .take(LONGEST)
        .collect();
    let plain = if plain.is_empty() {
        "unnamed".to_owned()
    } else {
        plain
    };
    if is_plain(&plain) && !taken.contains(&plain.as_str()) {
        return plain;
    }
    let plain = if is_plain(&plain) {
        plain
    } else {
        format!("n-{plain}")
    };
    let free = |name: &String| !taken.contains(&name.as_str());
    if free(&plain) {
        return plain;
    }
    (2..=taken.len() + 2)
        .map(|n| format!("{plain}-{n}"))
        .find(free)
        .unwrap_or(plain)
}

/// Room for a number behind, below the 64 characters that a name may have.
const LONGEST: usize = 56;

/// Whether YAML reads it as text: no number, no truth, no null.
fn is_plain(name: &str) -> bool {
    let words = ["true", "false", "null", "yes", "no", "on", "off"];
    let begins = name.starts_with(|c: char| c.is_ascii_alphabetic());
    begins && !words.contains(&name.to_ascii_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_may_be_written() {
        for (written, taken, expected) in [
            ("k8s-api", &[][..], "k8s-api"),
            ("k8s:api", &[], "k8s-api"),
            ("k8s-api", &["k8s-api", "k8s-api-2"], "k8s-api-3"),
            ("1", &[], "n-1"),
            ("on", &[], "n-on"),
            ("", &[], "unnamed"),
        ] {
            assert_eq!(name(written, taken), expected, "{written}");
        }
        assert!(name(&"x".repeat(100), &[]).len() <= 64);
    }

    #[test]
    fn quotes_whatever_it_holds() {
        assert_eq!(quoted("a\"b\\c\n"), "\"a\\\"b\\\\c\\u000a\"");
    }
}
