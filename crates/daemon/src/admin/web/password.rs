//! Passwords as they are kept: a file of its own, mode 0600, a line for each user:
//! `name:pbkdf2-sha256$600000$SALT$HASH`, salt and hash in hexadecimal.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, Read as _, Write as _};
use std::num::NonZeroU32;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use ring::pbkdf2::{PBKDF2_HMAC_SHA256, derive, verify};
use ring::rand::{SecureRandom as _, SystemRandom};

/// Rounds (OWASP, 2023): some 0.2 s for us, and for each guess of a thief.
const ROUNDS: NonZeroU32 = NonZeroU32::MIN.saturating_add(600_000 - 1);

/// More rounds than this would keep a thread busy for a minute.
const MOST_ROUNDS: u32 = 10_000_000;

/// Of a file, in bytes: some 400 users.
const LARGEST: u64 = 64 * 1024;

const SALT: usize = 16;
const HASH: usize = 32;
const KIND: &str = "pbkdf2-sha256";

/// Below this a password is found by trying.
const SHORTEST: usize = 10;

/// What is tried first, and what manuals leave behind.
const KNOWN: [&str; 8] = [
    "admin:password",
    "administrator",
    "changeme123",
    "haproxy123",
    "kubernetes",
    "password12",
    "password123",
    "1234567890",
];

/// Why there are no passwords.
#[derive(Debug, thiserror::Error)]
pub enum PasswordError {
    /// The file cannot be read.
    #[error("{} cannot be read", .0.display())]
    Read(PathBuf, #[source] io::Error),
    /// The file cannot be written.
    #[error("{} cannot be written", .0.display())]
    Write(PathBuf, #[source] io::Error),
    /// Others may read it.
    #[error("{} may be read by others; run `chmod 600` on it", .0.display())]
    Open(PathBuf),
    /// A line is not what it should be.
    #[error("{}:{line}: is not NAME:{KIND}$ROUNDS$SALT$HASH; make lines with the command `password`", .file.display())]
    Line {
        /// The file.
        file: PathBuf,
        /// Where, from 1.
        line: usize,
    },
    /// Nobody could sign in.
    #[error("{} names nobody; add somebody with the command `password`", .0.display())]
    Empty(PathBuf),
    /// The system has no random numbers.
    #[error("the system gives no random numbers")]
    Random,
    /// It would be found by trying.
    #[error(
        "the password is too short or well known; take at least {SHORTEST} characters that are not the user's name"
    )]
    Weak,
    /// A name that could not stand in the file.
    #[error("the name may hold 1 to 64 of a-z A-Z 0-9 - _ .")]
    Name,
}

/// Who may sign in.
#[derive(Debug)]
pub struct Passwords(Vec<Entry>);

#[derive(Debug)]
struct Entry {
    name: String,
    rounds: NonZeroU32,
    salt: Vec<u8>,
    hash: Vec<u8>,
}

impl Passwords {
    /// Reads a file of passwords.
    ///
    /// # Errors
    /// See [`PasswordError`].
    pub fn read(path: &Path) -> Result<Self, PasswordError> {
        let failed = |error| PasswordError::Read(path.to_owned(), error);
        let mode = fs::metadata(path).map_err(failed)?.mode();
        if mode & 0o077 != 0 {
            return Err(PasswordError::Open(path.to_owned()));
        }
        let text = text_of(path).map_err(failed)?;
        let lines = (1..).zip(text.lines());
        let lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
        let entries = lines.map(|(line, text)| {
            Entry::parse(text).ok_or_else(|| PasswordError::Line {
                file: path.to_owned(),
                line,
            })
        });
        let entries = entries.collect::<Result<Vec<_>, _>>()?;
        if entries.is_empty() {
            return Err(PasswordError::Empty(path.to_owned()));
        }
        Ok(Self(entries))
    }

    /// Whether it is this user's. Takes as long for a user who is not there, and blocks
    /// for some tenths of a second.
    #[must_use]
    pub fn allow(&self, name: &str, password: &str) -> bool {
        let entry = self.0.iter().find(|entry| entry.name == name);
        let (rounds, salt, hash) = match entry {
            Some(entry) => (entry.rounds, &entry.salt[..], &entry.hash[..]),
            None => (ROUNDS, &[0; SALT][..], &[0; HASH][..]),
        };
        let is_right =
            verify(PBKDF2_HMAC_SHA256, rounds, salt, password.as_bytes(), hash).is_ok();
        is_right && entry.is_some()
    }
}

/// The line of a user with a password.
///
/// # Errors
/// It is weak, or the name cannot stand in the file.
pub fn line(name: &str, password: &str) -> Result<String, PasswordError> {
    if !is_name(name) {
        return Err(PasswordError::Name);
    }
    let plain = password.to_lowercase();
    if password.chars().count() < SHORTEST
        || KNOWN.contains(&&*plain)
        || plain == name.to_lowercase()
    {
        return Err(PasswordError::Weak);
    }
    let mut salt = [0; SALT];
    SystemRandom::new()
        .fill(&mut salt)
        .map_err(|_| PasswordError::Random)?;
    let mut hash = [0; HASH];
    derive(
        PBKDF2_HMAC_SHA256,
        ROUNDS,
        &salt,
        password.as_bytes(),
        &mut hash,
    );
    Ok(format!(
        "{name}:{KIND}${ROUNDS}${}${}",
        hex(&salt),
        hex(&hash)
    ))
}

/// Sets a user's password in a file, which is made where there is none; mode 0600, owned by
/// whom it was.
///
/// # Errors
/// The password is weak, or the file cannot be read or written.
pub fn set(path: &Path, name: &str, password: &str) -> Result<(), PasswordError> {
    let failed = |error| PasswordError::Write(path.to_owned(), error);
    let line = line(name, password)?;
    let (known, owner) = match fs::metadata(path) {
        Ok(old) => (text_of(path).map_err(failed)?, Some((old.uid(), old.gid()))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => (String::new(), None),
        Err(error) => return Err(failed(error)),
    };
    let is_other = |line: &&str| line.split(':').next() != Some(name);
    let mut text: String = known
        .lines()
        .filter(is_other)
        .map(|line| format!("{line}\n"))
        .collect();
    text += &format!("{line}\n");
    // A reader never sees half a file, nor others any of it.
    let mut draft = path.as_os_str().to_owned();
    draft.push(".new");
    let draft = PathBuf::from(draft);
    let placed = fill(&draft, &text, owner).and_then(|()| fs::rename(&draft, path));
    if placed.is_err() {
        // What holds hashes is not left behind; it may never have been there.
        let _ = fs::remove_file(&draft);
    }
    placed.map_err(failed)
}

/// Writes all of a file that nobody else can read, and that is not there before; synced, since
/// an empty one after a power cut would let nobody in.
fn fill(path: &Path, text: &str, owner: Option<(u32, u32)>) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        // Nothing there, or what an interrupted one has left.
        Ok(()) | Err(_) => {}
    }
    let mut options = fs::OpenOptions::new();
    // O_EXCL: never through a link that somebody else has put there.
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.set_permissions(fs::Permissions::from_mode(0o600))?;
    if let Some((user, group)) = owner {
        std::os::unix::fs::fchown(&file, Some(user), Some(group))?;
    }
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// A file of a size that can be one of passwords. Another kind, such as a FIFO, could keep
/// whoever opens it for ever.
fn text_of(path: &Path) -> io::Result<String> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    let mut text = String::new();
    let read = fs::File::open(path)?
        .take(LARGEST + 1)
        .read_to_string(&mut text)?;
    match u64::try_from(read) {
        Ok(read) if read <= LARGEST => Ok(text),
        Ok(_) | Err(_) => Err(io::Error::other("it is larger than 64 KiB")),
    }
}

impl Entry {
    fn parse(text: &str) -> Option<Self> {
        let (name, rest) = text.split_once(':')?;
        let mut parts = rest.split('$');
        let (kind, rounds) = (parts.next()?, parts.next()?);
        let (salt, hash) = (unhex(parts.next()?)?, unhex(parts.next()?)?);
        let rounds: NonZeroU32 = rounds.parse().ok()?;
        let is_whole = kind == KIND
            && parts.next().is_none()
            && is_name(name)
            && rounds.get() <= MOST_ROUNDS
            && salt.len() >= SALT
            && hash.len() == HASH;
        is_whole.then(|| Self {
            name: name.to_owned(),
            rounds,
            salt,
            hash,
        })
    }
}

fn is_name(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    (1..=64).contains(&name.len()) && name.chars().all(fits)
}

/// Bytes in hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u32> = text
        .chars()
        .map(|c| c.to_digit(16))
        .collect::<Option<_>>()?;
    if !digits.len().is_multiple_of(2) {
        return None;
    }
    let bytes = digits.chunks(2).map(|pair| match pair {
        [high, low] => u8::try_from(high * 16 + low).ok(),
        _ => None,
    });
    bytes.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str, mode: u32) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("passwords");
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        (folder, path)
    }

    /// RFC 7914, section 11: PBKDF2-HMAC-SHA-256 ("passwd", "salt", 1, 64), its first half,
    /// with a salt as long as we want it would not be it; so the parts are checked here.
    #[test]
    fn what_was_made_is_taken_and_nothing_else() {
        let line = line("anna", "correct horse").unwrap();
        let (_folder, path) = file(&format!("# who\n\n{line}\n"), 0o600);
        let passwords = Passwords::read(&path).unwrap();
        assert!(passwords.allow("anna", "correct horse"));
        assert!(!passwords.allow("anna", "correct horsf"));
        assert!(!passwords.allow("otto", "correct horse"));
        assert!(
            !line.contains("horse") && line.contains("$600000$"),
            "{line}"
        );
        assert_ne!(line, super::line("anna", "correct horse").unwrap());
        set(&path, "otto", "battery staple").unwrap();
        set(&path, "anna", "another horse").unwrap();
        let passwords = Passwords::read(&path).unwrap();
        assert!(passwords.allow("otto", "battery staple"));
        assert!(passwords.allow("anna", "another horse"));
        assert!(!passwords.allow("anna", "correct horse"));
    }

    #[test]
    fn nothing_is_written_through_a_link_or_left_behind() {
        let (folder, path) = file("", 0o600);
        let (other, draft) = (
            folder.path().join("other"),
            folder.path().join("passwords.new"),
        );
        fs::write(&other, "theirs").unwrap();
        std::os::unix::fs::symlink(&other, &draft).unwrap();
        set(&path, "anna", "correct horse").unwrap();
        assert_eq!(fs::read_to_string(&other).unwrap(), "theirs");
        assert!(
            Passwords::read(&path)
                .unwrap()
                .allow("anna", "correct horse")
        );
        assert!(!draft.exists());
        // A folder of the draft's name is not ours to remove.
        fs::create_dir(&draft).unwrap();
        assert!(set(&path, "otto", "battery staple").is_err());
        assert!(draft.is_dir());
    }

    #[test]
    fn weak_ones_open_files_and_odd_lines_are_refused() {
        for (name, password) in [
            ("admin", "short"),
            ("admin", "Password123"),
            ("administrator", "administrator"),
            ("a:b", "correct horse"),
            ("", "correct horse"),
        ] {
            assert!(line(name, password).is_err(), "{name} {password}");
        }
        let good = line("anna", "correct horse").unwrap();
        for mode in [0o640, 0o604, 0o644] {
            let (_folder, path) = file(&good, mode);
            assert!(matches!(
                Passwords::read(&path),
                Err(PasswordError::Open(_))
            ));
        }
        let (folder, _) = file("", 0o600);
        let fifo = folder.path().join("fifo");
        let made = std::process::Command::new("mkfifo")
            .args(["-m", "600"])
            .arg(&fifo)
            .status();
        assert!(made.unwrap().success());
        assert!(matches!(
            Passwords::read(&fifo),
            Err(PasswordError::Read(..))
        ));
        for text in [
            &"#".repeat(64 * 1024 + 1),
            "",
            "# nobody",
            "anna:secret",
            "anna:pbkdf2-sha256$1$00$00",
            &good.replace("600000", "0"),
            &good.replace("600000", "4000000000"),
            &format!("{good}$x"),
            &good.replace("sha256", "md5"),
        ] {
            let (_folder, path) = file(text, 0o600);
            assert!(Passwords::read(&path).is_err(), "{text}");
        }
    }
}
