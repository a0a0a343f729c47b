//! A server that answers checks in plain HTTP and ClientHellos with a few bytes, and can be told
//! to misbehave. Runs as a process of its own, so that it can be killed and paused.

use std::fs;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::Mutex;

/// Bytes of an answer; the first is the server's number.
pub const ANSWER: usize = 64;
/// Bytes of a later question on a connection that lasts.
pub const QUESTION: usize = 16;
/// What a handshake costs while they are slow, one after the other.
const HANDSHAKE: Duration = Duration::from_millis(2);
/// Longer than any check waits.
const NEVER: Duration = Duration::from_secs(3600);

/// How a server behaves; what its file says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// As it should.
    Well,
    /// Serves, and says that it is not ready.
    Draining,
    /// Serves, and has no time for checks.
    Busy,
    /// One handshake after the other, each of which takes its time.
    Slow,
}

impl Mode {
    const ALL: [Self; 4] = [Self::Well, Self::Draining, Self::Busy, Self::Slow];

    const fn word(self) -> &'static str {
        match self {
            Self::Well => "well",
            Self::Draining => "draining",
            Self::Busy => "busy",
            Self::Slow => "slow",
        }
    }

    /// Tells the server whose file this is.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn tell(self, file: &Path) -> io::Result<()> {
        fs::write(file, self.word())
    }

    fn of(file: &Path) -> Self {
        let said = fs::read_to_string(file).unwrap_or_default();
        let mode = Self::ALL.into_iter().find(|mode| mode.word() == said);
        mode.unwrap_or(Self::Well)
    }
}

/// How many came to servers who were neither a check nor said a whole ClientHello.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Strangers {
    /// They said something else.
    pub spoke: u32,
    /// They said nothing.
    pub silent: u32,
}

impl Strangers {
    /// As this server has noted them beside its file; a byte each.
    #[must_use]
    pub fn of(file: &Path) -> Self {
        let noted = fs::read(book(file)).unwrap_or_default();
        let count = |word| {
            let count = noted.iter().filter(|byte| **byte == word).count();
            u32::try_from(count).unwrap_or(u32::MAX)
        };
        Self {
            spoke: count(SPOKE),
            silent: count(SILENT),
        }
    }

    /// Those of several servers.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self {
            spoke: self.spoke.saturating_add(other.spoke),
            silent: self.silent.saturating_add(other.silent),
        }
    }

    /// Those who came since.
    #[must_use]
    pub const fn since(self, before: Self) -> Self {
        Self {
            spoke: self.spoke.saturating_sub(before.spoke),
            silent: self.silent.saturating_sub(before.silent),
        }
    }
}

const SPOKE: u8 = b'!';
const SILENT: u8 = b'.';

/// Where a server notes who came to it.
fn book(file: &Path) -> PathBuf {
    file.with_extension("strangers")
}

struct Server {
    number: u8,
    file: PathBuf,
    strangers: fs::File,
    /// Who has it shakes hands.
    hands: Mutex<()>,
}

/// Serves until killed.
///
/// # Errors
/// When the address cannot be listened on.
pub fn serve(
    number: u8,
    address: SocketAddr,
    backlog: u32,
    file: PathBuf,
) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let socket = TcpSocket::new_v4()?;
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        let listener = socket.listen(backlog)?;
        let hands = Mutex::new(());
        let mut strangers = fs::OpenOptions::new();
        let strangers = strangers.create(true).append(true).open(book(&file))?;
        let server = Arc::new(Server {
            number,
            file,
            strangers,
            hands,
        });
        loop {
            let (client, _) = listener.accept().await?;
            let server = Arc::clone(&server);
            tokio::spawn(async move {
                // A client that leaves is no event here.
                let _ = server.answer(client).await;
            });
        }
    })
}

impl Server {
    async fn answer(&self, mut client: TcpStream) -> io::Result<()> {
        client.set_nodelay(true)?;
        let mut first = vec![0; 4096];
        let len = client.read(&mut first).await.unwrap_or(0);
        let mode = Mode::of(&self.file);
        match first.first() {
            Some(b'G') => self.check(client, mode).await,
            Some(22) if is_whole(first.get(..len).unwrap_or_default()) => {
                if mode == Mode::Slow {
                    let _hands = self.hands.lock().await;
                    tokio::time::sleep(HANDSHAKE).await;
                }
                self.serve(client).await
            }
            Some(_) | None => {
                let word = if len == 0 { SILENT } else { SPOKE };
                (&self.strangers).write_all(&[word])
            }
        }
    }

    async fn check(&self, mut client: TcpStream, mode: Mode) -> io::Result<()> {
        let status = match mode {
            Mode::Well | Mode::Slow => "200 OK",
            Mode::Draining => "500 Internal Server Error",
            Mode::Busy => {
                tokio::time::sleep(NEVER).await;
                return Ok(());
            }
        };
        let answer = format!(
            "HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        );
        client.write_all(answer.as_bytes()).await
    }

    async fn serve(&self, mut client: TcpStream) -> io::Result<()> {
        let mut question = [0; QUESTION];
        loop {
            client.write_all(&[self.number; ANSWER]).await?;
            client.read_exact(&mut question).await?;
        }
    }
}

/// Whether these bytes are one record and nothing else.
fn is_whole(bytes: &[u8]) -> bool {
    let [_, _, _, high, low, body @ ..] = bytes else {
        return false;
    };
    body.len() == usize::from(u16::from_be_bytes([*high, *low]))
}
