//! Objects of the API, written and removed by their paths: kubectl looks nothing up for
//! that, and leaves nothing behind.

use std::io::{self, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;
use thiserror::Error;

use super::ask::{CACHE, kubectl, last_line};
use super::files::below;
use crate::layout;

/// What the API server gets for it.
const PATIENCE: &str = "--request-timeout=10s";
/// What Pods get to end, and their like to come up elsewhere.
const DRAINED: &str = "--timeout=120s";
/// What kubectl says of an object that is not there.
const NOT_THERE: &str = "(NotFound)";

/// Why an object is as it was.
#[derive(Debug, Error)]
pub enum ObjectsError {
    /// kubectl is not there.
    #[error("kubectl cannot be run")]
    Run(#[source] io::Error),
    /// The API refused.
    #[error("{path}: {said}")]
    Refused {
        /// What it was about.
        path: String,
        /// The last line that was said.
        said: String,
    },
}

/// Writes `object` to the list at `path`.
pub(super) fn create(
    root: &Path,
    path: &str,
    object: &Value,
) -> Result<(), ObjectsError> {
    let raw = format!("--raw={path}");
    let said = run(root, &["create", &raw, "--filename=-"], &object.to_string())?;
    said.map_or(Ok(()), |said| Err(refused(path, said)))
}

/// Removes the object at `path`.
pub(super) fn delete(root: &Path, path: &str) -> Result<(), ObjectsError> {
    match run(root, &["delete", &format!("--raw={path}")], "")? {
        Some(said) if !said.contains(NOT_THERE) => Err(refused(path, said)),
        Some(_) | None => Ok(()),
    }
}

/// Has the cluster move a node's Pods elsewhere, and forget the node. Pods that nobody would
/// make anew are not ended: that is an error.
pub(super) fn drain(root: &Path, node: &str) -> Result<(), ObjectsError> {
    let words = [
        CACHE,
        "drain",
        "--ignore-daemonsets",
        "--delete-emptydir-data",
        DRAINED,
        "--",
        node,
    ];
    if let Some(said) = kubectl_says(root, &words, "")? {
        return Err(refused(node, said));
    }
    delete(root, &format!("/api/v1/nodes/{node}"))
}

fn refused(path: &str, said: String) -> ObjectsError {
    let path = path.to_owned();
    ObjectsError::Refused { path, said }
}

fn run(
    root: &Path,
    arguments: &[&str],
    input: &str,
) -> Result<Option<String>, ObjectsError> {
    let all: Vec<_> = [PATIENCE].iter().chain(arguments).copied().collect();
    kubectl_says(root, &all, input)
}

/// What kubectl says when it fails.
fn kubectl_says(
    root: &Path,
    arguments: &[&str],
    input: &str,
) -> Result<Option<String>, ObjectsError> {
    let mut child = Command::new(below(root, &layout::program("kubectl")))
        .args(kubectl(None))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(ObjectsError::Run)?;
    if let Some(mut pipe) = child.stdin.take() {
        // One that ends early says why on its standard error.
        let _ = pipe.write_all(input.as_bytes());
    }
    let output = child.wait_with_output().map_err(ObjectsError::Run)?;
    Ok((!output.status.success()).then(|| last_line(&output)))
}
