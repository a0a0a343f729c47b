//! The servers that were found last, on disk: a start finds them when the API is down and no
//! name resolves.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::MOST;

/// A file of [`MOST`] addresses takes some 4 KiB.
const LARGEST: u64 = 64 * 1024;

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct File {
    api_version: String,
    kind: String,
    servers: Vec<SocketAddr>,
}

const VERSION: &str = "sternpost/v1";
const KIND: &str = "ApiLbServers";

/// What stands there; nothing, when there is no file.
///
/// # Errors
/// When there is one that cannot be used.
pub fn read(path: &Path) -> io::Result<Vec<SocketAddr>> {
    let length = match fs::metadata(path) {
        Ok(meta) if meta.is_file() => meta.len(),
        Ok(_) => return Err(io::Error::other("it is no regular file")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    if length > LARGEST {
        return Err(io::Error::other("it is larger than 64 KiB"));
    }
    let file: File = serde_json::from_slice(&fs::read(path)?)?;
    if file.api_version != VERSION || file.kind != KIND || file.servers.len() > MOST {
        return Err(io::Error::other("it is not of this kind and version"));
    }
    Ok(file.servers)
}

/// Puts these there, readable by their owner alone, in one step: whoever reads it, and
/// whatever happens meanwhile, finds the old servers or the new ones.
///
/// # Errors
/// What the system says; the old file is untouched then.
pub fn write(path: &Path, servers: &[SocketAddr]) -> io::Result<()> {
    let file = File {
        api_version: VERSION.to_owned(),
        kind: KIND.to_owned(),
        servers: servers.to_vec(),
    };
    let draft = path.with_extension("part");
    // One that a crash has left is not written into: it may have another mode.
    match fs::remove_file(&draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut out = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&draft)?;
    serde_json::to_writer(&mut out, &file)?;
    out.write_all(b"\n")?;
    out.sync_all()?;
    fs::rename(&draft, path)
}

/// Writes what is put into the channel, the last of it, until the channel ends.
pub(super) async fn keep(path: PathBuf, mut servers: watch::Receiver<Vec<SocketAddr>>) {
    let mut fails = false;
    while servers.changed().await.is_ok() {
        let now = servers.borrow_and_update().clone();
        let target = path.clone();
        let written = tokio::task::spawn_blocking(move || write(&target, &now)).await;
        let written = written.map_err(io::Error::other).and_then(|result| result);
        match written {
            Ok(()) => fails = false,
            Err(error) if !fails => {
                fails = true;
                tracing::warn!(%error, file = %path.display(), "the servers that were found are not kept for the next start; make the directory, writable by this user, or write discovery.file");
            }
            Err(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn what_was_written_is_read_by_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("servers.json");
        assert_eq!(read(&path).unwrap(), []);
        let one = ["192.0.2.1:6443".parse().unwrap()];
        let two = [one[0], "[2001:db8::1]:6443".parse().unwrap()];
        // A draft of a run that ended in the middle.
        fs::write(path.with_extension("part"), "{").unwrap();
        for servers in [&one[..], &two] {
            write(&path, servers).unwrap();
            assert_eq!(read(&path).unwrap(), servers);
            let mode = fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_is_none_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("servers.json");
        let other = r#"{"apiVersion":"sternpost/v2","kind":"ApiLbServers","servers":[]}"#;
        let large = " ".repeat(70_000);
        for text in ["", "{", "[]", other, &large] {
            fs::write(&path, text).unwrap();
            assert!(read(&path).is_err(), "{text:.20}");
        }
        assert!(read(folder.path()).is_err());
    }
}
