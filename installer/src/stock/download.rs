//! Brings one file into the cache: from here, or from a server by the system's curl, which
//! knows the proxies, the names and the authorities that this machine trusts.

use std::fs::{self, File};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use thiserror::Error;

use super::cache::{self, Cache, CacheError};
use crate::spec::Place;

/// The largest file that is fetched, octets: some times what a release of Kubernetes has.
const MOST: u64 = 4 << 30;
/// What curl is told, whatever is fetched. A line that is dead for 30 s is given up; what is
/// only slow is not. No redirect leads to a file of this machine.
const CURL: [&str; 19] = [
    "--disable",
    "--silent",
    "--show-error",
    "--fail",
    "--location",
    "--max-redirs",
    "5",
    "--proto",
    "=http,https",
    "--netrc-optional",
    "--connect-timeout",
    "10",
    "--speed-limit",
    "1",
    "--speed-time",
    "30",
    "--retry",
    "2",
    "--globoff",
];

/// Why a file is not here. Each ends with the way out.
#[derive(Debug, Error)]
pub enum DownloadError {
    /// It cannot be read here.
    #[error("{} cannot be read; correct binaries.sources[].from, or binaries.mirror", .path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// curl cannot be run.
    #[error("curl cannot be run; install it, or put the programs into binaries.folder")]
    Curl(#[source] io::Error),
    /// There is no such file.
    #[error(
        "the server has no such file ({0}); correct binaries.sources[].from, or binaries.mirror"
    )]
    Absent(String),
    /// The server refused.
    #[error("the server answered {0}; where it wants a user, write him into ~/.netrc")]
    Refused(String),
    /// Nobody answers there.
    #[error(
        "the server does not answer ({0}); is the name right, is a proxy needed (https_proxy)?"
    )]
    Unreachable(String),
    /// It is not trusted.
    #[error("the server is not trusted ({0}); have this machine trust its authority")]
    Untrusted(String),
    /// It ended too early.
    #[error("the file ended too early ({0}); try again")]
    Truncated(String),
    /// It stands still.
    #[error("nothing came for 30 s ({0}); try again, or write another binaries.mirror")]
    Slow(String),
    /// It leads on and on, or out of HTTP.
    #[error(
        "the server leads elsewhere without an end, or to what is not HTTP ({0}); write where the file is"
    )]
    Astray(String),
    /// It is too large.
    #[error("the file is larger than {} GiB, which no program is", MOST >> 30)]
    TooLarge,
    /// Anything else.
    #[error("curl: {0}")]
    Failed(String),
    /// It is another file.
    #[error(
        "the file has the checksum {found}, not {wanted}: it is another version, or not from whom \
         you think; compare with the publisher's before you change binaries.sources[].sha256"
    )]
    Checksum {
        /// What it has.
        found: String,
        /// What it was to have.
        wanted: String,
    },
    /// It cannot be kept.
    #[error(transparent)]
    Cache(#[from] CacheError),
}

/// Brings a file into the cache, if it is the one that is wanted.
pub(super) fn download(
    place: &Place,
    sha256: &str,
    cache: &Cache,
) -> Result<(), DownloadError> {
    let kept = cache.file(sha256);
    let fresh = cache.fresh(&kept)?;
    match place {
        Place::File(path) => copy(path, fresh.path())?,
        Place::Url(url) => curl(url, fresh.path())?,
    }
    let sum = cache::sum(fresh.path());
    let found = sum.map_err(cache::refused("read", fresh.path()))?;
    if found != sha256 {
        let wanted = sha256.to_owned();
        return Err(DownloadError::Checksum { found, wanted });
    }
    Ok(fresh.keep(&kept)?)
}

fn copy(from: &Path, to: &Path) -> Result<(), DownloadError> {
    let unread = |source| DownloadError::Read {
        path: from.to_owned(),
        source,
    };
    let file = File::open(from).map_err(unread)?;
    let about = file.metadata().map_err(unread)?;
    if about.is_dir() {
        return Err(unread(io::ErrorKind::IsADirectory.into()));
    }
    if about.len() > MOST {
        return Err(DownloadError::TooLarge);
    }
    let copied = fs::copy(from, to).map(drop);
    Ok(copied.map_err(cache::refused("written", to))?)
}

fn curl(url: &str, to: &Path) -> Result<(), DownloadError> {
    let output = Command::new("curl")
        .args(CURL)
        .args(["--max-filesize", &MOST.to_string()])
        .args(["--write-out", "%{http_code}"])
        .arg("--output")
        .arg(to)
        .args(["--url", url])
        // Ctrl-C is this program's to answer.
        .process_group(0)
        .stdin(Stdio::null())
        .output()
        .map_err(DownloadError::Curl)?;
    if output.status.success() {
        return Ok(());
    }
    Err(failure(&output))
}

/// What curl's exit code means (curl(1), "EXIT CODES").
fn failure(output: &Output) -> DownloadError {
    let text = String::from_utf8_lossy(&output.stderr);
    let last = text.lines().rfind(|line| !line.trim().is_empty());
    let said = last.unwrap_or("it said nothing").to_owned();
    let status = String::from_utf8_lossy(&output.stdout).into_owned();
    match output.status.code() {
        Some(22) if matches!(status.as_str(), "404" | "410") => {
            DownloadError::Absent(status)
        }
        Some(22) => DownloadError::Refused(status),
        Some(5..=7) => DownloadError::Unreachable(said),
        Some(18 | 52 | 55 | 56) => DownloadError::Truncated(said),
        Some(28) => DownloadError::Slow(said),
        Some(1 | 47) => DownloadError::Astray(said),
        Some(35 | 51 | 53 | 54 | 58..=60 | 66 | 77 | 80 | 82 | 83 | 90 | 91) => {
            DownloadError::Untrusted(said)
        }
        Some(63) => DownloadError::TooLarge,
        Some(_) | None => DownloadError::Failed(said),
    }
}
