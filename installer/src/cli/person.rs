//! Who answers questions: a person at a terminal, or nobody.

use std::io::{self, BufRead, Write};

use super::Sentence;

/// Who is asked.
pub(super) struct Person<'a> {
    /// Where answers are read and questions written; `None`: nobody is there.
    at: Option<(&'a mut dyn BufRead, &'a mut dyn Write)>,
}

impl<'a> Person<'a> {
    pub(super) fn at(input: &'a mut dyn BufRead, output: &'a mut dyn Write) -> Self {
        Self {
            at: Some((input, output)),
        }
    }

    pub(super) fn nobody() -> Self {
        Self { at: None }
    }

    /// An answer that there is no going on without. Who gives none is told the flag.
    pub(super) fn must_say(
        &mut self,
        flag: &str,
        question: &str,
    ) -> Result<String, Sentence> {
        if self.at.is_none() {
            return Err(format!("nobody is here to be asked; write {flag}"));
        }
        let line = self.may_say(flag, question)?;
        match line.is_empty() {
            true => Err(format!("nothing was answered; write {flag}")),
            false => Ok(line),
        }
    }

    /// An answer that may be empty, as nobody's is.
    pub(super) fn may_say(
        &mut self,
        flag: &str,
        question: &str,
    ) -> Result<String, Sentence> {
        let Some((input, output)) = &mut self.at else {
            return Ok(String::new());
        };
        let mut line = String::new();
        let mut ask = || -> io::Result<usize> {
            output.write_all(question.as_bytes())?;
            output.flush()?;
            input.read_line(&mut line)
        };
        ask()
            .map_err(|error| format!("nothing could be asked: {error}; write {flag}"))?;
        Ok(line.trim().to_owned())
    }
}
