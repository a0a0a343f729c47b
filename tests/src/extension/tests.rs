//! Over loopback, asked as API servers and others ask.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::SystemTime;

use pki::{Authority, Issued, Name, Profile};
use rustls::{ClientConnection, StreamOwned};

use super::*;
use crate::tls;

const NAME: &str = "front-proxy-client";

struct Bench {
    /// Who signs for API servers.
    front: Authority,
    /// Who signs for the extension.
    own: Authority,
    address: SocketAddr,
    _running: Extension,
}

impl Bench {
    fn new() -> Self {
        let now = SystemTime::now();
        let front = Authority::new("front", now).unwrap();
        let own = Authority::new("own", now).unwrap();
        let names = vec![Name::Address([127, 0, 0, 1].into())];
        let server = own
            .issue(&Profile::server("extension", names), now)
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let map = serde_json::json!({"data": {
            "requestheader-client-ca-file": front.certificate_pem(),
            "requestheader-allowed-names": format!("[\"{NAME}\"]"),
            "requestheader-username-headers": "[\"X-Remote-User\"]",
            "requestheader-group-headers": "[\"X-Remote-Group\"]",
        }});
        let known = FrontProxy::of(&map).unwrap();
        let running = Extension::start(listener, identity(&server), known).unwrap();
        Self {
            front,
            own,
            address,
            _running: running,
        }
    }

    fn client(&self, name: &str) -> Issued {
        let profile = Profile::client(name, &[]);
        self.front.issue(&profile, SystemTime::now()).unwrap()
    }

    /// Status line, headers and body; or why there is no answer.
    fn ask(&self, of: Option<&Issued>, question: &str) -> Result<String, std::io::Error> {
        let trust = self.own.certificate_pem();
        let config = tls::client(trust, of.map(identity)).unwrap();
        let name = self.address.ip().into();
        let session = ClientConnection::new(config, name).unwrap();
        let socket = TcpStream::connect(self.address)?;
        socket.set_read_timeout(Some(HANDSHAKE))?;
        let mut stream = StreamOwned::new(session, socket);
        stream.write_all(question.as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }
}

fn identity(of: &Issued) -> Identity<'_> {
    Identity {
        cert_pem: &of.certificate_pem,
        key_pem: of.key_pem.expose(),
    }
}

fn get() -> String {
    "GET /apis/lab.example.org/v1 HTTP/1.1\r\nHost: 192.0.2.1:8443\r\n\
     X-Remote-User: jane\r\nX-Remote-Group: a\r\nX-Remote-Group: b\r\n\
     Connection: close\r\n\r\n"
        .to_owned()
}

fn judge(name: &str) -> String {
    post(&serde_json::json!({"request": {"uid": "1-2", "name": name}}).to_string())
}

fn post(body: &str) -> String {
    format!(
        "POST /judge HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

#[test]
fn an_api_server_is_told_and_nobody_else() {
    let bench = Bench::new();
    let said = bench.ask(Some(&bench.client(NAME)), &get()).unwrap();
    assert!(said.starts_with("HTTP/1.1 200 "), "{said}");
    let (_, body) = said.split_once("\r\n\r\n").unwrap();
    let body: serde_json::Value = serde_json::from_str(body).unwrap();
    assert_eq!(body["groupVersion"], "lab.example.org/v1");
    let asked = serde_json::json!({
        "certificate": NAME, "user": ["jane"], "groups": ["a", "b"], "at": ["192.0.2.1:8443"],
    });
    assert_eq!(body["asked"], asked);
    for other in [None, Some(&bench.client("another"))] {
        let said = bench.ask(other, &get()).unwrap();
        assert!(said.starts_with("HTTP/1.1 401 "), "{said}");
    }
    let stranger = Authority::new("front", SystemTime::now()).unwrap();
    let profile = Profile::client(NAME, &[]);
    let stranger = stranger.issue(&profile, SystemTime::now()).unwrap();
    bench.ask(Some(&stranger), &get()).unwrap_err();
}

#[test]
fn one_object_is_refused_for_anybody_and_another_is_not() {
    let bench = Bench::new();
    let said = bench.ask(None, &judge(REFUSED)).unwrap();
    assert!(said.contains("\"allowed\":false"), "{said}");
    assert!(said.contains(REFUSES), "{said}");
    let said = bench.ask(None, &judge("another")).unwrap();
    assert!(said.contains("\"allowed\":true"), "{said}");
    assert!(said.contains("\"uid\":\"1-2\""), "{said}");
    let said = bench.ask(None, &post("{}")).unwrap();
    assert!(said.starts_with("HTTP/1.1 400 "), "{said}");
}

#[test]
fn a_config_map_without_an_authority_is_none() {
    let error = FrontProxy::of(&serde_json::json!({"data": {}})).unwrap_err();
    assert_eq!(error.to_string(), "requestheader-client-ca-file");
}

#[test]
fn its_port_refuses_when_it_is_dropped() {
    let bench = Bench::new();
    let address = bench.address;
    drop(bench);
    TcpStream::connect(address).unwrap_err();
}
