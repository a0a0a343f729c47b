//! What nobody is to see, by what is in the files of a cluster that are not for everybody; and
//! where it could turn up all the same: in what runs say, in process lists, in journals.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use lab::host::Host;
use lab::rig::{Rig, Run};
use libtest_mimic::Failed;

/// Lines of every key, without those that only say that it is one; the key of Secrets; the token
/// of the day; the key of the vip-daemons' channel; keys inside of kubeconfigs.
const LOOK: &str = "cd /etc/kubernetes && \
    cat $(find pki -name '*.key') | grep -v -e '-----'; \
    sed -n 's/.*secret: *//p' encryption.yaml; \
    sed -n 's/.*token-secret: *//p' addons/05-join.yaml; \
    cat /etc/sternpost/vip-channel-key; \
    sed -n 's/.*client-key-data: *//p' *.conf";
/// The shortest is a token's second half. The last line of a key may be shorter, and may be in
/// other words by chance.
const SHORTEST: usize = 16;
/// Keys of authorities, of certificates and the words besides: a master has more.
const LEAST: usize = 8;

/// The secrets of a cluster.
pub(crate) struct Secrets(BTreeSet<String>);

impl Secrets {
    /// Those that the first master has, which is all but the nodes' own.
    pub(crate) fn of(rig: &Rig) -> Result<Self, Failed> {
        let lines = rig.on("m1", LOOK)?;
        let words = lines.lines().map(|line| line.trim().trim_matches('"'));
        let words = words.filter(|word| word.len() >= SHORTEST);
        let words: BTreeSet<_> = words.map(str::to_owned).collect();
        match words.len() {
            ..LEAST => Err(format!("only {} secrets were found", words.len()).into()),
            LEAST.. => Ok(Self(words)),
        }
    }

    /// One more that was planted.
    pub(crate) fn and(mut self, planted: &str) -> Self {
        self.0.insert(planted.to_owned());
        self
    }

    /// None of them is in a text, nor anything of another key.
    pub(crate) fn are_not_in(&self, place: &str, text: &str) -> Result<(), Failed> {
        let known = self.0.iter().any(|one| text.contains(one.as_str()));
        match known || text.contains("PRIVATE KEY-----") {
            false => Ok(()),
            // Where it is leads to it; a test's output is read by many.
            true => Err(format!("{place} has a secret").into()),
        }
    }

    /// None is in what these have said, in what either side has noted of them, or in what
    /// systemd keeps of anything that runs there.
    pub(crate) fn are_nowhere(&self, rig: &Rig, runs: &[&Run]) -> Result<(), Failed> {
        for (number, run) in runs.iter().enumerate() {
            self.are_not_in(&format!("standard output of run {number}"), &run.printed)?;
            self.are_not_in(&format!("standard error of run {number}"), &run.said)?;
        }
        for machine in &rig.machines {
            let name = machine.name();
            let notes = rig.on(name, "cat /var/lib/sternpost/journal.jsonl")?;
            self.are_not_in(&format!("the agent's journal of {name}"), &notes)?;
            let kept = rig.on(name, "journalctl --quiet --output=cat --no-pager")?;
            if !kept.contains("Started") {
                return Err(format!("{name} keeps no journal: {kept}").into());
            }
            self.are_not_in(&format!("systemd's journal of {name}"), &kept)?;
        }
        let noted = self.below(&rig.folder.join("state"))?;
        match noted {
            0 => Err("the operator's side has noted nothing".into()),
            _ => Ok(()),
        }
    }

    /// How many files of a folder were looked through.
    fn below(&self, folder: &Path) -> Result<usize, Failed> {
        let mut files = 0;
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                files += self.below(&path)?;
                continue;
            }
            let text = String::from_utf8_lossy(&fs::read(&path)?).into_owned();
            self.are_not_in(&path.display().to_string(), &text)?;
            files += 1;
        }
        Ok(files)
    }
}

/// Every command line that was seen while a run went on, on all machines and on the operator's.
#[derive(Debug, Default)]
pub(crate) struct CommandLines(BTreeSet<String>);

impl CommandLines {
    /// Looks at what runs now. A machine's processes are the lab's too.
    pub(crate) fn look(&mut self) {
        let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
        // One may have ended since it was listed.
        let lines = processes.filter_map(|one| fs::read(one.path().join("cmdline")).ok());
        let lines = lines.filter(|line| !line.is_empty());
        self.0
            .extend(lines.map(|line| String::from_utf8_lossy(&line).replace('\0', " ")));
    }

    /// None of these is in one of them, and a program that gets secrets was among them.
    pub(crate) fn are_without(&self, secrets: &Secrets) -> Result<(), Failed> {
        if !self.0.iter().any(|line| line.contains("kube-apiserver ")) {
            return Err("no kube-apiserver was seen".into());
        }
        let mut lines = self.0.iter();
        lines.try_for_each(|line| secrets.are_not_in("a command line", line))
    }
}
