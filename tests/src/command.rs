//! Running the small tools of the system (`ip`, `tc`, `bridge`) to their end.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use crate::error::{Doing, LabError};

/// Runs one command line to its end and returns what it printed.
///
/// # Errors
/// When it cannot be started or ends with a failure.
pub fn run(program: &str, args: &[&str]) -> Result<String, LabError> {
    let line = || format!("{program} {}", args.join(" "));
    let output = Command::new(program).args(args).output().doing(line())?;
    printed(&line(), &output)
}

/// Feeds `ip -batch` with one command per line, which costs one process for all.
///
/// # Errors
/// When a line is refused; the message names it.
pub fn ip_batch(lines: &str) -> Result<(), LabError> {
    let mut child = Command::new("ip")
        .args(["-batch", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .doing("ip -batch")?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(lines.as_bytes()).doing("feed ip -batch")?;
    }
    let output = child.wait_with_output().doing("ip -batch")?;
    printed(&format!("ip -batch <<< {lines:?}"), &output).map(drop)
}

fn printed(command: &str, output: &Output) -> Result<String, LabError> {
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(LabError::Command {
        command: command.to_owned(),
        said: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
    })
}
