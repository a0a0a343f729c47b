//! Where a value ends whose name says that it is a secret: in YAML, JSON, JSON within a text of
//! JSON, command lines and lists of their words. In doubt it ends later.

/// Values that are none, and where one goes on in the next line.
const NONE: [&str; 9] = ["", "true", "false", "null", "{", "[", "}", "{}", "[]"];
/// A text of several lines follows (YAML 1.2.2, 8.1).
pub(super) const BLOCK: [char; 2] = ['|', '>'];

/// `text` with a mask for the value that it begins with, and the octets that this took. `before`
/// is what stands before it, its name last.
pub(super) fn masked(
    before: &str,
    name: &str,
    text: &str,
    mask: &str,
) -> (String, usize) {
    let (length, open, close) = extent(before, name, text);
    let value = text.get(..length).unwrap_or(text);
    let bare = value.trim_matches(['"', '\'', '\\']);
    if NONE.contains(&bare) || bare.starts_with(BLOCK) {
        return (value.to_owned(), value.len());
    }
    (format!("{open}{mask}{close}"), value.len())
}

/// How long a value is, and what stands around it that stays.
fn extent<'a>(before: &'a str, name: &str, text: &'a str) -> (usize, &'a str, &'a str) {
    let (mark, depth) = opened(text);
    if let Some(quote) = mark.chars().last() {
        let rest = text.get(mark.len()..).unwrap_or_default();
        let inside = closed(rest, quote, depth);
        let whole = (mark.len() + inside + mark.len()).min(line(text));
        return (whole, mark, mark);
    }
    // "--password=two words": the quote was opened before the name.
    let around = before.chars().last().filter(|last| QUOTES.contains(last));
    if let (Some(quote), false) = (around, name.contains(QUOTES)) {
        let escapes = before.trim_end_matches(quote);
        let depth = escapes.len() - escapes.trim_end_matches('\\').len();
        return (closed(text, quote, depth), "", "");
    }
    if text.starts_with(['{', '[']) {
        return (bracketed(text), "", "");
    }
    let end = text.find([' ', '\t', '\n', ',', '}', ']']);
    (end.unwrap_or(text.len()), "", "")
}

const QUOTES: [char; 2] = ['"', '\''];

/// The quote that a text begins with, with the backslashes before it, and how many these are.
fn opened(text: &str) -> (&str, usize) {
    let rest = text.trim_start_matches('\\');
    let depth = text.len() - rest.len();
    match rest.starts_with(QUOTES) {
        true => (text.get(..=depth).unwrap_or_default(), depth),
        false => ("", 0),
    }
}

/// Where the quote is closed that was opened with `depth` backslashes before it, or the line is
/// over. Each time that JSON is written into a text of JSON, backslashes double.
fn closed(text: &str, quote: char, depth: usize) -> usize {
    let mut escapes = 0;
    let period = 2 * (depth + 1);
    for (place, sign) in text.char_indices() {
        if sign == '\n' {
            return place;
        }
        if sign == quote && escapes >= depth && (escapes - depth).is_multiple_of(period) {
            return place - depth;
        }
        escapes = if sign == '\\' { escapes + 1 } else { 0 };
    }
    text.len()
}

/// To the bracket that closes the first one, or to the end of the line.
fn bracketed(text: &str) -> usize {
    let mut depth = 0_usize;
    for (place, sign) in text.char_indices() {
        match sign {
            '\n' => return place,
            '{' | '[' => depth += 1,
            '}' | ']' if depth == 1 => return place + 1,
            '}' | ']' => depth -= 1,
            _ => {}
        }
    }
    text.len()
}

fn line(text: &str) -> usize {
    text.find('\n').unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is left behind the value.
    #[test]
    fn a_value_ends_where_its_writer_ended_it() {
        for (before, name, text, wanted) in [
            ("", "token: ", "X next", "(m) next"),
            ("", "token: ", r#""X \" X" next"#, r#""(m)" next"#),
            ("", "token: ", r#""X\\" next"#, r#""(m)" next"#),
            ("", r#"token\":"#, r#"\"X\",\"a\":1"#, r#"\"(m)\",\"a\":1"#),
            ("", r#"token\":"#, r#"\"X\\\"X\",1"#, r#"\"(m)\",1"#),
            ("", r#"token\":"#, r#"\"X\\\\\",1"#, r#"\"(m)\",1"#),
            ("a \"", "--token=", "X X\", 1", "(m)\", 1"),
            ("a \\\"", "--token=", "X X\\\", 1", "(m)\\\", 1"),
            ("", "token: ", "[X, {b: X}] next", "(m) next"),
            ("", "token: ", "\"X was cut\nnext", "\"(m)\"\nnext"),
            ("", "token: ", "{\n  a", "{\n  a"),
            ("", "token: ", "true", "true"),
        ] {
            let (said, length) = masked(before, name, text, "(m)");
            let rest = text.get(length..).unwrap();
            assert_eq!(format!("{said}{rest}"), wanted, "{text}");
        }
    }
}
