//! Lines of ours in a file of others.

/// Lines between two marks, in a file that belongs to root and everybody may read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// The file.
    pub path: String,
    /// The lines.
    pub lines: Vec<String>,
}

impl Block {
    const BEGIN: &str = "# BEGIN sternpost: the names of the cluster; what is between the marks is overwritten";
    const END: &str = "# END sternpost";

    /// The file with the lines: where their marks are, else at its end.
    #[must_use]
    pub fn within(&self, text: &str) -> String {
        let mut lines = vec![Self::BEGIN];
        lines.extend(self.lines.iter().map(String::as_str));
        lines.push(Self::END);
        Self::replaced(text, &lines)
    }

    /// The file without any such lines.
    #[must_use]
    pub fn without(text: &str) -> String {
        Self::replaced(text, &[])
    }

    /// A mark without its other one is left alone: what it was to hold together is not known.
    fn replaced(text: &str, fresh: &[&str]) -> String {
        let lines: Vec<&str> = text.lines().collect();
        let begin = lines.iter().position(|line| *line == Self::BEGIN);
        let end = lines.iter().position(|line| *line == Self::END);
        let (before, after) = match (begin, end) {
            (Some(begin), Some(end)) if begin < end => {
                (lines.get(..begin), lines.get(end + 1..))
            }
            // To the last octet: whoever has nothing of ours is not to look changed.
            (_, _) if fresh.is_empty() => return text.to_owned(),
            (_, _) => (Some(lines.as_slice()), None),
        };
        let all = before.into_iter().flatten().chain(fresh);
        let all = all.chain(after.into_iter().flatten());
        all.map(|line| format!("{line}\n")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_put_between_their_marks_and_taken_out_again() {
        let block = |lines: &[&str]| Block {
            path: "/etc/hosts".to_owned(),
            lines: lines.iter().map(ToString::to_string).collect(),
        };
        let own = "127.0.0.1 localhost\n# END of ours\n";
        let once = block(&["192.0.2.1 m1"]).within(own);
        assert!(
            once.starts_with(own) && once.contains("\n192.0.2.1 m1\n"),
            "{once}"
        );
        assert_eq!(block(&["192.0.2.1 m1"]).within(&once), once);
        let further = format!("{once}10.0.0.1 mine\n");
        let changed = block(&["192.0.2.2 m2"]).within(&further);
        assert!(!changed.contains("192.0.2.1"), "{changed}");
        assert!(changed.ends_with("10.0.0.1 mine\n"), "{changed}");
        assert_eq!(Block::without(&changed), format!("{own}10.0.0.1 mine\n"));
        for own in [own, "no end of the line", ""] {
            assert_eq!(Block::without(own), own);
        }
        let torn = format!("{}\n{own}", Block::END);
        assert_eq!(Block::without(&torn), torn);
    }
}
