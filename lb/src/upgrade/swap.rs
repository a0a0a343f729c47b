//! One program after another: the trial of the new one, the exec, and the way back.

use std::env;
use std::ffi::{CString, OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use daemon::upgrade::{UpgradeError, trial};
use nix::sys::signal::{SigSet, Signal};
use nix::unistd::{execve, fexecve};

use super::blob::BlobError;
use super::custody::Custody;
use super::parcel::{bytes_of, memory};
use super::{Parcel, State};

/// Tells an image that it is to go on with what its standard input holds.
const VARIABLE: &str = "API_LB_HANDOVER";
const ADOPT: &str = "adopt";
const RETURN: &str = "return: ";

/// How long the new program may take to read the file and the state.
const TRIAL: Duration = Duration::from_secs(5);

/// A program to run in this one's place.
#[derive(Clone, Copy, Debug)]
pub enum Program<'a> {
    /// The one that lies there.
    At(&'a Path),
    /// The one that ran before, whatever lies there by now.
    Open(BorrowedFd<'a>),
}

/// What an image was handed.
#[derive(Debug)]
pub struct Handed {
    /// The state.
    pub state: State,
    /// Where it came from, with the sockets.
    pub custody: Custody,
    /// Why the program that this one was to be replaced by has given everything back.
    pub returned: Option<String>,
}

/// Why what was handed over cannot be gone on with.
#[derive(Debug, thiserror::Error)]
pub enum TakeError {
    /// Nothing came.
    #[error("{VARIABLE} is set, and standard input hands nothing over")]
    Nothing(#[source] io::Error),
    /// It does not read.
    #[error("{error}")]
    Blob {
        /// Why.
        error: BlobError,
        /// What came, to be given back.
        parcel: Box<Parcel>,
    },
}

/// What the image before has handed to this one, if it follows another. From here on its start
/// is bounded, unless it is the one that everything was given back to.
///
/// # Errors
/// When it cannot be read.
pub fn received() -> Result<Option<Handed>, TakeError> {
    let Some(word) = env::var_os(VARIABLE) else {
        return Ok(None);
    };
    let parcel = Parcel::receive(rustix::stdio::stdin()).map_err(TakeError::Nothing)?;
    if let Ok(null) = std::fs::File::open("/dev/null") {
        // Else it stays a socket that nobody writes into.
        let _ = rustix::stdio::dup2_stdin(null);
    }
    let word = word.to_string_lossy().into_owned();
    let blob = bytes_of(parcel.blob.as_fd()).map_err(TakeError::Nothing)?;
    let state = State::decode(&blob).and_then(|state| {
        if state.sockets() == parcel.sockets.len() {
            Ok(state)
        } else {
            Err(BlobError::Broken("sockets are missing"))
        }
    });
    // It has as long for its start as any that begins.
    daemon::notify::watchdog();
    match state {
        Ok(state) => {
            let returned = word.strip_prefix(RETURN).map(str::to_owned);
            let custody = match returned {
                Some(_) => Custody::of(parcel),
                None => Custody::for_now(parcel, state.arguments.clone()),
            };
            Ok(Some(Handed {
                state,
                custody,
                returned,
            }))
        }
        Err(error) => Err(TakeError::Blob {
            error,
            parcel: Box::new(parcel),
        }),
    }
}

/// Whether the program that lies there would go on with this state: it is run beside this one
/// and only reads. What it says is its version.
///
/// # Errors
/// Why not; nothing has happened.
pub async fn ask(
    program: &Path,
    config: &Path,
    blob: &[u8],
) -> Result<String, UpgradeError> {
    let input = memory(blob).map_err(|e| UpgradeError::Run(program.to_owned(), e))?;
    let arguments = ["adopt".as_ref(), "--config".as_ref(), config.as_os_str()];
    trial(program, &arguments, Stdio::from(input), TRIAL).await
}

/// Puts the new program into this one's place. Returns only when that failed.
pub fn replace(program: &Path, parcel: &Parcel) -> io::Error {
    let arguments: Vec<OsString> = env::args_os().collect();
    exec(Program::At(program), &arguments, ADOPT.as_ref(), parcel)
}

/// Puts the old program back into this one's place, with all that it handed over. Returns
/// only when that failed.
pub fn go_back(arguments: &[OsString], parcel: &Parcel, why: &str) -> io::Error {
    let word = format!("{RETURN}{}", why.replace('\0', " "));
    let program = Program::Open(parcel.program.as_fd());
    exec(program, arguments, word.as_ref(), parcel)
}

/// A stop or a reload that comes while one program follows the other waits for the new one.
const HELD: [Signal; 3] = [Signal::SIGHUP, Signal::SIGTERM, Signal::SIGINT];

/// Lets the signals come that were held back over the exec. To be called once they are
/// listened to.
pub fn release_signals() {
    // Fails with no set of signals that there are.
    let _ = HELD.into_iter().collect::<SigSet>().thread_unblock();
}

fn exec(
    program: Program<'_>,
    arguments: &[OsString],
    word: &OsStr,
    parcel: &Parcel,
) -> io::Error {
    let run = || -> io::Result<std::convert::Infallible> {
        let arguments = arguments.iter().map(|text| text.as_os_str());
        let arguments = arguments.map(text).collect::<io::Result<Vec<_>>>()?;
        let around = environment(word)?;
        let input = parcel.send()?;
        rustix::stdio::dup2_stdin(&input)?;
        // Fails with no set of signals that there are.
        let _ = HELD.into_iter().collect::<SigSet>().thread_block();
        Ok(match program {
            Program::At(path) => execve(&text(path.as_os_str())?, &arguments, &around)?,
            Program::Open(file) => fexecve(file, &arguments, &around)?,
        })
    };
    match run() {
        Ok(never) => match never {},
        Err(error) => error,
    }
}

fn environment(word: &OsStr) -> io::Result<Vec<CString>> {
    let others = env::vars_os().filter(|(name, _)| name != VARIABLE);
    let ours = (OsString::from(VARIABLE), word.to_owned());
    let all = others.chain([ours]);
    all.map(|(name, value)| {
        let line = [name.as_bytes(), b"=", value.as_bytes()].concat();
        text(&OsString::from_vec(line))
    })
    .collect()
}

fn text(text: &OsStr) -> io::Result<CString> {
    CString::new(text.as_bytes()).map_err(|_| io::ErrorKind::InvalidInput.into())
}
