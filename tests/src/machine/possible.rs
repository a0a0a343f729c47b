//! Whether machines boot here at all: in a container, or where control groups cannot be
//! written, all of the files are there and systemd still does not come up.

use std::fs;
use std::net::Ipv4Addr;
use std::os::unix::fs::MetadataExt as _;
use std::sync::OnceLock;

use super::Machine;
use crate::error::{Doing, LabError};
use crate::segment::Segment;
use crate::{binaries, netns, requirement};

const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 9);

/// Boots one, unless one of the same files has booted since this system came up.
///
/// # Errors
/// Why it does not come up, in one line.
pub(crate) fn possible() -> Result<(), String> {
    static TRIED: OnceLock<Result<(), String>> = OnceLock::new();
    let tried = TRIED.get_or_init(|| tried().map_err(|error| in_one_line(&error)));
    tried.clone()
}

fn tried() -> Result<(), LabError> {
    let stamp = stamp()?;
    // Below /run, which is empty when this system has booted again.
    let known = netns::files("machine-boots")?.join("stamp");
    if fs::read_to_string(&known).is_ok_and(|known| known == stamp) {
        return Ok(());
    }
    let segment = Segment::new(&binaries::logs("machine-boots"), &[])?;
    let machine = Machine::boot(&segment, "trial", ADDRESS)?;
    drop(machine);
    fs::write(&known, stamp).doing(known.display())
}

/// Which systemd it is.
fn stamp() -> Result<String, LabError> {
    let path = requirement::machine().join("usr/lib/systemd/systemd");
    let file = fs::metadata(&path).doing(path.display())?;
    Ok(format!(
        "{} {} {}",
        path.display(),
        file.ino(),
        file.ctime()
    ))
}

fn in_one_line(error: &LabError) -> String {
    let said = error.to_string();
    let lines: Vec<&str> = said.lines().map(str::trim).collect();
    format!("no machine boots here: {}", lines.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_is_one_line() {
        let error = LabError::Ended {
            process: "machine/trial".into(),
            status: "exit status: 1".into(),
            log: "trial.log\n    Failed to create /init.scope\n    Exiting".into(),
        };
        let said = in_one_line(&error);
        assert!(said.starts_with("no machine boots here: "), "{said}");
        assert!(
            said.ends_with("; Failed to create /init.scope; Exiting"),
            "{said}"
        );
    }
}
