//! Commands from a browser: signing in, what is asked of each request, TLS and a
//! certificate that changes.

use std::error::Error;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use daemon::Identity;
use daemon::admin::{Admin, BindError, CommandError, Listen, Secure, Surface, password};
use daemon::metrics::Text;
use futures_util::future::BoxFuture;
use pki::{Authority, Name, Profile};
use rustls::pki_types::ServerName;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

type Fallible<T> = Result<T, Box<dyn Error>>;

/// What no step of a test takes, unless it hangs.
const FAR: Duration = Duration::from_secs(60);

struct Fake;

impl Surface for Fake {
    fn alive(&self) -> bool {
        true
    }

    fn ready(&self) -> Result<(), String> {
        Ok(())
    }

    fn metrics(&self, _out: &mut Text) {}

    fn status(&self) -> Value {
        Value::Null
    }

    fn commands(&self) -> &'static [&'static str] {
        &["drain", "kill"]
    }

    fn web_commands(&self) -> &'static [&'static str] {
        &["drain"]
    }

    fn command(
        &self,
        name: &str,
        body: Value,
    ) -> BoxFuture<'_, Result<Value, CommandError>> {
        let done = json!({"did": name, "with": body});
        Box::pin(std::future::ready(Ok(done)))
    }
}

struct Server {
    plain: SocketAddr,
    tls: SocketAddr,
    folder: TempDir,
    authority: Authority,
    task: tokio::task::JoinHandle<std::io::Result<()>>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn certify(authority: &Authority, folder: &Path, name: &str) -> Fallible<()> {
    let names = vec![Name::dns("lb.example")?];
    let issued = authority.issue(&Profile::server(name, names), SystemTime::now())?;
    std::fs::write(folder.join("key.pem"), issued.key_pem.expose())?;
    std::fs::write(folder.join("cert.pem"), &issued.certificate_pem)?;
    Ok(())
}

impl Server {
    fn start() -> Fallible<Self> {
        let folder = tempfile::tempdir()?;
        let authority = Authority::new("test", SystemTime::now())?;
        certify(&authority, folder.path(), "first")?;
        let passwords = folder.path().join("passwords");
        password::set(&passwords, "anna", "correct horse")?;
        let admin = Admin::bind(&Listen {
            tcp: vec!["127.0.0.1:0".parse()?],
            socket: None,
            tls: Some(Secure {
                address: "127.0.0.1:0".parse()?,
                certificate: folder.path().join("cert.pem"),
                key: folder.path().join("key.pem"),
            }),
            passwords: Some(passwords),
        })?;
        let plain = *admin.addresses().first().ok_or("no address")?;
        let tls = admin.tls_address().ok_or("no address")?;
        let path = Path::new("/etc/fake.yaml");
        let identity = Arc::new(Identity::new("fake-d", path, SystemTime::now()));
        let never = std::future::pending();
        let task = tokio::spawn(admin.serve(identity, Arc::new(Fake), never));
        Ok(Self {
            plain,
            tls,
            folder,
            authority,
            task,
        })
    }

    /// The answer over plain TCP to a request with these header lines.
    async fn ask(&self, line: &str, headers: &[&str], body: &str) -> Fallible<String> {
        let stream = TcpStream::connect(self.plain).await?;
        exchange(stream, line, headers, body).await
    }

    /// The same over TLS; and the common name of the certificate that was shown.
    async fn ask_tls(
        &self,
        line: &str,
        headers: &[&str],
        body: &str,
    ) -> Fallible<(String, Vec<u8>)> {
        let mut roots = RootCertStore::empty();
        let pem = self.authority.certificate_pem();
        roots.add(rustls::pki_types::CertificateDer::from_pem_slice(
            pem.as_bytes(),
        )?)?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let stream = TcpStream::connect(self.tls).await?;
        let name = ServerName::try_from("lb.example")?;
        let stream = TlsConnector::from(Arc::new(config))
            .connect(name, stream)
            .await?;
        let shown = stream
            .get_ref()
            .1
            .peer_certificates()
            .ok_or("no certificate")?;
        let shown = shown.first().ok_or("no certificate")?.to_vec();
        Ok((exchange(stream, line, headers, body).await?, shown))
    }

    fn own(&self) -> [String; 2] {
        [
            format!("Host: {}", self.plain),
            format!("Origin: http://{}", self.plain),
        ]
    }

    /// Signs in from the right page.
    async fn sign_in(&self, password: &str) -> Fallible<String> {
        let [host, origin] = self.own();
        let body = json!({"user": "anna", "password": password}).to_string();
        self.ask("POST /session", &[&host, &origin], &body).await
    }
}

async fn exchange(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    line: &str,
    headers: &[&str],
    body: &str,
) -> Fallible<String> {
    let headers: String = headers
        .iter()
        .map(|header| format!("{header}\r\n"))
        .collect();
    let length = body.len();
    let request = format!(
        "{line} HTTP/1.1\r\n{headers}Connection: close\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    // TLS without a farewell is an error to the library; the answer is whole.
    let _ = timeout(FAR, stream.read_to_end(&mut answer)).await?;
    Ok(String::from_utf8(answer)?)
}

fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or_default()
}

fn cookie(answer: &str) -> String {
    let line = answer.lines().find(|line| line.starts_with("set-cookie: "));
    let pair = line.and_then(|line| line.strip_prefix("set-cookie: ")?.split(';').next());
    format!("Cookie: {}", pair.unwrap_or_default())
}

fn token(answer: &str) -> String {
    let body = answer.split("\r\n\r\n").nth(1).unwrap_or_default();
    let value: Value = serde_json::from_str(body).unwrap_or_default();
    format!(
        "X-CSRF-Token: {}",
        value
            .get("token")
            .and_then(Value::as_str)
            .unwrap_or_default()
    )
}

#[tokio::test]
async fn one_who_has_signed_in_may_give_the_commands_of_the_page_and_no_others() {
    let server = Server::start().unwrap();
    let [host, origin] = server.own();
    let answer = server.sign_in("correct horse").await.unwrap();
    assert_eq!(status(&answer), "200", "{answer}");
    assert!(
        answer.contains("; HttpOnly; SameSite=Strict\r\n"),
        "{answer}"
    );
    let (cookie, token) = (cookie(&answer), token(&answer));
    let all = [&*host, &*origin, &*cookie, &*token];
    let done = server
        .ask("POST /do/drain", &all, "{\"server\": \"m1\"}")
        .await
        .unwrap();
    assert!(
        status(&done) == "200" && done.contains("\"did\": \"drain\""),
        "{done}"
    );
    for (line, headers, expected) in [
        ("POST /do/kill", &all[..], "404"),
        ("GET /do/drain", &all, "405"),
        ("POST /do/drain", &[&*host, &*origin, &*token], "401"),
        ("POST /do/drain", &[&*host, &*origin, &*cookie], "403"),
        ("POST /do/drain", &[&*host, &*cookie, &*token], "403"),
        (
            "POST /do/drain",
            &[&*host, "Origin: http://evil.example", &*cookie, &*token],
            "403",
        ),
        (
            "POST /do/drain",
            &[
                "Host: evil.example",
                "Origin: http://evil.example",
                &*cookie,
                &*token,
            ],
            "403",
        ),
        (
            "POST /do/drain",
            &[&*host, &*origin, &*cookie, "X-CSRF-Token: 0"],
            "403",
        ),
        (
            "POST /do/drain",
            &[&*host, &*origin, "Cookie: session=0", &*token],
            "401",
        ),
        // Without a browser's session a command is for the unix socket alone.
        ("POST /drain", &all, "405"),
    ] {
        let answer = server.ask(line, headers, "{}").await.unwrap();
        assert_eq!(status(&answer), expected, "{line} {headers:?}: {answer}");
    }
    let told = server
        .ask("GET /session", &[&host, &cookie], "")
        .await
        .unwrap();
    assert!(
        told.contains("\"user\": \"anna\"") && told.contains("\"drain\""),
        "{told}"
    );
    let out = server.ask("POST /session/end", &all, "").await.unwrap();
    assert!(status(&out) == "200" && out.contains("Max-Age=0"), "{out}");
    let after = server.ask("POST /do/drain", &all, "{}").await.unwrap();
    assert_eq!(status(&after), "401", "{after}");
}

#[tokio::test]
async fn wrong_passwords_are_counted_and_the_right_one_waits_too() {
    let server = Server::start().unwrap();
    for _ in 0..5 {
        let answer = server.sign_in("wrong horse").await.unwrap();
        assert_eq!(status(&answer), "403", "{answer}");
    }
    let answer = server.sign_in("correct horse").await.unwrap();
    assert!(
        status(&answer) == "429" && answer.contains("retry-after: 60"),
        "{answer}"
    );
    let [host, origin] = server.own();
    let large = format!("{{\"user\": \"{}\"}}", "x".repeat(10_000));
    for body in ["", "[]", "{\"user\": \"anna\"}", &large] {
        let answer = server
            .ask("POST /session", &[&host, &origin], body)
            .await
            .unwrap();
        assert_eq!(status(&answer), "400", "{answer}");
    }
}

#[tokio::test]
async fn over_tls_with_a_certificate_that_changes() {
    let server = Server::start().unwrap();
    let headers = ["Host: lb.example", "Origin: https://lb.example"];
    let body = "{\"user\": \"anna\", \"password\": \"correct horse\"}";
    let (answer, first) = server
        .ask_tls("POST /session", &headers, body)
        .await
        .unwrap();
    assert_eq!(status(&answer), "200", "{answer}");
    let secure = "set-cookie: __Host-session=";
    assert!(
        answer.contains(secure) && answer.contains("; Secure"),
        "{answer}"
    );
    let (ready, _) = server.ask_tls("GET /readyz", &headers, "").await.unwrap();
    assert_eq!(status(&ready), "200");
    // Half a change is not shown: a key that does not fit.
    std::fs::write(server.folder.path().join("key.pem"), "nothing").unwrap();
    let (_, still) = server.ask_tls("GET /readyz", &headers, "").await.unwrap();
    assert_eq!(first, still);
    certify(&server.authority, server.folder.path(), "second").unwrap();
    let changed = async {
        while server.ask_tls("GET /readyz", &headers, "").await.unwrap().1 == first {
            tokio::task::yield_now().await;
        }
    };
    timeout(FAR, changed).await.unwrap();
}

#[tokio::test]
async fn without_a_file_of_passwords_nobody_signs_in_and_without_a_certificate_nothing_starts()
 {
    let tcp = vec!["127.0.0.1:0".parse().unwrap()];
    let admin = Admin::bind(&Listen {
        tcp,
        ..Listen::default()
    })
    .unwrap();
    let address = *admin.addresses().first().unwrap();
    let identity = Arc::new(Identity::new("fake-d", Path::new("/f"), SystemTime::now()));
    let task =
        tokio::spawn(admin.serve(identity, Arc::new(Fake), std::future::pending()));
    let [host, origin] = [
        format!("Host: {address}"),
        format!("Origin: http://{address}"),
    ];
    for line in ["POST /session", "POST /do/drain"] {
        let stream = TcpStream::connect(address).await.unwrap();
        let answer = exchange(stream, line, &[&host, &origin], "{}")
            .await
            .unwrap();
        assert!(
            status(&answer) == "403" && answer.contains("passwordFile"),
            "{answer}"
        );
    }
    task.abort();
    let secure = Secure {
        address: "127.0.0.1:0".parse().unwrap(),
        certificate: "/nowhere.pem".into(),
        key: "/nowhere.key".into(),
    };
    let listen = Listen {
        tls: Some(secure),
        ..Listen::default()
    };
    let error = Admin::bind(&listen).unwrap_err();
    assert!(matches!(error, BindError::Certificate(_)), "{error}");
}
