//! What all benches share: what they are told, what they say of the machine they measured on,
//! and how they put many figures into one cell.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::Command;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::load::usage;

/// What was measured, and on which machine.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Circumstances {
    /// The commit that was measured.
    pub commit: String,
    /// The kernel it was measured on.
    pub kernel: String,
    /// Cores of the machine.
    pub cores: usize,
    /// The peers' versions.
    pub versions: BTreeMap<String, String>,
}

impl Circumstances {
    /// Those of now; of each peer's name, the command that tells its version.
    #[must_use]
    pub fn of<'a>(peers: impl IntoIterator<Item = (&'a str, Command)>) -> Self {
        let versions = peers.into_iter();
        let versions = versions.map(|(name, command)| (name.to_owned(), said(command)));
        let mut describe = Command::new("git");
        describe.args(["describe", "--always", "--dirty"]);
        Self {
            commit: said(describe),
            kernel: usage::kernel(),
            cores: usage::cores(),
            versions: versions.collect(),
        }
    }
}

impl fmt::Display for Circumstances {
    /// All but the versions, which not every page puts in the same place.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            commit,
            kernel,
            cores,
            ..
        } = self;
        write!(f, "Commit {commit}, kernel {kernel}, {cores} cores.")
    }
}

/// Where a bench keeps what it has measured.
#[derive(Debug, clap::Args)]
pub struct Output {
    /// Where what was measured is written, as JSON.
    #[arg(long)]
    pub json: Option<PathBuf>,
    /// The page that is written, or whose table is replaced; standard output when absent.
    #[arg(long)]
    pub page: Option<PathBuf>,
    /// Makes the page of what was measured earlier, and measures nothing.
    #[arg(long)]
    pub from: Option<PathBuf>,
}

impl Output {
    /// What was measured earlier, where that is asked for; else what is measured now.
    ///
    /// # Errors
    /// When the earlier record cannot be read, or measuring fails.
    pub fn record<T: DeserializeOwned, E: From<io::Error>>(
        &self,
        measure: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        match &self.from {
            Some(path) => {
                let text = fs::read_to_string(path)?;
                Ok(serde_json::from_str(&text).map_err(io::Error::from)?)
            }
            None => measure(),
        }
    }

    /// Writes the record, where that is asked for.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn keep(&self, record: &impl Serialize) -> io::Result<()> {
        match &self.json {
            Some(path) => fs::write(path, serde_json::to_string_pretty(record)? + "\n"),
            None => Ok(()),
        }
    }

    /// Writes the page, or prints it.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn show(&self, page: &str) -> io::Result<()> {
        match &self.page {
            Some(path) => fs::write(path, page),
            None => writeln!(io::stdout(), "{page}"),
        }
    }
}

/// What a bench measures again and again, and keeps.
pub trait Kept {
    /// What it was measured of: all of one kind are measured anew together.
    type Kind: PartialEq;

    /// Of what it was measured.
    fn kind(&self) -> Self::Kind;

    /// The commit, where it is another than the record's.
    fn commit(&mut self) -> &mut Option<String>;
}

/// What was kept, with what `commit` has measured anew in the place of all of the same kinds.
#[must_use]
pub fn within<T: Kept>(mut kept: Vec<T>, anew: Vec<T>, commit: &str) -> Vec<T> {
    let again: Vec<_> = anew.iter().map(T::kind).collect();
    kept.retain(|one| !again.contains(&one.kind()));
    kept.extend(anew.into_iter().map(|mut one| {
        *one.commit() = Some(commit.to_owned());
        one
    }));
    kept
}

/// The page with another table between the marks of that name: `<!-- name: begin -->` and
/// `<!-- name: end -->`, each on a line of its own. Nothing where they are missing.
#[must_use]
pub fn replaced(page: &str, name: &str, table: &str) -> Option<String> {
    let (begin, end) = (
        format!("<!-- {name}: begin -->\n"),
        format!("<!-- {name}: end -->\n"),
    );
    let (before, rest) = page.split_once(&begin)?;
    let (_, after) = rest.split_once(&end)?;
    Some(format!("{before}{begin}{table}{end}{after}"))
}

/// Whether a name is among those asked for; all are when none is.
#[must_use]
pub fn wanted(names: &[String], name: &str) -> bool {
    names.is_empty() || names.iter().any(|wanted| wanted == name)
}

/// The first line that a program says, on whichever stream.
fn said(mut command: Command) -> String {
    let Ok(output) = command.output() else {
        return "unknown".to_owned();
    };
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    text.lines().next().unwrap_or("unknown").trim().to_owned()
}

/// Where many figures lie.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Spread {
    /// The lowest.
    pub low: f64,
    /// The middle one, or between the two middle ones.
    pub median: f64,
    /// The highest.
    pub high: f64,
}

impl Spread {
    /// Of these figures; of none there is none.
    #[must_use]
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let last = values.len().checked_sub(1)?;
        let at = |place: usize| values.get(place).copied();
        Some(Self {
            low: at(0)?,
            median: f64::midpoint(at(last / 2)?, at(last.div_ceil(2))?),
            high: at(last)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_lies_between_two_when_there_are_two() {
        let of = |values: &[f64]| {
            let spread = Spread::of(values.iter().copied());
            spread.map(|it| (it.low, it.median, it.high))
        };
        assert_eq!(of(&[3.0, 1.0, 2.0]), Some((1.0, 2.0, 3.0)));
        assert_eq!(of(&[4.0, 1.0]), Some((1.0, 2.5, 4.0)));
        assert_eq!(of(&[]), None);
    }

    impl Kept for (char, Option<String>) {
        type Kind = char;

        fn kind(&self) -> char {
            self.0
        }

        fn commit(&mut self) -> &mut Option<String> {
            &mut self.1
        }
    }

    #[test]
    fn what_is_measured_anew_replaces_all_of_its_kind() {
        let of = |kinds: &str| kinds.chars().map(|kind| (kind, None)).collect();
        let kept = within(of("abab"), of("b"), "c0ffee");
        let wanted = [('a', None), ('a', None), ('b', Some("c0ffee".to_owned()))];
        assert_eq!(kept, wanted);
    }

    #[test]
    fn a_page_without_a_place_is_left_alone() {
        assert_eq!(replaced("text", "a", "table"), None);
        let page =
            |table: &str| format!("x\n<!-- a: begin -->\n{table}<!-- a: end -->\ny\n");
        assert_eq!(replaced(&page("old\n"), "a", "new\n"), Some(page("new\n")));
        assert_eq!(replaced(&page("old\n"), "b", "new\n"), None);
    }

    #[test]
    fn without_names_all_are_wanted() {
        let names = ["a".to_owned(), "b".to_owned()];
        assert!(wanted(&[], "c"));
        assert!(wanted(&names, "b"));
        assert!(!wanted(&names, "c"));
    }

    #[test]
    fn the_first_line_counts_on_whichever_stream() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo 1.2 >&2; echo more >&2"]);
        assert_eq!(said(command), "1.2");
        assert_eq!(said(Command::new("/nowhere")), "unknown");
    }
}
