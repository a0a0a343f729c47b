//! An admin server of a daemon of nothing, and a client of it that says any bytes.

use std::error::Error;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use daemon::Identity;
use daemon::admin::{Admin, CommandError, Listen, Surface};
use daemon::metrics::Text;
use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// What no step of a test takes, unless it hangs.
pub(crate) const FAR: Duration = Duration::from_secs(20);

/// A daemon of nothing.
#[derive(Default)]
pub(crate) struct Fake {
    pub(crate) broken: AtomicBool,
    pub(crate) unready: AtomicBool,
}

impl Surface for Fake {
    fn alive(&self) -> bool {
        !self.broken.load(Ordering::Relaxed)
    }

    fn ready(&self) -> Result<(), String> {
        if self.unready.load(Ordering::Relaxed) {
            Err("draining".to_owned())
        } else {
            Ok(())
        }
    }

    fn metrics(&self, out: &mut Text) {
        out.counter("fake_things_total", "Things.")
            .sample(&[("kind", "a")], 3_u64);
    }

    fn status(&self) -> Value {
        json!({"things": 3, "version": "of a liar"})
    }

    fn commands(&self) -> &'static [&'static str] {
        &["echo", "fail", "hang"]
    }

    fn command(
        &self,
        name: &str,
        body: Value,
    ) -> BoxFuture<'_, Result<Value, CommandError>> {
        let name = name.to_owned();
        Box::pin(async move {
            match name.as_str() {
                "echo" => Ok(json!({ "echo": body })),
                "hang" => std::future::pending().await,
                _ => Err(CommandError::Conflict("not while it rains".to_owned())),
            }
        })
    }
}

/// A server that ends with the test.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) socket: PathBuf,
    pub(crate) surface: Arc<Fake>,
    pub(crate) identity: Arc<Identity>,
    pub(crate) stop: Option<oneshot::Sender<()>>,
    pub(crate) task: JoinHandle<io::Result<()>>,
    _folder: TempDir,
}

impl Server {
    pub(crate) fn start() -> Result<Self, Box<dyn Error>> {
        let folder = tempfile::tempdir()?;
        let socket = folder.path().join("run/fake.sock");
        let listen = Listen {
            tcp: vec!["127.0.0.1:0".parse()?],
            socket: Some(socket.clone()),
            ..Listen::default()
        };
        let admin = Admin::bind(&listen)?;
        let address = *admin.addresses().first().ok_or("no address")?;
        let surface = Arc::new(Fake::default());
        let identity = Arc::new(Identity::new(
            "fake-d",
            Path::new("/etc/fake.yaml"),
            SystemTime::now(),
        ));
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(admin.serve(identity.clone(), surface.clone(), async {
            let _ = stopped.await;
        }));
        let stop = Some(stop);
        Ok(Self {
            address,
            socket,
            surface,
            identity,
            stop,
            task,
            _folder: folder,
        })
    }

    /// Sends `request` over TCP and reads until the server closes.
    pub(crate) async fn raw(&self, request: &str) -> Result<String, Box<dyn Error>> {
        let mut stream = TcpStream::connect(self.address).await?;
        stream.write_all(request.as_bytes()).await?;
        read_to_end(&mut stream).await
    }

    pub(crate) async fn get(&self, path: &str) -> Result<String, Box<dyn Error>> {
        self.raw(&format!(
            "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        ))
        .await
    }
}

pub(crate) async fn read_to_end(
    stream: &mut TcpStream,
) -> Result<String, Box<dyn Error>> {
    let mut bytes = Vec::new();
    match timeout(FAR, stream.read_to_end(&mut bytes)).await? {
        Ok(_) => {}
        // A server that refuses to read the rest of a request resets.
        Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
        Err(error) => return Err(error.into()),
    }
    Ok(String::from_utf8(bytes)?)
}

pub(crate) fn body(response: &str) -> &str {
    response.split_once("\r\n\r\n").map_or("", |(_, body)| body)
}
