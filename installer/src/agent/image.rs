//! This very program as a container image, for the Pods that `verify` lays down: nothing has
//! to be brought for it, no registry is asked, and it is of the host's architecture because
//! it runs there.

use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::park_timeout;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tar::{Builder, Header};
use thiserror::Error;

use super::files::below;
use crate::facts::sha256;
use crate::layout;
use crate::reset;

/// Where the program is in the image.
pub(super) const PROGRAM: &str = "/sternpost";
/// The program that runs, also when its file is gone (proc(5)).
const SELF: &str = "/proc/self/exe";
/// Has the dynamic loader say what a program needs, instead of running it (ld.so(8)).
const TRACE: &str = "LD_TRACE_LOADED_OBJECTS";
pub(super) const NAMESPACE: [&str; 2] = ["--namespace", reset::NAMESPACE];
/// What containerd gets to name its namespaces, seconds.
const SOON: &str = "5";
/// Until it knows of all containers that have ended, and between two tries.
const PATIENCE: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(200);

/// Why the image is not there.
#[derive(Debug, Error)]
pub enum ImageError {
    /// A file of it cannot be read.
    #[error("{path} cannot be read")]
    Read {
        /// Which.
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// It cannot be packed.
    #[error("the image cannot be packed")]
    Pack(#[source] io::Error),
    /// `ctr` is not there.
    #[error("ctr cannot be run")]
    Run(#[source] io::Error),
    /// containerd refused.
    #[error("ctr: {0}")]
    Refused(String),
}

/// A file of an image.
struct Piece {
    path: String,
    octets: Vec<u8>,
}

/// Gives containerd the image `name`.
pub(super) fn load(root: &Path, name: &str) -> Result<(), ImageError> {
    let image = pack(name, &pieces()?).map_err(ImageError::Pack)?;
    ctr(root, &["import", "-"], &image)
}

/// Takes it away again; one that is not there is none to take.
pub(super) fn unload(root: &Path, name: &str) -> Result<(), ImageError> {
    ctr(root, &["remove", "--sync", name], &[])
}

/// The namespaces of containerd; none where it does not run.
pub(super) fn namespaces(root: &Path) -> Vec<String> {
    let own = below(root, &layout::program("ctr"));
    // Ours may be gone, and that of a package be there again.
    let program = if own.exists() { own } else { "ctr".into() };
    let mut command = Command::new("timeout");
    command.args(["--kill-after=1", SOON]).arg(program);
    let output = command.args(["namespaces", "list", "--quiet"]).output();
    let said = output.ok().filter(|output| output.status.success());
    let said = said.map(|output| output.stdout).unwrap_or_default();
    let lines = String::from_utf8_lossy(&said);
    lines.split_whitespace().map(str::to_owned).collect()
}

/// Has containerd forget what Kubernetes has there: containers that have ended, then images, with
/// which their files go; others' are in namespaces of their own.
pub(super) fn forget_all(root: &Path) -> Result<(), ImageError> {
    let deadline = Instant::now() + PATIENCE;
    // It hears a moment later that a container has ended.
    while let Err(error) = forget(root, "containers", &["remove"]) {
        if Instant::now() >= deadline {
            return Err(error);
        }
        park_timeout(LOOK);
    }
    forget(root, "images", &["remove", "--sync"])?;
    let [_, name] = NAMESPACE;
    // What is left in it is none of ours to name, and keeps it.
    let _ = run(root, &["namespaces", "remove", name], &[]);
    Ok(())
}

/// Removes all of a kind.
fn forget(root: &Path, kind: &str, remove: &[&str]) -> Result<(), ImageError> {
    let listed = [&NAMESPACE[..], &[kind, "list", "--quiet"]].concat();
    let listed = run(root, &listed, &[])?;
    let names: Vec<_> = listed.split_whitespace().collect();
    if names.is_empty() {
        return Ok(());
    }
    run(
        root,
        &[&NAMESPACE[..], &[kind], remove, &names].concat(),
        &[],
    )
    .map(drop)
}

fn ctr(root: &Path, arguments: &[&str], input: &[u8]) -> Result<(), ImageError> {
    let all = [&NAMESPACE[..], &["images"], arguments].concat();
    run(root, &all, input).map(drop)
}

/// What ctr prints.
fn run(root: &Path, arguments: &[&str], input: &[u8]) -> Result<String, ImageError> {
    let mut child = Command::new(below(root, &layout::program("ctr")))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(ImageError::Run)?;
    if let Some(mut pipe) = child.stdin.take() {
        // One that ends early says why on its standard error.
        let _ = pipe.write_all(input);
    }
    let output = child.wait_with_output().map_err(ImageError::Run)?;
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        false => Err(ImageError::Refused(super::ask::last_line(&output))),
    }
}

/// The program and the libraries that it has loaded, by the names it knows them by; one that
/// is linked statically has none.
fn pieces() -> Result<Vec<Piece>, ImageError> {
    let traced = Command::new(SELF).arg("--version").env(TRACE, "1").output();
    let traced = traced.map_err(|source| ImageError::Read {
        path: SELF.to_owned(),
        source,
    })?;
    let mut all = vec![piece(PROGRAM, SELF)?];
    for path in libraries(&String::from_utf8_lossy(&traced.stdout)) {
        all.push(piece(path, path)?);
    }
    Ok(all)
}

fn piece(path: &str, from: &str) -> Result<Piece, ImageError> {
    let octets = fs::read(from).map_err(|source| ImageError::Read {
        path: from.to_owned(),
        source,
    })?;
    let path = path.to_owned();
    Ok(Piece { path, octets })
}

/// The paths that the loader says, and its own.
fn libraries(text: &str) -> impl Iterator<Item = &str> {
    text.lines()
        .filter_map(|line| line.split_whitespace().find(|word| word.starts_with('/')))
}

/// A tar of the OCI image layout.
fn pack(name: &str, pieces: &[Piece]) -> io::Result<Vec<u8>> {
    let layer = archive(pieces.iter().map(|one| (&*one.path, 0o755, &*one.octets)))?;
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    let config = octets(&json!({
        "architecture": architecture,
        "os": "linux",
        "config": {"Entrypoint": [PROGRAM], "Cmd": ["pod", "answer"]},
        "rootfs": {"type": "layers", "diff_ids": [digest(&layer)]},
    }));
    let manifest = octets(&json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": blob("application/vnd.oci.image.config.v1+json", &config),
        "layers": [blob("application/vnd.oci.image.layer.v1.tar", &layer)],
    }));
    let mut entry = blob("application/vnd.oci.image.manifest.v1+json", &manifest);
    if let Some(entry) = entry.as_object_mut() {
        let platform = json!({"architecture": architecture, "os": "linux"});
        entry.insert("platform".to_owned(), platform);
        // The name that containerd gives an image it imports.
        let annotations = json!({"io.containerd.image.name": name});
        entry.insert("annotations".to_owned(), annotations);
    }
    let index = octets(&json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [entry],
    }));
    let version = octets(&json!({"imageLayoutVersion": "1.0.0"}));
    let place = |octets: &[u8]| format!("blobs/sha256/{}", sha256(octets));
    let files = [
        ("oci-layout".to_owned(), version),
        ("index.json".to_owned(), index),
        (place(&manifest), manifest),
        (place(&config), config),
        (place(&layer), layer),
    ];
    archive(
        files
            .iter()
            .map(|(path, octets)| (&**path, 0o644, &**octets)),
    )
}

fn octets(value: &Value) -> Vec<u8> {
    value.to_string().into_bytes()
}

fn digest(octets: &[u8]) -> String {
    format!("sha256:{}", sha256(octets))
}

fn blob(kind: &str, octets: &[u8]) -> Value {
    json!({"mediaType": kind, "digest": digest(octets), "size": octets.len()})
}

fn archive<'a>(
    files: impl Iterator<Item = (&'a str, u32, &'a [u8])>,
) -> io::Result<Vec<u8>> {
    let mut builder = Builder::new(Vec::new());
    for (path, mode, octets) in files {
        let mut header = Header::new_gnu();
        header.set_mode(mode);
        header.set_size(u64::try_from(octets.len()).unwrap_or(u64::MAX));
        builder.append_data(&mut header, path.trim_start_matches('/'), octets)?;
    }
    builder.into_inner()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::io::Read;

    use super::*;

    #[test]
    fn the_loader_names_every_library() {
        let text = "\tlinux-vdso.so.1 (0x00007ffd5e9f2000)\n\
                    \tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f0b6a600000)\n\
                    \t/lib64/ld-linux-x86-64.so.2 (0x00007f0b6a9f0000)\n";
        let all: Vec<_> = libraries(text).collect();
        let wanted = [
            "/lib/x86_64-linux-gnu/libc.so.6",
            "/lib64/ld-linux-x86-64.so.2",
        ];
        assert_eq!(all, wanted);
        assert_eq!(libraries("sternpost 0.1.0\n").count(), 0);
    }

    fn unpacked(octets: &[u8]) -> BTreeMap<String, Vec<u8>> {
        let mut archive = tar::Archive::new(octets);
        let read = |entry: io::Result<tar::Entry<'_, &[u8]>>| {
            let mut entry = entry.unwrap();
            let path = entry.path().unwrap().display().to_string();
            let mut octets = Vec::new();
            entry.read_to_end(&mut octets).unwrap();
            (path, octets)
        };
        archive.entries().unwrap().map(read).collect()
    }

    /// Every digest leads to its blob, as containerd follows them.
    #[test]
    fn an_image_leads_from_its_index_to_its_files() {
        let pieces = [Piece {
            path: PROGRAM.to_owned(),
            octets: b"program".to_vec(),
        }];
        let image = pack("check.invalid/x:1", &pieces).unwrap();
        assert_eq!(image, pack("check.invalid/x:1", &pieces).unwrap());
        let files = unpacked(&image);
        let json = |octets: &[u8]| serde_json::from_slice::<Value>(octets).unwrap();
        let follow = |value: &Value| {
            let digest = value.get("digest").unwrap().as_str().unwrap();
            let blob = &files[&digest.replace("sha256:", "blobs/sha256/")];
            assert_eq!(value.get("size").unwrap(), &json!(blob.len()));
            blob.clone()
        };
        let index = json(&files["index.json"]);
        let entry = index.pointer("/manifests/0").unwrap();
        let name = entry.pointer("/annotations/io.containerd.image.name");
        assert_eq!(name.unwrap(), "check.invalid/x:1");
        let manifest = json(&follow(entry));
        let config = json(&follow(manifest.get("config").unwrap()));
        let layer = follow(manifest.pointer("/layers/0").unwrap());
        assert_eq!(
            config.pointer("/rootfs/diff_ids/0").unwrap(),
            &json!(digest(&layer))
        );
        assert_eq!(unpacked(&layer)["sternpost"], b"program");
    }

    #[test]
    fn the_image_holds_what_this_program_runs_with() {
        let all = pieces().unwrap();
        assert_eq!(all[0].path, PROGRAM);
        assert!(all.iter().all(|one| !one.octets.is_empty()));
    }
}
