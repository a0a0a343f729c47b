//! What was said, as much of it as is worth repeating: its first lines and its last.

use std::collections::VecDeque;

/// Lines kept from the front: where a panic was, and the first of its words.
const HEAD: usize = 4;
/// Lines kept from the end, where long outputs say what went wrong.
const TAIL: usize = 24;
/// Characters of a line that is repeated: a list of a thousand requests is one line, too.
const WIDTH: usize = 300;

/// The first and the last lines of something that may be long.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Excerpt {
    head: Vec<String>,
    tail: VecDeque<String>,
    left_out: usize,
}

impl Excerpt {
    /// Takes in a line; empty ones say nothing.
    pub(crate) fn push(&mut self, line: &str) {
        if line.trim().is_empty() {
            return;
        }
        let line = line.chars().take(WIDTH).collect();
        if self.head.len() < HEAD {
            self.head.push(line);
            return;
        }
        self.tail.push_back(line);
        if self.tail.len() > TAIL {
            self.tail.pop_front();
            self.left_out += 1;
        }
    }

    /// At most so many lines of it, and one more where some were left out; the last ones
    /// are kept longest.
    pub(crate) fn lines(&self, at_most: usize) -> Vec<String> {
        let whole = self.head.len() + self.tail.len();
        let head = self.head.len().min(at_most.div_ceil(3));
        // What the tail does not need is the head's.
        let tail = self.tail.len().min(at_most - head.min(at_most));
        let head = self.head.len().min(at_most - tail);
        let left_out = self.left_out + whole - head - tail;
        let mut lines = self.head.get(..head).unwrap_or_default().to_vec();
        if left_out > 0 {
            lines.push(format!("… {left_out} lines …"));
        }
        lines.extend(self.tail.range(self.tail.len() - tail..).cloned());
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn excerpt(count: usize) -> Excerpt {
        let mut excerpt = Excerpt::default();
        for number in 1..=count {
            excerpt.push(&number.to_string());
        }
        excerpt
    }

    #[test]
    fn first_and_last_lines_are_kept() {
        for (count, at_most, wanted) in [
            (0, 9, ""),
            (3, 9, "1 2 3"),
            (6, 9, "1 2 3 4 5 6"),
            (14, 14, "1 2 3 4 5 6 7 8 9 10 11 12 13 14"),
            (30, 14, "1 2 3 4 … 16 lines … 21 22 23 24 25 26 27 28 29 30"),
            (30, 5, "1 2 … 25 lines … 28 29 30"),
            (30, 1, "1 … 29 lines …"),
            (3, 2, "1 2 … 1 lines …"),
        ] {
            let lines = excerpt(count).lines(at_most).join(" ");
            assert_eq!(lines, wanted, "{at_most} of {count}");
        }
    }

    #[test]
    fn empty_lines_and_long_ones_are_cut() {
        let mut excerpt = Excerpt::default();
        excerpt.push(" ");
        excerpt.push(&"é".repeat(WIDTH + 1));
        assert_eq!(excerpt.lines(5), ["é".repeat(WIDTH)]);
    }
}
