//! Lines of haproxy as words: quotes, escapes, comments, environment variables.

use super::super::{ImportError, Surroundings};

/// A directive.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Line {
    /// From 1.
    pub(super) number: usize,
    /// Its words, without quotes; variables are replaced by their values.
    pub(super) words: Vec<String>,
    /// Variables that have no value here.
    pub(super) unset: Vec<String>,
}

impl Line {
    /// The words as slices, for matching.
    pub(super) fn words(&self) -> Vec<&str> {
        self.words.iter().map(String::as_str).collect()
    }

    /// As one text, for the report.
    pub(super) fn text(&self) -> String {
        self.words.join(" ")
    }
}

/// All directives of a text.
pub(super) fn lines(
    file: &str,
    text: &str,
    around: &Surroundings<'_>,
) -> Result<Vec<Line>, ImportError> {
    let mut lines = Vec::new();
    for (number, text) in (1..).zip(text.lines()) {
        let line = Reading::new(number, around).read(text).map_err(|problem| {
            ImportError::Form {
                file: file.to_owned(),
                line: number,
                problem,
            }
        })?;
        if !line.words.is_empty() {
            lines.push(line);
        }
    }
    Ok(lines)
}

struct Reading<'a> {
    around: &'a Surroundings<'a>,
    line: Line,
    word: Option<String>,
}

impl<'a> Reading<'a> {
    fn new(number: usize, around: &'a Surroundings<'a>) -> Self {
        let line = Line {
            number,
            ..Line::default()
        };
        Self {
            around,
            line,
            word: None,
        }
    }

    fn read(mut self, text: &str) -> Result<Line, &'static str> {
        let mut rest = text.chars().peekable();
        while let Some(c) = rest.next() {
            match c {
                '#' => break,
                c if c.is_whitespace() => self.end_word(),
                '\\' => {
                    let escaped = rest.next().ok_or("a backslash stands at the end of the line; haproxy knows no continued lines")?;
                    self.push(match escaped {
                        'n' => '\n',
                        't' => '\t',
                        'r' => '\r',
                        other => other,
                    });
                }
                '\'' => {
                    self.word.get_or_insert_default();
                    loop {
                        match rest.next().ok_or("a single quote is not closed")? {
                            '\'' => break,
                            c => self.push(c),
                        }
                    }
                }
                '"' => {
                    self.word.get_or_insert_default();
                    loop {
                        match rest.next().ok_or("a double quote is not closed")? {
                            '"' => break,
                            '\\' => self.push(rest.next().unwrap_or('\\')),
                            '$' => self.variable(&mut rest),
                            c => self.push(c),
                        }
                    }
                }
                '$' => self.variable(&mut rest),
                c => self.push(c),
            }
        }
        self.end_word();
        Ok(self.line)
    }

    fn variable(&mut self, rest: &mut std::iter::Peekable<std::str::Chars<'_>>) {
        let is_braced = rest.next_if_eq(&'{').is_some();
        let mut name = String::new();
        while let Some(c) = rest.next_if(|c| c.is_ascii_alphanumeric() || *c == '_') {
            name.push(c);
        }
        let is_closed = !is_braced || rest.next_if_eq(&'}').is_some();
        let value = (self.around.variable)(&name).filter(|_| is_closed);
        match value {
            Some(value) => self.word.get_or_insert_default().push_str(&value),
            None => {
                let open = if is_braced { "${" } else { "$" };
                let close = if is_braced && is_closed { "}" } else { "" };
                let written = format!("{open}{name}{close}");
                self.word.get_or_insert_default().push_str(&written);
                if !name.is_empty() {
                    self.line.unset.push(name);
                }
            }
        }
    }

    fn push(&mut self, c: char) {
        self.word.get_or_insert_default().push(c);
    }

    fn end_word(&mut self) {
        self.line.words.extend(self.word.take());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Result<Vec<String>, String> {
        let around = Surroundings {
            variable: &|name| (name == "VIP").then(|| "10.0.0.1".to_owned()),
            resolve: &|_| None,
            include: &|_| Ok(vec![]),
            keep_password: &|_, _| Err(String::new()),
            public_page: super::super::super::PublicPage::Closed,
        };
        lines("t", text, &around)
            .map(|lines| lines.into_iter().flat_map(|line| line.words).collect())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn quotes_escapes_comments_and_variables() {
        for (text, expected) in [
            ("bind *:6443 # all", &["bind", "*:6443"][..]),
            (r"stats realm A\ B\#c", &["stats", "realm", "A B#c"]),
            (r#"a "b c" 'd "e'"#, &["a", "b c", "d \"e"]),
            (
                r#"bind ${VIP}:1 "$VIP" '$VIP'"#,
                &["bind", "10.0.0.1:1", "10.0.0.1", "$VIP"],
            ),
            ("bind ${NOT}:1", &["bind", "${NOT}:1"]),
            ("a \"\" b", &["a", "", "b"]),
            ("  # nothing", &[]),
        ] {
            assert_eq!(words(text).unwrap(), expected, "{text}");
        }
        assert_eq!(
            words("ok\na \"b").unwrap_err(),
            "t:2: a double quote is not closed"
        );
        assert!(words("a 'b").is_err());
        assert!(words("a\\").is_err());
    }
}
