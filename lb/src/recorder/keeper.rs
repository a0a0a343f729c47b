//! Keeps the recorder on disk: after each change of a server, and when asked to. Owns the
//! folder's files; fed by the recorder's wish; ends with the process.

use std::ffi::OsStr;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use daemon::metrics::Text;
use daemon::rfc3339;
use tokio::sync::watch;

use super::Shared;
use crate::roster::View;

/// Files that are kept; the oldest goes. At most 16 times what five minutes hold.
const FILES: usize = 16;

/// What a file tells of.
const MINUTES: Duration = Duration::from_secs(5 * 60);

/// Between two files of changes: servers that flap must not wear out a disk. What is left
/// out is in the next.
const REST: Duration = Duration::from_secs(10);

const PREFIX: &str = "flight-";
/// What a file ends in until it is whole. Left behind where a disk is full or a process ended.
const DRAFT: &str = "part";

/// Writes the recorder to files.
#[derive(Debug)]
pub struct Keeper {
    recorder: Shared,
    view: watch::Receiver<Arc<View>>,
    folder: Option<PathBuf>,
    written: AtomicU64,
    failed: AtomicU64,
}

impl Keeper {
    /// Keeps into this folder; nothing, when there is none.
    #[must_use]
    pub fn new(
        recorder: Shared,
        view: watch::Receiver<Arc<View>>,
        folder: Option<PathBuf>,
    ) -> Self {
        Self {
            recorder,
            view,
            folder,
            written: AtomicU64::new(0),
            failed: AtomicU64::new(0),
        }
    }

    /// What it keeps.
    #[must_use]
    pub const fn recorder(&self) -> &Shared {
        &self.recorder
    }

    /// Writes the last minutes to a file now, on a thread that may block.
    ///
    /// # Errors
    /// There is no folder, or it cannot be written to.
    pub async fn write(self: &Arc<Self>, now: SystemTime) -> io::Result<PathBuf> {
        let keeper = Arc::clone(self);
        let written = tokio::task::spawn_blocking(move || keeper.write_here(now)).await;
        let result = written.map_err(io::Error::other).and_then(|result| result);
        let count = if result.is_ok() {
            &self.written
        } else {
            &self.failed
        };
        count.fetch_add(1, Ordering::Relaxed);
        result
    }

    fn write_here(&self, now: SystemTime) -> io::Result<PathBuf> {
        let folder = self.folder.as_deref().ok_or_else(|| {
            io::Error::other("flightRecorder.directory is off; name a directory there")
        })?;
        let view = Arc::clone(&self.view.borrow());
        let from = now.checked_sub(MINUTES).unwrap_or(SystemTime::UNIX_EPOCH);
        let lines = self.recorder.entries(from, &view).into_iter();
        let text: String = lines.map(|entry| format!("{entry}\n")).collect();
        let name = rfc3339(now).replace(':', "").replace('.', "-");
        let path = folder.join(format!("{PREFIX}{name}.jsonl"));
        // A reader never sees half a file.
        let draft = path.with_extension(DRAFT);
        let whole = std::fs::File::create(&draft)
            .and_then(|mut file| file.write_all(text.as_bytes()))
            .and_then(|()| std::fs::rename(&draft, &path));
        if whole.is_err() {
            // A full disk is not filled further; what cannot be removed is thinned out.
            let _ = std::fs::remove_file(&draft);
        }
        thin_out(folder)?;
        whole.map(|()| path)
    }

    /// Adds its family to the metrics.
    pub fn metrics(&self, out: &mut Text) {
        let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
        out.counter(
            "api_lb_flight_files_total",
            "Files of the flight recorder, by what became of them.",
        )
        .sample(&[("outcome", "written")], count(&self.written))
        .sample(&[("outcome", "failed")], count(&self.failed));
    }
}

/// Removes the oldest files above the number that is kept, those that a process left half
/// written among them; their names sort by time.
fn thin_out(folder: &Path) -> io::Result<()> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)?
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| {
            let name = path.file_name().and_then(|name| name.to_str());
            let is_ours = |end: &OsStr| end == "jsonl" || end == DRAFT;
            name.is_some_and(|name| name.starts_with(PREFIX))
                && path.extension().is_some_and(is_ours)
        })
        .collect();
    files.sort();
    let above = files.len().saturating_sub(FILES);
    files.iter().take(above).try_for_each(std::fs::remove_file)
}

/// Keeps after each change, for as long as the process runs.
pub async fn keep(keeper: Arc<Keeper>) {
    let mut said = false;
    while keeper.folder.is_some() {
        keeper.recorder.wanted().await;
        match keeper.write(SystemTime::now()).await {
            Ok(path) => tracing::debug!(file = %path.display(), "flight recorder kept"),
            Err(error) if !said => {
                said = true;
                tracing::info!(%error, "the flight recorder is not kept on disk; make its directory (flightRecorder.directory), writable by this user, or turn it off");
            }
            Err(_) => {}
        }
        tokio::time::sleep(REST).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recorder::Recorder;

    #[tokio::test]
    async fn as_many_files_as_may_be_and_the_newest() {
        let folder = tempfile::tempdir().unwrap();
        let (_view, seen) = watch::channel(Arc::default());
        let recorder = Arc::new(Recorder::default());
        let kept = Some(folder.path().to_owned());
        let keeper = Arc::new(Keeper::new(recorder, seen, kept));
        std::fs::write(folder.path().join("flight-of-mine.txt"), "").unwrap();
        let left = folder.path().join("flight-1969-12-31T235959Z.part");
        std::fs::write(&left, "").unwrap();
        let at = |n: u64| SystemTime::UNIX_EPOCH + Duration::from_secs(n);
        let mut last = PathBuf::new();
        for n in 0..2 * FILES as u64 {
            last = keeper.write(at(n)).await.unwrap();
        }
        let names = std::fs::read_dir(folder.path()).unwrap().flatten();
        assert_eq!(names.count(), FILES + 1);
        assert!(last.exists());
        assert!(!left.exists());
        // It cannot take the place of a folder.
        std::fs::remove_file(&last).unwrap();
        std::fs::create_dir(&last).unwrap();
        assert!(keeper.write(at(2 * FILES as u64 - 1)).await.is_err());
        assert!(!last.with_extension(DRAFT).exists());
        let none = Arc::new(Keeper::new(Arc::default(), keeper.view.clone(), None));
        assert!(none.write(at(0)).await.is_err());
    }
}
