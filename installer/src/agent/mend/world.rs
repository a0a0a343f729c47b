//! Machines whose programs write down how they were called, for tests.

use std::path::PathBuf;

use tempfile::TempDir;

use super::*;

/// A machine whose programs write down how they were called.
pub(crate) struct World {
    root: TempDir,
}

impl World {
    pub(crate) fn new(programs: &[&str], files: &[(&str, &str)]) -> Self {
        let root = tempfile::tempdir().unwrap();
        let place = |path: &str| -> PathBuf {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            path
        };
        for (path, text) in files {
            fs::write(place(path), text).unwrap();
        }
        for name in programs {
            // By a process of its own: a file that this one has open cannot be run while
            // another thread's child still holds it (ETXTBSY).
            let write = "printf '#!/bin/sh\\necho \"%s $*\" >>%s\\n%s\\n' \"$1\" \"$2\" \"$3\" >\"$0\"; \
                         chmod 755 \"$0\"";
            let calls = root.path().join("calls");
            let at = calls.display();
            let more = match *name {
                "firewall-cmd" => format!(
                    "case $* in *--list-all-zones) echo trusted; echo '  target: ACCEPT'; \
                     echo \"  sources:\" $(sed -n s/.*--add-source=//p {at});; \
                     *--list-all-policies | *--get-all-rules) ;; *) echo running;; esac"
                ),
                "ufw" => format!("test \"$1\" != show || grep allow {at}; :"),
                _ => ":".to_owned(),
            };
            let status = Command::new("sh")
                .args(["-c", write])
                .arg(place(&format!("usr/sbin/{name}")))
                .arg(name)
                .arg(calls)
                .arg(more)
                .status();
            assert!(status.unwrap().success());
        }
        Self { root }
    }

    pub(crate) fn mend(&self, what: &Mend) -> Result<(), String> {
        let journal = self.root.path().join("journal.jsonl");
        mend(self.root.path(), what, &mut Journal::at(journal))
            .map_err(|error| error.to_string())
    }

    pub(crate) fn text(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).unwrap_or_default()
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.root.path().join(path)
    }
}
