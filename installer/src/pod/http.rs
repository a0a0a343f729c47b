//! Who is there: a request of one line, an answer of one line (RFC 9112), for both ends.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use thiserror::Error;

/// What a connection, a request and an answer may each take: within one building.
const PATIENCE: Duration = Duration::from_secs(2);
/// Octets of a request or an answer that are read; ours are shorter.
const LONGEST: u64 = 4096;
/// Connections that are answered at once; a further one is closed.
const CONNECTIONS: usize = 64;

/// Why nobody answered.
#[derive(Debug, Error)]
pub enum GetError {
    /// No connection.
    #[error("{server} takes no connection")]
    Connect {
        /// Who.
        server: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// A connection, and then no answer.
    #[error("{server} takes a connection and does not answer")]
    Silent {
        /// Who.
        server: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// An answer of somebody else.
    #[error("{0} answers otherwise than a Pod of this check")]
    Other(SocketAddr),
}

/// The line that `server` answers with.
///
/// # Errors
/// When it does not.
pub fn get(server: SocketAddr) -> Result<String, GetError> {
    let connected = TcpStream::connect_timeout(&server, PATIENCE);
    let mut stream = connected.map_err(|source| GetError::Connect { server, source })?;
    let silent = |source| GetError::Silent { server, source };
    let mut exchange = || -> io::Result<String> {
        bounded(&stream)?;
        stream.write_all(b"GET / HTTP/1.0\r\nHost: check\r\n\r\n")?;
        let mut text = String::new();
        (&mut stream).take(LONGEST).read_to_string(&mut text)?;
        Ok(text)
    };
    let text = exchange().map_err(silent)?;
    body(&text).ok_or(GetError::Other(server))
}

/// What follows the empty line of an answer that is one.
fn body(text: &str) -> Option<String> {
    let (head, body) = text.split_once("\r\n\r\n")?;
    let mut words = head.split(' ');
    let http = words.next()?.starts_with("HTTP/1.");
    let body = body.trim_end();
    (http && words.next()? == "200" && !body.is_empty()).then(|| body.to_owned())
}

/// Answers whoever connects with `name`; why it does not any longer.
pub(super) fn serve(listener: &TcpListener, name: &str) -> io::Error {
    let name: Arc<str> = name.into();
    let busy = Arc::new(AtomicUsize::new(0));
    loop {
        let stream = match listener.accept() {
            Ok((stream, _)) => stream,
            // The client has gone again, or the process is short of something for a moment.
            Err(error) if passes(&error) => continue,
            Err(error) => return error,
        };
        if busy.fetch_add(1, Ordering::SeqCst) >= CONNECTIONS {
            busy.fetch_sub(1, Ordering::SeqCst);
            continue;
        }
        let (name, busy) = (Arc::clone(&name), Arc::clone(&busy));
        thread::spawn(move || {
            // A client that goes away in the middle is none of our troubles.
            let _ = reply(stream, &name);
            busy.fetch_sub(1, Ordering::SeqCst);
        });
    }
}

fn passes(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
    )
}

/// Reads a request to its empty line and answers it, whatever it asks for.
fn reply(mut stream: TcpStream, name: &str) -> io::Result<()> {
    bounded(&stream)?;
    let mut lines = BufReader::new((&stream).take(LONGEST)).lines();
    // A client that ends before its request does hears nothing.
    while !lines
        .next()
        .ok_or(io::ErrorKind::UnexpectedEof)??
        .is_empty()
    {}
    let text = format!(
        "HTTP/1.0 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{name}\n",
        name.len() + 1
    );
    stream.write_all(text.as_bytes())
}

fn bounded(stream: &TcpStream) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))
}

#[cfg(test)]
mod tests {
    use socket2::{Domain, Socket, Type};

    use super::*;

    #[test]
    fn a_pod_says_its_name() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = listener.local_addr().unwrap();
        thread::spawn(move || serve(&listener, "check-abcde"));
        for _ in 0..2 {
            assert_eq!(get(server).unwrap(), "check-abcde");
        }
    }

    #[test]
    fn who_is_not_a_pod_of_the_check_is_said_to_be() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = listener.local_addr().unwrap();
        thread::spawn(move || {
            for answer in ["HTTP/1.1 404 Not Found\r\n\r\nx\n", "SSH-2.0-x\r\n", ""] {
                let (mut stream, _) = listener.accept().unwrap();
                let mut request = [0; 64];
                let _ = stream.read(&mut request).unwrap();
                stream.write_all(answer.as_bytes()).unwrap();
            }
        });
        for _ in 0..3 {
            let error = get(server).unwrap_err();
            assert!(matches!(error, GetError::Other(_)), "{error:?}");
        }
    }

    #[test]
    fn nobody_is_named_with_the_reason() {
        // Bound and not listening: nobody else is given its port meanwhile.
        let mute = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        mute.bind(&any.into()).unwrap();
        let server = mute.local_addr().unwrap().as_socket().unwrap();
        let said = daemon::chain(&get(server).unwrap_err());
        let wanted = format!("{server} takes no connection: ");
        assert!(said.starts_with(&wanted), "{said}");
    }
}
