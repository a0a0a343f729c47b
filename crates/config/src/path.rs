//! Where a value stands in a file: `backends[0].servers[2].address`.

use std::fmt;

/// One step down from a mapping or a list.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Step {
    Key(String),
    Index(usize),
}

/// The way from the top of a file to a value.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyPath {
    steps: Vec<Step>,
}

impl KeyPath {
    /// The top of the file.
    pub fn root() -> Self {
        Self::default()
    }

    /// The value of `name` in the mapping that stands here.
    #[must_use]
    pub fn key(&self, name: impl Into<String>) -> Self {
        self.then(Step::Key(name.into()))
    }

    /// The item at `position`, from 0, of the list that stands here.
    #[must_use]
    pub fn index(&self, position: usize) -> Self {
        self.then(Step::Index(position))
    }

    /// The mapping or list this value stands in; nothing for the top of the file.
    pub fn parent(&self) -> Option<Self> {
        let (_, above) = self.steps.split_last()?;
        Some(Self {
            steps: above.to_vec(),
        })
    }

    pub(crate) fn steps(&self) -> &[Step] {
        &self.steps
    }

    pub(crate) fn contains(&self, other: &Self) -> bool {
        other.steps.len() > self.steps.len() && other.steps.starts_with(&self.steps)
    }

    fn then(&self, step: Step) -> Self {
        let mut steps = Vec::with_capacity(self.steps.len() + 1);
        steps.extend_from_slice(&self.steps);
        steps.push(step);
        Self { steps }
    }
}

impl fmt::Display for KeyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, step) in self.steps.iter().enumerate() {
            match step {
                Step::Key(name) if position == 0 => write!(f, "{name}")?,
                Step::Key(name) => write!(f, ".{name}")?,
                Step::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::KeyPath;

    #[test]
    fn a_path_is_written_as_people_write_it() {
        let path = KeyPath::root().key("backends").index(0).key("servers");
        assert_eq!(path.to_string(), "backends[0].servers");
        assert_eq!(KeyPath::root().to_string(), "");
    }
}
