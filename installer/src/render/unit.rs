//! A systemd unit as data (systemd.unit(5), systemd.service(5)).

use std::fmt::Write;

use super::flags::Flags;

/// The kind of a service that does its work once, is active when that is done, and is tried again
/// where it fails: `oneshot` with `Restart=` is refused by systemd before 244, such as RHEL 8's
/// 239. Its command leaves nobody behind, so that `RemainAfterExit=` is what keeps it active.
pub(super) const ONCE: &str = "forking";

/// A service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Service {
    unit: Vec<(&'static str, String)>,
    service: Vec<(&'static str, String)>,
    command: Vec<String>,
    words: usize,
}

impl Service {
    /// A service that runs `program` with `flags`.
    #[must_use]
    pub fn new(description: &str, program: &str, flags: &Flags) -> Self {
        let mut command = vec![program.to_owned()];
        command.extend(flags.arguments());
        Self {
            unit: vec![("Description", description.to_owned())],
            service: Vec::new(),
            command,
            words: 0,
        }
    }

    /// A line of `[Unit]`.
    #[must_use]
    pub fn unit(mut self, key: &'static str, value: impl Into<String>) -> Self {
        self.unit.push((key, value.into()));
        self
    }

    /// A line of `[Service]`.
    #[must_use]
    pub fn set(mut self, key: &'static str, value: impl Into<String>) -> Self {
        self.service.push((key, value.into()));
        self
    }

    /// A word for the program, before its flags and behind the words so far.
    #[must_use]
    pub fn told(mut self, word: &str) -> Self {
        self.words += 1;
        self.command.insert(self.words, word.to_owned());
        self
    }

    /// Several lines of `[Service]`.
    #[must_use]
    pub fn with(mut self, lines: &[(&'static str, &str)]) -> Self {
        let lines = lines.iter().map(|(key, value)| (*key, (*value).to_owned()));
        self.service.extend(lines);
        self
    }

    /// Away from what a component of Kubernetes has nothing to do with: homes, devices, the
    /// files of others below /tmp, and rights over the kernel.
    #[must_use]
    pub fn shut_in(self) -> Self {
        self.with(&[
            ("ProtectHome", "yes"),
            ("PrivateTmp", "yes"),
            ("PrivateDevices", "yes"),
            ("CapabilityBoundingSet", ""),
            ("RestrictSUIDSGID", "yes"),
            ("LockPersonality", "yes"),
        ])
    }

    /// The unit file.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::from("[Unit]\n");
        let mut line = |key: &str, value: &str| {
            // Writing to a String does not fail.
            let _ = writeln!(text, "{key}={value}");
        };
        for (key, value) in &self.unit {
            line(key, value);
        }
        text.push_str("\n[Service]\n");
        let command: Vec<_> = self.command.iter().map(|word| quoted(word)).collect();
        let _ = writeln!(text, "ExecStart={}", command.join(" \\\n    "));
        for (key, value) in &self.service {
            let _ = writeln!(text, "{key}={value}");
        }
        text.push_str("\n[Install]\nWantedBy=multi-user.target\n");
        text
    }
}

/// One word of a command line: specifiers (`%`) and variables (`$`) are taken literally,
/// and what would end a word is in quotes (systemd.service(5), "Command lines").
pub(super) fn quoted(word: &str) -> String {
    let word = word.replace('%', "%%").replace('$', "$$");
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=.,:/@+%$*".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word;
    }
    let escaped = word.replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{escaped}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_reach_the_program_as_they_are() {
        for (word, wanted) in [
            ("--v=2", "--v=2"),
            ("--a=50%", "--a=50%%"),
            ("--a=$HOME", "--a=$$HOME"),
            ("--a=b c", "\"--a=b c\""),
            ("--a=\"b\"\\", "\"--a=\\\"b\\\"\\\\\""),
            ("--a=b;c", "\"--a=b;c\""),
            ("", "\"\""),
        ] {
            assert_eq!(quoted(word), wanted);
        }
    }

    #[test]
    fn a_unit_has_its_three_sections() {
        let flags = Flags::default().set("v", "2");
        let unit = Service::new("A store", "/usr/local/bin/etcd", &flags)
            .unit("After", "network.target")
            .set("Type", "notify");
        assert_eq!(
            unit.text(),
            "[Unit]\nDescription=A store\nAfter=network.target\n\n\
             [Service]\nExecStart=/usr/local/bin/etcd \\\n    --v=2\nType=notify\n\n\
             [Install]\nWantedBy=multi-user.target\n"
        );
    }
}
