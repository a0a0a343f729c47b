//! Masters on booted machines, laid down as an operator does it: a description, a look at what
//! would be done, `sternpost apply`, `verify`, and a second `apply` that has nothing to do.

use std::fs;
use std::path::Path;
use std::time::Instant;

use lab::LabError;
use lab::error::Doing;
use lab::rig::{self, Rig, Run};
use libtest_mimic::Failed;

use crate::masters::{Door, Machines, Masters, Raised};

/// Nothing that Pods need: there are no nodes.
const MORE: &str = "networks: {betweenPods: none, proxy: none}\n";
/// How every command finds the cluster and its hosts.
const WHERE: [&str; 4] = ["--spec", "cluster.yaml", "--ssh-config", "ssh_config"];

/// Boots three machines and makes a cluster of them.
///
/// # Errors
/// The first step that fails, with what was said.
pub(crate) fn raise(logs: &Path) -> Result<Raised, LabError> {
    let begun = Instant::now();
    let rig = Rig::logged(logs, &rig::MASTERS).map_err(failed)?;
    rig.programs().map_err(failed)?;
    rig.describe(&rig::MASTERS, MORE).map_err(failed)?;
    println!(
        "Three bare machines are up after {:.1?}.\n",
        begun.elapsed()
    );
    let folder = rig.folder.clone();
    let read = |name: &str| fs::read_to_string(folder.join(name)).doing(name);
    println!("$ cat cluster.yaml\n{}", read("cluster.yaml")?);
    planned(&quietly(&rig, &["apply", "--dry-run"], 3)?, logs)?;
    applied(&rig)?;
    let verified = quietly(&rig, &["verify"], 0)?;
    println!("{}", verified.printed);
    let again = quietly(&rig, &["apply"], 0)?;
    println!("{}({:.1?})\n", again.printed, again.took);
    let kubeconfig = folder.join("admin.conf");
    // As in namespaces: who is in this group waits in no queue of an API server's own
    // (API Priority and Fairness), so that what is measured is the way to it.
    let admin = ["kubeconfig", "--group", "system:masters"];
    let text = quietly(&rig, &admin, 0)?.printed;
    let file = pki::File {
        path: "admin.conf".into(),
        mode: pki::Mode::Private,
        content: text.clone(),
    };
    pki::write(&folder, &[file])
        .map_err(|error| LabError::Certificates(error.to_string()))?;
    println!("> {}\n", kubeconfig.display());
    let client = rig.operator.clone();
    Ok(Raised {
        masters: Masters::Machines(Machines::of(rig)?),
        client,
        door: Door {
            vip: rig::VIP,
            tls: lab::tls::of_kubeconfig(&text)?,
            kubeconfig: Some(kubeconfig),
            watch: "/api/v1/namespaces/default/configmaps?watch=1",
        },
        folder,
    })
}

/// One screen with every host.
///
/// # Errors
/// When the command cannot be run.
pub(crate) fn status(rig: &Rig) -> Result<(), LabError> {
    let run = quietly(rig, &["status"], 0)?;
    println!("{}", run.printed);
    Ok(())
}

/// How many steps there would be; all of them, with the difference of every file, fill many
/// screens.
fn planned(run: &Run, logs: &Path) -> Result<(), LabError> {
    let count = |line: &&str| !line.starts_with(' ') && line.ends_with(" steps");
    for line in run.printed.lines().filter(count) {
        println!("{line}");
    }
    let whole = logs.join("plan.txt");
    fs::write(&whole, &run.printed).doing(whole.display())?;
    println!("(the whole of it: {})\n", whole.display());
    Ok(())
}

/// `sternpost apply` with its own progress.
fn applied(rig: &Rig) -> Result<(), LabError> {
    let words = command(&["apply"]);
    let begun = Instant::now();
    let status = rig.command(&words).status().doing("sternpost apply")?;
    if !status.success() {
        return Err(LabError::Missing(format!("sternpost apply: {status}")));
    }
    println!("({:.1?})\n", begun.elapsed());
    Ok(())
}

/// Runs a command to its end, which must be `code`.
fn quietly(rig: &Rig, words: &[&str], code: i32) -> Result<Run, LabError> {
    let run = rig.sternpost(&command(words)).map_err(failed)?;
    run.ended(code).map_err(failed)
}

/// Shows what is about to be run, and completes it.
fn command<'a>(words: &[&'a str]) -> Vec<&'a str> {
    let all = [words, WHERE.as_slice()].concat();
    println!("$ sternpost {}", all.join(" "));
    all
}

fn failed(error: Failed) -> LabError {
    LabError::Missing(error.message().unwrap_or_default().to_owned())
}
