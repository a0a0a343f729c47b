//! keepalived's FIFO: a line for each transition, at once or not at all.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

/// Writes lines, and says once why it cannot, until it can.
#[derive(Debug, Default)]
pub(super) struct Fifo {
    /// Where, and why not: as said last.
    said: Option<(PathBuf, String)>,
}

impl Fifo {
    /// Whether the line has a reader.
    pub(super) fn write(&mut self, fifo: &Path, line: &str) -> bool {
        let error = match write(fifo, line) {
            Ok(()) => {
                self.said = None;
                return true;
            }
            Err(error) => error,
        };
        let shown = fifo.display();
        if absent(&error) {
            tracing::debug!(fifo = %shown, "nobody reads it: {error}");
            return false;
        }
        let why = Some((fifo.to_owned(), error.to_string()));
        if self.said != why {
            tracing::warn!(
                fifo = %shown,
                "lines are lost, it cannot be written: {error}; the unit can make one below \
                 /run/sternpost alone, and write to one elsewhere that user vip-daemon may \
                 write to"
            );
            self.said = why;
        }
        false
    }
}

/// Is it only that nobody reads, or not fast enough?
fn absent(error: &io::Error) -> bool {
    let errno = error.raw_os_error().map(Errno::from_raw);
    matches!(errno, Some(Errno::ENXIO | Errno::EAGAIN))
}

/// The FIFO is made where there is none. Nothing else is written to: what lies in its place
/// is somebody's file.
fn write(fifo: &Path, line: &str) -> io::Result<()> {
    match mkfifo(fifo, Mode::S_IRUSR | Mode::S_IWUSR | Mode::S_IRGRP) {
        Ok(()) | Err(Errno::EEXIST) => {}
        Err(error) => return Err(error.into()),
    }
    let mut open = OpenOptions::new();
    open.write(true).custom_flags(libc::O_NONBLOCK);
    let mut open = open.open(fifo)?;
    if !open.metadata()?.file_type().is_fifo() {
        return Err(io::Error::other("it is no FIFO"));
    }
    open.write_all(line.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn n5_what_keeps_lines_from_every_reader_is_said_once_and_a_reader_that_is_away_is_not()
     {
        let folder = tempfile::tempdir().unwrap();
        let (here, nowhere) = (folder.path().join("fifo"), folder.path().join("no/fifo"));
        let mut fifo = Fifo::default();
        assert!(!fifo.write(&here, "a\n"));
        assert_eq!(fifo.said, None, "nobody reads it yet");
        for _ in 0..2 {
            assert!(!fifo.write(&nowhere, "a\n"));
            let (path, why) = fifo.said.clone().unwrap();
            assert_eq!(path, nowhere);
            assert!(why.contains("No such file"), "{why}");
        }
        let mut open = OpenOptions::new();
        open.read(true).custom_flags(libc::O_NONBLOCK);
        let _reader = open.open(&here).unwrap();
        assert!(fifo.write(&here, "a\n"));
        assert_eq!(fifo.said, None, "it is said again when it fails again");
    }
}
