//! What became of each directive.

use std::fmt;

use super::words::Directive;

/// What became of a directive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It does the same in what was written, as said here.
    Honoured(String),
    /// What it did is done anyway, or was nothing; the reason.
    NotNeeded(String),
    /// vip-daemon does not do it; what follows from that.
    Unsupported(String),
}

/// A directive with its verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Where it stands, from 1.
    pub line: usize,
    /// The directive, in the words of the file.
    pub text: String,
    /// What became of it.
    pub verdict: Verdict,
}

/// All findings of an import.
#[derive(Clone, Debug)]
pub struct Report {
    file: String,
    findings: Vec<Finding>,
    traps: Vec<(usize, String)>,
}

impl Report {
    pub(super) fn new(file: &str) -> Self {
        Self {
            file: file.to_owned(),
            findings: Vec::new(),
            traps: Vec::new(),
        }
    }

    /// Each directive with its verdict.
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// What does not do what it looks like: line and sentence.
    #[must_use]
    pub fn traps(&self) -> &[(usize, String)] {
        &self.traps
    }

    /// Whether something is unsupported.
    #[must_use]
    pub fn lacks(&self) -> bool {
        let mut verdicts = self.findings.iter().map(|finding| &finding.verdict);
        verdicts.any(|verdict| matches!(verdict, Verdict::Unsupported(_)))
    }

    pub(super) fn honoured(&mut self, at: &Directive, how: impl Into<String>) {
        self.add(at.line, at.text(), Verdict::Honoured(how.into()));
    }

    pub(super) fn not_needed(&mut self, at: &Directive, why: impl Into<String>) {
        self.add(at.line, at.text(), Verdict::NotNeeded(why.into()));
    }

    pub(super) fn unsupported(&mut self, at: &Directive, what: impl Into<String>) {
        self.add(at.line, at.text(), Verdict::Unsupported(what.into()));
    }

    /// A block, and each directive in it.
    pub(super) fn all_unsupported(&mut self, at: &Directive, what: &str) {
        self.unsupported(at, what);
        for inner in at.inner() {
            self.all_unsupported(inner, what);
        }
    }

    pub(super) fn trap(&mut self, line: usize, sentence: impl Into<String>) {
        let trap = (line, sentence.into());
        if !self.traps.contains(&trap) {
            self.traps.push(trap);
        }
    }

    pub(super) fn add(&mut self, line: usize, text: String, verdict: Verdict) {
        self.findings.push(Finding {
            line,
            text,
            verdict,
        });
    }

    fn count(&self, name: &str) -> usize {
        let verdicts = self.findings.iter().map(|finding| &finding.verdict);
        verdicts.filter(|verdict| verdict.name() == name).count()
    }
}

impl Verdict {
    /// The word for people.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Honoured(_) => "honoured",
            Self::NotNeeded(_) => "not needed",
            Self::Unsupported(_) => "unsupported",
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.verdict.name();
        write!(f, "{:>4}  {name:<11}  {}", self.line, self.text)?;
        match &self.verdict {
            Verdict::Honoured(how) if how.is_empty() => Ok(()),
            Verdict::Honoured(how) => write!(f, " → {how}"),
            Verdict::NotNeeded(why) => write!(f, ", because {why}"),
            Verdict::Unsupported(what) => write!(f, ": {what}"),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{}: {} honoured, {} not needed, {} unsupported",
            self.file,
            self.count("honoured"),
            self.count("not needed"),
            self.count("unsupported"),
        )?;
        let mut findings: Vec<&Finding> = self.findings.iter().collect();
        findings.sort_by_key(|finding| finding.line);
        for finding in findings {
            writeln!(f, "{finding}")?;
        }
        let mut traps: Vec<_> = self.traps.iter().collect();
        traps.sort();
        for (line, trap) in traps {
            writeln!(f, "{line:>4}  look here    {trap}")?;
        }
        Ok(())
    }
}
