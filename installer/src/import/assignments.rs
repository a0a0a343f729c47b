//! The assignments in a shell script, as far as they are plain: `NAME=value`, with or without
//! `export`, quotes and a comment behind. Nothing is run.

/// One assignment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Assignment {
    /// Its line, from 1.
    pub(super) line: usize,
    /// The variable.
    pub(super) name: String,
    /// Its value, with variables set before it filled in.
    pub(super) value: String,
}

/// Every assignment of a script, in order.
pub(super) fn assignments(text: &str) -> Vec<Assignment> {
    let mut all: Vec<Assignment> = Vec::new();
    for (place, line) in text.lines().enumerate() {
        let Some((name, value)) = assignment(line) else {
            continue;
        };
        let value = filled(&value, &all);
        all.push(Assignment {
            line: place + 1,
            name: name.to_owned(),
            value,
        });
    }
    all
}

fn assignment(line: &str) -> Option<(&str, String)> {
    let line = line.trim();
    let line = line.strip_prefix("export ").unwrap_or(line).trim_start();
    let (name, rest) = line.split_once('=')?;
    let good = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let first = name.chars().next()?;
    let is_name = !first.is_ascii_digit() && name.chars().all(good);
    is_name.then(|| (name, value(rest)))
}

/// A word as a shell reads it: quotes go, and what follows the word is a comment.
fn value(text: &str) -> String {
    let mut value = String::new();
    let mut quote = None;
    for character in text.chars() {
        match (quote, character) {
            (Some(open), close) if open == close => quote = None,
            (None, '"' | '\'') => quote = Some(character),
            (None, character) if character.is_whitespace() => break,
            (Some(_) | None, character) => value.push(character),
        }
    }
    value
}

/// `${NAME}` and `$NAME` of variables that are set before; others stay as they are.
fn filled(value: &str, known: &[Assignment]) -> String {
    let mut filled = value.to_owned();
    // The longest names first: `$NODE_IPS` is not `$NODE_IP` and an S.
    let mut known: Vec<_> = known.iter().rev().collect();
    known.sort_by_key(|one| std::cmp::Reverse(one.name.len()));
    for one in known {
        filled = filled.replace(&format!("${{{}}}", one.name), &one.value);
        filled = filled.replace(&format!("${}", one.name), &one.value);
    }
    filled
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<(usize, String, String)> {
        let all = assignments(text).into_iter();
        all.map(|one| (one.line, one.name, one.value)).collect()
    }

    #[test]
    fn words_are_read_as_a_shell_reads_them() {
        for (line, name, value) in [
            ("A=1", "A", "1"),
            ("export A=\"b c\" # and more", "A", "b c"),
            ("A='b'c", "A", "bc"),
            ("  A=\"\"", "A", ""),
            ("A=\"it's\"", "A", "it's"),
            ("A=b=c", "A", "b=c"),
        ] {
            assert_eq!(
                read(line),
                [(1, name.to_owned(), value.to_owned())],
                "{line}"
            );
        }
        for line in ["", "# A=1", "echo A=1", "1A=2", "A-B=1", "if [ a = b ]"] {
            assert_eq!(read(line), [], "{line}");
        }
    }

    #[test]
    fn a_variable_is_filled_in_by_what_is_set_before() {
        let all = read("A=1\nAB=2\nC=\"x$AB-${A}\"\nA=3\nD=$A$E");
        assert_eq!(all[2].2, "x2-1");
        assert_eq!(all[4].2, "3$E");
    }
}
