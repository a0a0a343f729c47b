//! A server on the loopback address that answers as it is told, and counts what it was asked.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

/// What is said to who asks for a path.
#[derive(Clone)]
pub(crate) enum Reply {
    /// The file.
    Whole(Vec<u8>),
    /// Less of the file than was announced.
    Half(Vec<u8>),
    /// It is elsewhere.
    Elsewhere(String),
    /// A status.
    Status(u16),
}

/// The server; its thread ends with the test's process.
pub(crate) struct Server {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    replies: BTreeMap<String, Reply>,
    asked: Vec<String>,
}

impl Server {
    pub(crate) fn start() -> std::io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let address = listener.local_addr()?;
        let state = Arc::new(Mutex::new(State::default()));
        let shared = state.clone();
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let shared = shared.clone();
                // Who hangs up is seen by the test.
                thread::spawn(move || drop(answer(client, &shared)));
            }
        });
        Ok(Self { address, state })
    }

    /// `http://ADDRESS:PORT/PATH`
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}/{path}", self.address)
    }

    pub(crate) fn put(&self, path: &str, reply: Reply) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.replies.insert(format!("/{path}"), reply);
    }

    /// The paths that were asked for since the last time.
    pub(crate) fn asked(&self) -> Vec<String> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut state.asked)
    }
}

fn answer(mut client: TcpStream, state: &Mutex<State>) -> std::io::Result<()> {
    let mut lines = BufReader::new(client.try_clone()?).lines();
    let first = lines.next().transpose()?.unwrap_or_default();
    let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
    for line in lines {
        if line?.is_empty() {
            break;
        }
    }
    let reply = {
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        state.asked.push(path.clone());
        state.replies.get(&path).cloned()
    };
    let head = |status: &str, length: usize| {
        format!(
            "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
        )
    };
    match reply {
        Some(Reply::Whole(bytes)) => {
            client.write_all(head("200 OK", bytes.len()).as_bytes())?;
            client.write_all(&bytes)
        }
        Some(Reply::Half(bytes)) => {
            client.write_all(head("200 OK", bytes.len()).as_bytes())?;
            let (half, _) = bytes.split_at(bytes.len() / 2);
            client.write_all(half)
        }
        Some(Reply::Elsewhere(to)) => {
            let text = format!(
                "HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            );
            client.write_all(text.as_bytes())
        }
        Some(Reply::Status(status)) => {
            client.write_all(head(&format!("{status} No"), 0).as_bytes())
        }
        None => client.write_all(head("404 Not Found", 0).as_bytes()),
    }
}
