//! A command line as data: each flag once, ours first, the operator's on top.

use crate::spec::{Cluster, Component};

/// The flags of one component.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flags(Vec<(String, String)>);

impl Flags {
    /// Sets a flag. A second value takes the first one's place.
    #[must_use]
    pub fn set(mut self, name: &str, value: impl Into<String>) -> Self {
        self.put(name, value.into());
        self
    }

    /// Adds what the operator wrote for `component`.
    #[must_use]
    pub fn and_extra(mut self, cluster: &Cluster, component: Component) -> Self {
        for (name, value) in cluster.extra_flags(component) {
            self.put(name, value.to_owned());
        }
        self
    }

    fn put(&mut self, name: &str, value: String) {
        match self.0.iter_mut().find(|(known, _)| known == name) {
            Some((_, known)) => *known = value,
            None => self.0.push((name.to_owned(), value)),
        }
    }

    /// The value of a flag.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        let mut all = self.0.iter();
        all.find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// `--name=value` of each.
    pub fn arguments(&self) -> impl Iterator<Item = String> {
        self.0
            .iter()
            .map(|(name, value)| format!("--{name}={value}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flag_is_there_once_and_keeps_its_place() {
        let flags = Flags::default().set("a", "1").set("b", "2").set("a", "3");
        let arguments: Vec<_> = flags.arguments().collect();
        assert_eq!(arguments, ["--a=3", "--b=2"]);
    }
}
