//! keepalived's syntax: a directive a line, blocks in braces, comments after `#` and `!`,
//! quotes, `$NAME=value`, and `@node` before a line that is for one node only.

use std::collections::BTreeMap;

use config::Verdict;

use super::report::Report;

/// Blocks in blocks: keepalived's own go three deep.
const DEEPEST: usize = 8;

/// One directive.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Directive {
    /// Where it stands, from 1.
    pub(super) line: usize,
    /// Its words; never empty.
    pub(super) words: Vec<String>,
    /// What stands in its braces.
    pub(super) block: Option<Vec<Self>>,
}

impl Directive {
    pub(super) fn name(&self) -> &str {
        self.words.first().map_or("", String::as_str)
    }

    /// The word after the name, or nothing.
    pub(super) fn value(&self) -> &str {
        self.words.get(1).map_or("", String::as_str)
    }

    pub(super) fn inner(&self) -> &[Self] {
        self.block.as_deref().unwrap_or_default()
    }

    /// As the report shows it; a password is nobody's business.
    pub(super) fn text(&self) -> String {
        if self.name() == "auth_pass" {
            return "auth_pass …".to_owned();
        }
        self.words.join(" ")
    }

    /// Is it a switch that is on? A bare word is.
    pub(super) fn is_on(&self) -> bool {
        !matches!(self.value(), "off" | "false" | "no")
    }
}

/// What is not of keepalived's form.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct FormError {
    pub(super) line: usize,
    pub(super) problem: &'static str,
}

#[derive(Debug, PartialEq, Eq)]
enum Token {
    Word(String),
    Open,
    Close,
}

/// The directives of a text, those for other nodes left out with a word about it.
pub(super) fn tree(
    text: &str,
    node: Option<&str>,
    report: &mut Report,
) -> Result<Vec<Directive>, FormError> {
    let mut reader = Reader {
        stack: vec![Directive::default()],
        parameters: BTreeMap::new(),
        node,
        report,
    };
    let mut held = String::new();
    let mut first = 1;
    for (number, line) in text.lines().enumerate() {
        if held.is_empty() {
            first = number + 1;
        }
        held.push_str(line.strip_suffix('\\').unwrap_or(line));
        if !line.ends_with('\\') {
            let line = std::mem::take(&mut held);
            reader.line(first, &line)?;
        }
    }
    reader.finish()
}

struct Reader<'a> {
    /// The open blocks; the first is the file.
    stack: Vec<Directive>,
    parameters: BTreeMap<String, String>,
    node: Option<&'a str>,
    report: &'a mut Report,
}

impl Reader<'_> {
    fn line(&mut self, number: usize, line: &str) -> Result<(), FormError> {
        if self.defines(line) {
            return Ok(());
        }
        let line = self.substituted(line);
        let mut words = Vec::new();
        for token in tokens(number, &line)? {
            match token {
                Token::Word(word) => words.push(word),
                Token::Open => self.open(number, std::mem::take(&mut words))?,
                Token::Close => {
                    self.leaf(number, std::mem::take(&mut words));
                    self.close(number)?;
                }
            }
        }
        self.leaf(number, words);
        Ok(())
    }

    fn defines(&mut self, line: &str) -> bool {
        let definition = line.trim().strip_prefix('$');
        let Some((name, value)) = definition.and_then(|line| line.split_once('=')) else {
            return false;
        };
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if name.is_empty() || !name.chars().all(is_name) {
            return false;
        }
        let value = value.trim().to_owned();
        self.parameters.insert(name.to_owned(), value);
        true
    }

    /// Longest names first, so that `$A` does not stand in for `$AB`.
    fn substituted(&self, line: &str) -> String {
        let mut line = line.to_owned();
        let mut names: Vec<_> = self.parameters.iter().collect();
        names.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
        for (name, value) in names {
            line = line.replace(&format!("${{{name}}}"), value);
            line = line.replace(&format!("${name}"), value);
        }
        line
    }

    fn leaf(&mut self, line: usize, words: Vec<String>) {
        if let Some(words) = self.wanted(line, words)
            && !words.is_empty()
        {
            self.put(Directive {
                line,
                words,
                block: None,
            });
        }
    }

    fn open(&mut self, line: usize, words: Vec<String>) -> Result<(), FormError> {
        if self.stack.len() > DEEPEST {
            let problem = "blocks are nested deeper than keepalived's; is a } missing?";
            return Err(FormError { line, problem });
        }
        let mut words = words;
        if words.is_empty() {
            // The brace stands on the line after its directive.
            let before = self.stack.last_mut().and_then(|top| top.block.as_mut());
            match before.and_then(|block| block.pop_if(|last| last.block.is_none())) {
                Some(before) => words = before.words,
                None => {
                    let problem = "a { without a directive before it";
                    return Err(FormError { line, problem });
                }
            }
        }
        // A block for another node is read like any other, and then left out.
        let block = Some(Vec::new());
        self.stack.push(Directive { line, words, block });
        Ok(())
    }

    fn close(&mut self, line: usize) -> Result<(), FormError> {
        let mut closed = match self.stack.pop() {
            Some(closed) if !self.stack.is_empty() => closed,
            Some(_) | None => {
                let problem = "a } too many";
                return Err(FormError { line, problem });
            }
        };
        let words = std::mem::take(&mut closed.words);
        if let Some(words) = self.wanted(closed.line, words) {
            closed.words = words;
            self.put(closed);
        }
        Ok(())
    }

    fn put(&mut self, directive: Directive) {
        if let Some(top) = self.stack.last_mut() {
            top.block.get_or_insert_default().push(directive);
        }
    }

    /// The words without their condition, if they are for this node.
    fn wanted(&mut self, line: usize, mut words: Vec<String>) -> Option<Vec<String>> {
        let Some(condition) = words.first().and_then(|word| word.strip_prefix('@'))
        else {
            return Some(words);
        };
        let (negated, name) = match condition.strip_prefix('^') {
            Some(name) => (true, name),
            None => (false, condition),
        };
        let Some(node) = self.node else {
            let what = "for one node only; write --node NAME to import for a node";
            let verdict = Verdict::Unsupported(what.to_owned());
            self.report.add(line, &words.join(" "), verdict);
            return None;
        };
        if (name == node) == negated {
            let verdict = Verdict::NotNeeded("it is for another node".to_owned());
            self.report.add(line, &words.join(" "), verdict);
            return None;
        }
        words.remove(0);
        Some(words)
    }

    fn finish(mut self) -> Result<Vec<Directive>, FormError> {
        match (self.stack.pop(), self.stack.pop()) {
            (Some(file), None) => Ok(file.block.unwrap_or_default()),
            (Some(open), Some(_)) => Err(FormError {
                line: open.line,
                problem: "a block without its }",
            }),
            (None, _) => Ok(Vec::new()),
        }
    }
}

fn tokens(line: usize, text: &str) -> Result<Vec<Token>, FormError> {
    let mut tokens = Vec::new();
    let mut word: Option<String> = None;
    let mut letters = text.chars().peekable();
    let end = |word: &mut Option<String>, tokens: &mut Vec<Token>| {
        tokens.extend(word.take().map(Token::Word));
    };
    while let Some(letter) = letters.next() {
        match letter {
            '#' | '!' => break,
            '"' | '\'' if word.is_none() => {
                let mut quoted = String::new();
                loop {
                    match letters.next() {
                        Some(next) if next == letter => break,
                        Some(next) => quoted.push(next),
                        None => {
                            let problem = "a quote that is not closed on its line";
                            return Err(FormError { line, problem });
                        }
                    }
                }
                word = Some(quoted);
            }
            '{' | '}' => {
                end(&mut word, &mut tokens);
                let open = letter == '{';
                tokens.push(if open { Token::Open } else { Token::Close });
            }
            letter if letter.is_whitespace() => end(&mut word, &mut tokens),
            letter => word.get_or_insert_default().push(letter),
        }
    }
    end(&mut word, &mut tokens);
    Ok(tokens)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, node: Option<&str>) -> Result<Vec<Directive>, FormError> {
        tree(text, node, &mut Report::new("test"))
    }

    fn shown(directives: &[Directive]) -> String {
        let all = directives.iter().map(|directive| {
            let words = directive.words.join("|");
            match &directive.block {
                None => format!("{}:{words}", directive.line),
                Some(block) => format!("{}:{words}{{{}}}", directive.line, shown(block)),
            }
        });
        all.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn reads_keepalived_s_forms() {
        for (text, expected) in [
            ("", ""),
            ("a b # c\n! d\ne", "1:a|b 3:e"),
            ("a {\n b c\n}\nd", "1:a{2:b|c} 4:d"),
            ("a b\n{\n c\n}", "2:a|b{3:c}"),
            ("a { b c }", "1:a{1:b|c}"),
            ("a{\n}", "1:a{}"),
            ("s \"/bin/sh -c '! x # {y}'\"", "1:s|/bin/sh -c '! x # {y}'"),
            ("$A=1\n$AB=2\nx $A ${AB} $AB", "3:x|1|2|2"),
            ("a \\\n b\nc", "1:a|b 3:c"),
            ("@n a 1\n@o a 2\n@^o a 3", "1:a|1 3:a|3"),
            ("@n a {\n b\n}\n@o c {\n d\n}", "1:a{2:b}"),
        ] {
            let tree = read(text, Some("n")).unwrap();
            assert_eq!(shown(&tree), expected, "{text}");
        }
    }

    #[test]
    fn refuses_what_is_broken_with_its_line() {
        for (text, line) in [
            ("a {\n b", 1),
            ("a\n}\n", 2),
            ("{", 1),
            ("a 'b", 1),
            ("a\n\"b", 2),
            (&"a {\n".repeat(20), 9),
        ] {
            let error = read(text, None).unwrap_err();
            assert_eq!(error.line, line, "{text}: {}", error.problem);
        }
    }

    #[test]
    fn a_condition_without_a_node_is_said() {
        let mut report = Report::new("test");
        let tree = tree("@n a\nb", None, &mut report).unwrap();
        assert_eq!(shown(&tree), "2:b");
        assert!(report.lacks());
    }
}
