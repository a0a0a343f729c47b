//! What became of each directive of keepalived's file.

use std::fmt;

use config::{Finding, Verdict};

use super::words::Directive;

/// All findings of an import.
#[derive(Clone, Debug)]
pub struct Report(config::Report);

impl Report {
    pub(super) fn new(file: &str) -> Self {
        Self(config::Report::new(file))
    }

    /// Each directive with its verdict.
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        self.0.findings()
    }

    /// What does not do what it looks like: line and sentence.
    #[must_use]
    pub fn traps(&self) -> &[(usize, String)] {
        self.0.traps()
    }

    /// Whether something is unsupported.
    #[must_use]
    pub fn lacks(&self) -> bool {
        self.0.lacks()
    }

    pub(super) fn honoured(&mut self, at: &Directive, how: impl Into<String>) {
        self.0.honoured(at.line, &at.text(), how);
    }

    pub(super) fn not_needed(&mut self, at: &Directive, why: impl Into<String>) {
        self.0.not_needed(at.line, &at.text(), why);
    }

    pub(super) fn unsupported(&mut self, at: &Directive, what: impl Into<String>) {
        self.0.unsupported(at.line, &at.text(), what);
    }

    /// A block, and each directive in it.
    pub(super) fn all_unsupported(&mut self, at: &Directive, what: &str) {
        self.unsupported(at, what);
        for inner in at.inner() {
            self.all_unsupported(inner, what);
        }
    }

    pub(super) fn trap(&mut self, line: usize, sentence: impl Into<String>) {
        self.0.trap(line, sentence);
    }

    /// The same of its first line only.
    pub(super) fn trap_once(&mut self, line: usize, sentence: &str) {
        self.0.trap_once(line, sentence);
    }

    pub(super) fn add(&mut self, line: usize, text: &str, verdict: Verdict) {
        self.0.add(line, text, verdict);
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
