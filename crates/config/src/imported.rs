//! What became of each directive of a file of another program that is imported.
//!
//! Reads nothing and decides nothing: importers add their verdicts, people read the report.

use std::fmt;

/// What became of a directive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It does the same in what was written, as said here.
    Honoured(String),
    /// What it did is done anyway, or was nothing; the reason.
    NotNeeded(String),
    /// Ours does not do it; what follows from that.
    Unsupported(String),
}

/// A directive with its verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The file, when it is an included one.
    pub file: Option<String>,
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
    included: Option<String>,
    findings: Vec<Finding>,
    traps: Vec<(usize, String)>,
}

impl Report {
    /// Nothing yet, of the file of this name.
    #[must_use]
    pub fn new(file: &str) -> Self {
        Self {
            file: file.to_owned(),
            included: None,
            findings: Vec::new(),
            traps: Vec::new(),
        }
    }

    /// Each directive with its verdict.
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// What the file did not do although it looked so: line and sentence, each once.
    #[must_use]
    pub fn traps(&self) -> &[(usize, String)] {
        &self.traps
    }

    /// Whether something is unsupported.
    #[must_use]
    pub fn lacks(&self) -> bool {
        self.count(|verdict| matches!(verdict, Verdict::Unsupported(_))) > 0
    }

    /// From here on findings are of this file; of the first one again, when none. Returns the
    /// one that they were of before.
    pub fn within(&mut self, included: Option<String>) -> Option<String> {
        std::mem::replace(&mut self.included, included)
    }

    /// The included file that findings are of.
    #[must_use]
    pub fn included(&self) -> Option<String> {
        self.included.clone()
    }

    /// A directive that does the same in what was written; how.
    pub fn honoured(&mut self, line: usize, text: &str, how: impl Into<String>) {
        self.add(line, text, Verdict::Honoured(how.into()));
    }

    /// A directive that is not needed; why.
    pub fn not_needed(&mut self, line: usize, text: &str, why: impl Into<String>) {
        self.add(line, text, Verdict::NotNeeded(why.into()));
    }

    /// A directive that ours does not do; what follows from that.
    pub fn unsupported(&mut self, line: usize, text: &str, what: impl Into<String>) {
        self.add(line, text, Verdict::Unsupported(what.into()));
    }

    /// What does not do what it looks like.
    pub fn trap(&mut self, line: usize, sentence: impl Into<String>) {
        let trap = (line, sentence.into());
        if !self.traps.contains(&trap) {
            self.traps.push(trap);
        }
    }

    /// The same where each sentence is said of its first line only.
    pub fn trap_once(&mut self, line: usize, sentence: impl Into<String>) {
        let sentence = sentence.into();
        if !self.traps.iter().any(|(_, known)| *known == sentence) {
            self.traps.push((line, sentence));
        }
    }

    /// A directive with its verdict.
    pub fn add(&mut self, line: usize, text: &str, verdict: Verdict) {
        self.findings.push(Finding {
            file: self.included.clone(),
            line,
            text: text.to_owned(),
            verdict,
        });
    }

    fn count(&self, is_meant: impl Fn(&Verdict) -> bool) -> usize {
        let verdicts = self.findings.iter().map(|finding| &finding.verdict);
        verdicts.filter(|verdict| is_meant(verdict)).count()
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
        let file = self.file.as_deref().unwrap_or_default();
        let name = self.verdict.name();
        write!(
            f,
            "{file:}{}{:>4}  {name:<11}  {}",
            if file.is_empty() { "" } else { ":" },
            self.line,
            self.text
        )?;
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
        let mut findings: Vec<&Finding> = self.findings.iter().collect();
        findings.sort_by_key(|finding| (finding.file.clone(), finding.line));
        writeln!(
            f,
            "{}: {} honoured, {} not needed, {} unsupported",
            self.file,
            self.count(|verdict| matches!(verdict, Verdict::Honoured(_))),
            self.count(|verdict| matches!(verdict, Verdict::NotNeeded(_))),
            self.count(|verdict| matches!(verdict, Verdict::Unsupported(_))),
        )?;
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
