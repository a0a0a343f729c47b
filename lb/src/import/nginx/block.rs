//! nginx's directives: words up to a semicolon, or a block in braces.

use std::iter::Peekable;
use std::str::Chars;

use super::super::ImportError;

/// One directive with what stands in its block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Directive {
    /// From 1.
    pub(super) line: usize,
    pub(super) words: Vec<String>,
    /// Empty also where there is no block.
    pub(super) block: Vec<Directive>,
}

impl Directive {
    pub(super) fn words(&self) -> Vec<&str> {
        self.words.iter().map(String::as_str).collect()
    }

    pub(super) fn name(&self) -> &str {
        self.words.first().map_or("", String::as_str)
    }

    /// As one text, for the report.
    pub(super) fn text(&self) -> String {
        self.words.join(" ")
    }
}

/// Deeper blocks mean no configuration of a balancer.
const DEPTH: usize = 16;

/// All directives of a text.
pub(super) fn parse(file: &str, text: &str) -> Result<Vec<Directive>, ImportError> {
    let mut reading = Reading {
        rest: text.chars().peekable(),
        line: 1,
    };
    reading.block(0).map_err(|problem| ImportError::Form {
        file: file.to_owned(),
        line: reading.line,
        problem,
    })
}

struct Reading<'a> {
    rest: Peekable<Chars<'a>>,
    line: usize,
}

#[derive(Debug, PartialEq, Eq)]
enum Token {
    Word(String),
    End,
    Open,
    Close,
}

impl Reading<'_> {
    fn block(&mut self, depth: usize) -> Result<Vec<Directive>, &'static str> {
        if depth > DEPTH {
            return Err("blocks stand in one another more than 16 deep");
        }
        let mut all = Vec::new();
        let mut words = Vec::new();
        let mut line = self.line;
        while let Some(token) = self.token()? {
            match token {
                Token::Word(word) => {
                    if words.is_empty() {
                        line = self.line;
                    }
                    words.push(word);
                }
                Token::End if words.is_empty() => {}
                Token::End => all.push(Directive {
                    line,
                    words: std::mem::take(&mut words),
                    block: vec![],
                }),
                Token::Open if words.is_empty() => return Err("a block has no name"),
                Token::Open => {
                    let words = std::mem::take(&mut words);
                    let block = self.block(depth + 1)?;
                    all.push(Directive { line, words, block });
                }
                Token::Close if depth == 0 => return Err("a } closes nothing"),
                Token::Close if !words.is_empty() => {
                    return Err("a directive does not end in a semicolon");
                }
                Token::Close => return Ok(all),
            }
        }
        match (depth, words.is_empty()) {
            (0, true) => Ok(all),
            (0, false) => Err("the last directive does not end in a semicolon"),
            _ => Err("a block is not closed"),
        }
    }

    fn token(&mut self) -> Result<Option<Token>, &'static str> {
        loop {
            let Some(c) = self.next() else {
                return Ok(None);
            };
            return Ok(Some(match c {
                '#' => {
                    while self.rest.next_if(|c| *c != '\n').is_some() {}
                    continue;
                }
                c if c.is_whitespace() => continue,
                ';' => Token::End,
                '{' => Token::Open,
                '}' => Token::Close,
                '"' | '\'' => Token::Word(self.quoted(c)?),
                c => Token::Word(self.word(c)),
            }));
        }
    }

    fn quoted(&mut self, quote: char) -> Result<String, &'static str> {
        let mut word = String::new();
        loop {
            match self.next().ok_or("a quote is not closed")? {
                c if c == quote => return Ok(word),
                '\\' => word.extend(self.next()),
                c => word.push(c),
            }
        }
    }

    fn word(&mut self, first: char) -> String {
        let mut word = String::from(first);
        let mut in_variable = first == '$';
        while let Some(&c) = self.rest.peek() {
            let opens = c == '{' && word.ends_with('$');
            if opens {
                in_variable = true;
            }
            let closes = c == '}' && in_variable;
            if c.is_whitespace() || matches!(c, ';' | '{' | '}') && !opens && !closes {
                break;
            }
            in_variable &= !closes;
            word.extend(self.next());
        }
        word
    }

    fn next(&mut self) -> Option<char> {
        let c = self.rest.next()?;
        self.line += usize::from(c == '\n');
        Some(c)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_blocks_and_where_they_stand() {
        let text = "a 1; # c ;\n\nb \"x y\" {\n  c 'z;' ${d}e;\n}\n";
        let all = parse("t", text).unwrap();
        assert_eq!(all[0].words, ["a", "1"]);
        assert_eq!((all[1].line, all[1].text()), (3, "b x y".to_owned()));
        assert_eq!(all[1].block[0].words, ["c", "z;", "${d}e"]);
        assert_eq!(all[1].block[0].line, 4);
        for (text, line) in [
            ("a", 1),
            ("\na }", 2),
            ("a {\n b", 2),
            ("}", 1),
            ("\n{", 2),
            ("a 'b", 1),
        ] {
            let error = parse("t", text).unwrap_err().to_string();
            assert!(error.starts_with(&format!("t:{line}: ")), "{text}: {error}");
        }
        let deep = "a {".repeat(100);
        assert!(parse("t", &deep).is_err());
    }
}
