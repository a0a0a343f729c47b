//! Every secret of a cluster, by what is in the files that are not for everybody: none of them is
//! said by any command, or noted on either side.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use sternpost::apply::PLACE;

use super::Tried;
use super::hosts::{HOSTS, Hosts};

/// Shorter words are no secret by themselves: `kind: Secret`, names, times.
const SHORTEST: usize = 16;
/// Files that are for root alone and hold no secret: the journal, and the lock.
const OPEN: [&str; 2] = ["journal.jsonl", "lock"];

/// Every word of these files that could be a secret.
fn words(folder: &Path, all: &mut BTreeSet<String>) -> Tried {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let about = fs::symlink_metadata(&path)?;
        if about.is_dir() {
            words(&path, all)?;
            continue;
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let private = about.permissions().mode() & 0o004 == 0;
        if !about.is_file() || !private || OPEN.contains(&&*name) {
            continue;
        }
        let text = fs::read_to_string(&path)?;
        let split =
            text.split(|c: char| !c.is_ascii_alphanumeric() && !"+/=".contains(c));
        all.extend(
            split
                .filter(|word| word.len() >= SHORTEST)
                .map(str::to_owned),
        );
    }
    Ok(())
}

/// Words that everybody may know, for they stand in files that everybody may read.
fn known(folder: &Path, all: &mut String) -> Tried {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let about = fs::symlink_metadata(&path)?;
        if about.is_dir() {
            known(&path, all)?;
        } else if about.is_file() && about.permissions().mode() & 0o004 != 0 {
            all.push_str(&fs::read_to_string(&path)?);
        }
    }
    Ok(())
}

fn secrets(hosts: &Hosts) -> Tried<BTreeSet<String>> {
    let (mut all, mut open) = (BTreeSet::new(), String::new());
    for (_, address) in HOSTS {
        for folder in ["etc", "var"] {
            words(&hosts.root(address).join(folder), &mut all)?;
            known(&hosts.root(address).join(folder), &mut open)?;
        }
    }
    // A certificate lies in the keepers' file as well, where its text is escaped.
    let open = open.replace('\n', " ");
    all.retain(|word| !open.contains(word.as_str()));
    Ok(all)
}

fn none_in(what: &str, text: &str, secrets: &BTreeSet<String>) -> Tried {
    match secrets.iter().find(|secret| text.contains(secret.as_str())) {
        None => Ok(()),
        Some(secret) => {
            let start: String = secret.chars().take(4).collect();
            Err(format!("{what} says the secret that begins with {start}").into())
        }
    }
}

pub(super) fn nowhere() -> Tried {
    let hosts = Hosts::new()?;
    let mut said = vec![("apply", hosts.run(&["apply"])?.said())];
    let secrets = secrets(&hosts)?;
    // The keys of three authorities and of every certificate, the token, the channel's key, the
    // one that Secrets are sealed with.
    if secrets.len() < 60 {
        return Err(format!("only {} secrets", secrets.len()).into());
    }
    let place = hosts.root(HOSTS[0].1).join(PLACE.trim_start_matches('/'));
    let kept = fs::read_to_string(place)?;
    if !secrets.iter().any(|secret| kept.contains(secret.as_str())) {
        return Err("what the masters keep is not among them".into());
    }
    // Of everything something is to be done again, and one host fails.
    for (_, address) in HOSTS {
        let etc = hosts.root(address).join("etc");
        for folder in ["kubernetes", "sternpost"] {
            let folder = etc.join(folder);
            for name in [
                "pki/sa.key",
                "encryption.yaml",
                "vip-channel-key",
                "admin.conf",
            ] {
                let path = folder.join(name);
                if path.exists() {
                    fs::write(path, "another")?;
                }
            }
        }
    }
    hosts.describe("flags: {kube-apiserver: {no-such-flag: \"1\"}}")?;
    for words in [
        &["plan"][..],
        &["plan", "-o", "json"],
        &["apply", "-o", "json"],
        &["apply"],
        &["status", "-o", "json"],
        &["verify", "--no-pods", "--patience", "0", "-o", "json"],
        &["certs", "-o", "json"],
        &["diagnose", "--to", "all.tar.gz"],
        &["render"],
        &["reset", "--dry-run", "--data"],
        &["reset", "--data", "--confirm", "prod", "--host", "m3"],
    ] {
        said.push((words.first().unwrap_or(&""), hosts.run(words)?.said()));
    }
    for (what, text) in &said {
        if text.trim().is_empty() {
            return Err(format!("{what} says nothing").into());
        }
        none_in(what, text, &secrets)?;
    }
    none_in("the operator's journal", &hosts.record()?, &secrets)?;
    none_in(
        "what the hosts were asked",
        &hosts.log()?.join("\n"),
        &secrets,
    )?;
    for (_, address) in HOSTS {
        let path = hosts.root(address).join("var/lib/sternpost/journal.jsonl");
        let journal = fs::read_to_string(path).unwrap_or_default();
        none_in(&format!("the journal of {address}"), &journal, &secrets)?;
    }
    let all = hosts.shell("tar -xzOf all.tar.gz")?;
    none_in("what diagnose collects", &all.ended(0)?, &secrets)
}
