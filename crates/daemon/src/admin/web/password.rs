//! Passwords as they are kept: a file of its own, mode 0600, a line for each user:
//! `name:pbkdf2-sha256$600000$SALT$HASH`, salt and hash in hexadecimal.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::num::NonZeroU32;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use ring::pbkdf2::{PBKDF2_HMAC_SHA256, derive, verify};
use ring::rand::{SecureRandom as _, SystemRandom};

/// Rounds (OWASP, 2023): some 0.2 s for us, and for each guess of a thief.
const ROUNDS: NonZeroU32 = NonZeroU32::MIN.saturating_add(600_000 - 1);

/// More rounds than this would keep a thread busy for a minute.
const MOST_ROUNDS: u32 = 10_000_000;

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
        let mode = std::fs::metadata(path).map_err(failed)?.mode();
        if mode & 0o077 != 0 {
            return Err(PasswordError::Open(path.to_owned()));
        }
        let text = std::fs::read_to_string(path).map_err(failed)?;
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
    let (known, owner) = match std::fs::metadata(path) {
        Ok(old) => (
            std::fs::read_to_string(path).map_err(failed)?,
            Some((old.uid(), old.gid())),
        ),
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
    let draft = path.with_extension("new");
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&draft)
        .map_err(failed)?;
    file.set_permissions(std::fs::Permissions::from_mode(0o600))
        .map_err(failed)?;
    file.write_all(text.as_bytes()).map_err(failed)?;
    if let Some((user, group)) = owner {
        std::os::unix::fs::fchown(&file, Some(user), Some(group)).map_err(failed)?;
    }
    std::fs::rename(&draft, path).map_err(failed)
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
        for text in [
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
