//! Where lines go: a stream, the journal's own socket, or a syslog daemon.
//!
//! A stream takes them as they are. A datagram takes one line each, in the protocol of whoever
//! reads: the lines then carry the mark of their level (`<6>`) and no time of their own.

use std::fmt;
use std::io::{self, Write};
use std::net::{SocketAddr, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use serde::{Deserialize, Deserializer, de};

/// The journal's socket for its native protocol.
const JOURNAL: &str = "/run/systemd/journal/socket";
/// Where the host's syslog daemon reads.
const SYSLOG: &str = "/dev/log";
/// Facility `daemon` of RFC 5424, section 6.2.1, times eight.
const FACILITY: u8 = 3 * 8;
/// The level of a line that carries no mark.
const INFO: u8 = 6;
/// How long a socket that could not be reached is left alone: lines are dropped meanwhile.
const PAUSE: Duration = Duration::from_secs(1);

/// Where lines go.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Target {
    /// Standard error: a terminal, or what the unit makes of it.
    #[default]
    Stderr,
    /// Standard output.
    Stdout,
    /// The journal, by its native protocol.
    Journald,
    /// The host's syslog daemon, by RFC 5424 over `/dev/log`.
    Syslog,
    /// A syslog daemon of this host, by RFC 5424 over UDP.
    Udp(SocketAddr),
}

/// Why a text is no target; printed after the text in quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// None of the words.
    #[error(
        "is not known; allowed: stderr, stdout, journald, syslog, or \"udp://127.0.0.1:514\""
    )]
    Unknown,
    /// A syslog daemon on another host.
    #[error(
        "is not on this host: datagrams get lost on the way, and everybody there can read them; write a loopback address, where a syslog daemon forwards"
    )]
    Elsewhere,
}

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        match text {
            "stderr" => Ok(Self::Stderr),
            "stdout" => Ok(Self::Stdout),
            "journald" => Ok(Self::Journald),
            "syslog" => Ok(Self::Syslog),
            _ => {
                let address = text.strip_prefix("udp://").ok_or(TargetError::Unknown)?;
                let address: SocketAddr =
                    address.parse().map_err(|_| TargetError::Unknown)?;
                if address.ip().is_loopback() {
                    Ok(Self::Udp(address))
                } else {
                    Err(TargetError::Elsewhere)
                }
            }
        }
    }
}

impl<'de> Deserialize<'de> for Target {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

impl Target {
    /// Whether lines carry the mark of their level and no time.
    pub(super) fn is_marked(&self) -> bool {
        match self {
            Self::Stderr | Self::Stdout => false,
            Self::Journald | Self::Syslog | Self::Udp(_) => true,
        }
    }

    /// What takes the lines; counts in `dropped` those that nobody took.
    pub(super) fn open(&self, dropped: &Arc<AtomicU64>) -> Box<dyn Write + Send> {
        let datagrams = |road, protocol| {
            Box::new(Datagrams {
                road,
                protocol,
                socket: None,
                left_alone: None,
                dropped: Arc::clone(dropped),
            })
        };
        match self {
            Self::Stderr => Box::new(io::stderr()),
            Self::Stdout => Box::new(io::stdout()),
            Self::Journald => datagrams(Road::Unix(JOURNAL.into()), Protocol::Journal),
            Self::Syslog => datagrams(Road::Unix(SYSLOG.into()), Protocol::syslog()),
            Self::Udp(address) => datagrams(Road::Udp(*address), Protocol::syslog()),
        }
    }
}

/// The way to the reader.
#[derive(Debug)]
enum Road {
    Unix(PathBuf),
    Udp(SocketAddr),
}

#[derive(Debug)]
enum Socket {
    Unix(UnixDatagram),
    Udp(UdpSocket),
}

/// How a line is wrapped.
#[derive(Debug)]
enum Protocol {
    /// `systemd.journal-fields(7)`: one field per line.
    Journal,
    /// RFC 5424.
    Syslog { host: String },
}

/// One datagram per line. A reader that cannot be reached costs lines, which are counted, and
/// no time: it is tried again after [`PAUSE`].
#[derive(Debug)]
struct Datagrams {
    road: Road,
    protocol: Protocol,
    socket: Option<Socket>,
    left_alone: Option<Instant>,
    dropped: Arc<AtomicU64>,
}

impl Write for Datagrams {
    /// Takes whole lines, which is how the queue gives them.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let lines = bytes.split(|byte| *byte == b'\n');
        for line in lines.filter(|line| !line.is_empty()) {
            if self.send(line).is_err() {
                self.socket = None;
                self.left_alone = Some(Instant::now());
                self.dropped.fetch_add(1, Ordering::Relaxed);
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Datagrams {
    fn send(&mut self, line: &[u8]) -> io::Result<()> {
        let datagram = self.protocol.wrap(line, SystemTime::now());
        if self.left_alone.is_some_and(|since| since.elapsed() < PAUSE) {
            return Err(io::ErrorKind::NotConnected.into());
        }
        if self.socket.is_none() {
            self.socket = Some(self.road.connect()?);
        }
        let sent = match &self.socket {
            Some(Socket::Unix(socket)) => socket.send(&datagram),
            Some(Socket::Udp(socket)) => socket.send(&datagram),
            None => Err(io::ErrorKind::NotConnected.into()),
        };
        self.left_alone = None;
        sent.map(drop)
    }
}

impl Road {
    fn connect(&self) -> io::Result<Socket> {
        match self {
            Self::Unix(path) => {
                let socket = UnixDatagram::unbound()?;
                socket.connect(path)?;
                Ok(Socket::Unix(socket))
            }
            Self::Udp(address) => {
                let own = match address {
                    SocketAddr::V4(_) => "0.0.0.0:0",
                    SocketAddr::V6(_) => "[::]:0",
                };
                let socket = UdpSocket::bind(own)?;
                socket.connect(address)?;
                Ok(Socket::Udp(socket))
            }
        }
    }
}

impl Protocol {
    fn syslog() -> Self {
        let host = rustix::system::uname();
        let host = host.nodename().to_string_lossy();
        // HOSTNAME is one word of printable ASCII (section 6.2.4).
        let is_word =
            !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_graphic());
        Self::Syslog {
            host: if is_word {
                host.into_owned()
            } else {
                "-".to_owned()
            },
        }
    }

    fn wrap(&self, line: &[u8], now: SystemTime) -> Vec<u8> {
        let (level, text) = unmarked(line);
        let name = Program;
        let mut datagram = match self {
            Self::Journal => {
                format!("PRIORITY={level}\nSYSLOG_IDENTIFIER={name}\nMESSAGE=")
                    .into_bytes()
            }
            Self::Syslog { host } => {
                let (priority, time) = (FACILITY + level, crate::rfc3339(now));
                let process = std::process::id();
                format!("<{priority}>1 {time} {host} {name} {process} - - ").into_bytes()
            }
        };
        datagram.extend_from_slice(text);
        match self {
            Self::Journal => datagram.push(b'\n'),
            Self::Syslog { .. } => {}
        }
        datagram
    }
}

/// The mark of a line's level, and the rest.
fn unmarked(line: &[u8]) -> (u8, &[u8]) {
    match line {
        [b'<', level @ b'0'..=b'7', b'>', rest @ ..] => (level - b'0', rest),
        _ => (INFO, line),
    }
}

/// The name of the program that runs.
struct Program;

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = std::env::args_os().next().unwrap_or_default();
        let name = Path::new(&name).file_name().unwrap_or_default();
        let name = name.to_string_lossy();
        let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        // APP-NAME has at most 48 characters (section 6.2.5).
        if name.is_empty() || name.len() > 48 || !name.bytes().all(is_word) {
            return f.write_str("sternpost");
        }
        f.write_str(&name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn datagrams(road: Road, protocol: Protocol) -> (Datagrams, Arc<AtomicU64>) {
        let dropped = Arc::new(AtomicU64::new(0));
        let sink = Datagrams {
            road,
            protocol,
            socket: None,
            left_alone: None,
            dropped: Arc::clone(&dropped),
        };
        (sink, dropped)
    }

    fn received(socket: &UnixDatagram) -> String {
        let mut bytes = [0; 4096];
        let len = socket.recv(&mut bytes).unwrap();
        String::from_utf8(bytes[..len].to_vec()).unwrap()
    }

    #[test]
    fn targets() {
        let udp = |text: &str| Ok(Target::Udp(text.parse().unwrap()));
        for (text, expected) in [
            ("stderr", Ok(Target::Stderr)),
            ("stdout", Ok(Target::Stdout)),
            ("journald", Ok(Target::Journald)),
            ("syslog", Ok(Target::Syslog)),
            ("udp://127.0.0.1:514", udp("127.0.0.1:514")),
            ("udp://[::1]:514", udp("[::1]:514")),
            ("udp://10.0.0.1:514", Err(TargetError::Elsewhere)),
            ("udp://localhost:514", Err(TargetError::Unknown)),
            ("udp://127.0.0.1", Err(TargetError::Unknown)),
            ("Stderr", Err(TargetError::Unknown)),
            ("", Err(TargetError::Unknown)),
        ] {
            assert_eq!(text.parse::<Target>(), expected, "{text}");
        }
    }

    #[test]
    fn the_journal_gets_fields() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let reader = UnixDatagram::bind(&path).unwrap();
        let (mut sink, dropped) = datagrams(Road::Unix(path), Protocol::Journal);
        sink.write_all(b"<4>server from=up\n<6>connection\nplain\n")
            .unwrap();
        for (level, text) in [(4, "server from=up"), (6, "connection"), (6, "plain")] {
            let got = received(&reader);
            let fields: Vec<&str> = got.lines().collect();
            assert_eq!(fields[0], format!("PRIORITY={level}"));
            assert!(fields[1].starts_with("SYSLOG_IDENTIFIER="), "{got}");
            assert_eq!(fields[2], format!("MESSAGE={text}"));
            assert_eq!((fields.len(), got.ends_with('\n')), (3, true));
        }
        assert_eq!(dropped.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn syslog_gets_rfc_5424() {
        let protocol = Protocol::Syslog {
            host: "m1".to_owned(),
        };
        let at = SystemTime::UNIX_EPOCH + Duration::from_millis(1_500);
        for (line, expected) in [
            ("<3>broken a=1", "<27>1"),
            ("<4>server", "<28>1"),
            ("<6>connection", "<30>1"),
            ("<7>debug", "<31>1"),
            ("<9>odd", "<30>1"),
        ] {
            let got = String::from_utf8(protocol.wrap(line.as_bytes(), at)).unwrap();
            let words: Vec<&str> = got.splitn(8, ' ').collect();
            assert_eq!(words[0], expected, "{got}");
            assert!(words[1].starts_with("1970-01-01T00:00:01"), "{got}");
            assert_eq!(words[2], "m1");
            assert_eq!(words[4], std::process::id().to_string());
            assert_eq!(&words[5..7], ["-", "-"]);
            let text = line.strip_prefix(&line[..3]).unwrap();
            let text = if line.starts_with("<9>") { line } else { text };
            assert_eq!(words[7], text);
        }
    }

    #[test]
    fn a_reader_that_is_not_there_costs_lines_which_are_counted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let (mut sink, dropped) = datagrams(Road::Unix(path.clone()), Protocol::Journal);
        sink.write_all(b"one\ntwo\n").unwrap();
        assert_eq!(dropped.load(Ordering::Relaxed), 2);
        // It has come; the pause is over.
        let reader = UnixDatagram::bind(&path).unwrap();
        sink.left_alone = None;
        sink.write_all(b"three\n").unwrap();
        assert!(received(&reader).contains("MESSAGE=three"));
        assert_eq!(dropped.load(Ordering::Relaxed), 2);
    }
}
