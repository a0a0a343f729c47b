//! A stand-in for the part of kube-apiservers that discovery asks: several of them tell of one
//! service, as those of a cluster do.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::SystemTime;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::rig::{Fallible, loopback};

/// What all apiservers of a cluster know: the version and the servers of the service.
pub(crate) struct Cluster {
    authority: pki::Authority,
    known: watch::Sender<(u64, Vec<SocketAddr>)>,
    /// Watches from before it are answered with 410.
    oldest: Arc<AtomicU64>,
}

/// One apiserver. Dropped, it is gone with its connections.
pub(crate) struct Api {
    pub(crate) address: SocketAddr,
    /// How often it was asked for the whole list.
    pub(crate) lists: Arc<AtomicUsize>,
    /// How often it was asked for what changes.
    pub(crate) watches: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Drop for Api {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Cluster {
    pub(crate) fn new() -> Fallible<Self> {
        Ok(Self {
            authority: pki::Authority::new("kubernetes", SystemTime::now())?,
            known: watch::channel((1, Vec::new())).0,
            oldest: Arc::default(),
        })
    }

    /// The service has these servers from here on.
    pub(crate) fn names(&self, servers: &[SocketAddr]) {
        self.known.send_modify(|(version, named)| {
            *version += 1;
            *named = servers.to_vec();
        });
    }

    /// Forgets what has happened so far, and changes the version without an event.
    pub(crate) fn compact(&self) {
        self.known.send_modify(|(version, _)| *version += 1);
        self.oldest.store(self.known.borrow().0, Ordering::Relaxed);
    }

    /// A kubeconfig of a client of the cluster.
    pub(crate) fn kubeconfig(&self, folder: &Path) -> Fallible<PathBuf> {
        let profile = pki::Profile::client("api-lb", &[]);
        let issued = self.authority.issue(&profile, SystemTime::now())?;
        let text = pki::Kubeconfig::new(
            "kubernetes",
            "https://192.0.2.1:6443",
            self.authority.certificate_pem(),
            "api-lb",
            &issued,
        )
        .to_yaml();
        let path = folder.join("kubeconfig");
        std::fs::write(&path, text)?;
        Ok(path)
    }

    pub(crate) async fn apiserver(&self) -> Fallible<Api> {
        self.apiserver_at(loopback(0)).await
    }

    pub(crate) async fn apiserver_at(&self, address: SocketAddr) -> Fallible<Api> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let acceptor = self.acceptor(address)?;
        let (lists, watches) = (Arc::default(), Arc::default());
        let told = Told {
            known: self.known.clone(),
            oldest: Arc::clone(&self.oldest),
            lists: Arc::clone(&lists),
            watches: Arc::clone(&watches),
        };
        let task = tokio::spawn(async move {
            let mut open = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, told) = (acceptor.clone(), told.clone());
                open.spawn(
                    async move { told.serve(acceptor.accept(stream).await?).await },
                );
            }
        });
        Ok(Api {
            address,
            lists,
            watches,
            task,
        })
    }

    fn acceptor(&self, address: SocketAddr) -> Fallible<TlsAcceptor> {
        use rustls::pki_types::pem::PemObject as _;
        use rustls::pki_types::{CertificateDer, PrivateKeyDer};
        let profile = pki::Profile::server(
            "kube-apiserver",
            vec![pki::Name::Address(address.ip())],
        );
        let issued = self.authority.issue(&profile, SystemTime::now())?;
        let pem = issued.certificate_pem.as_bytes();
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
        let key = PrivateKeyDer::from_pem_slice(issued.key_pem.expose().as_bytes())?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(chain?, key)?;
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}

#[derive(Clone)]
struct Told {
    known: watch::Sender<(u64, Vec<SocketAddr>)>,
    oldest: Arc<AtomicU64>,
    lists: Arc<AtomicUsize>,
    watches: Arc<AtomicUsize>,
}

impl Told {
    async fn serve(&self, mut stream: TlsStream<TcpStream>) -> std::io::Result<()> {
        let mut head = Vec::new();
        loop {
            let mut bytes = [0; 4096];
            while !head.ends_with(b"\r\n\r\n") {
                let count = stream.read(&mut bytes).await?;
                if count == 0 {
                    return Ok(());
                }
                head.extend_from_slice(&bytes[..count]);
            }
            let text = String::from_utf8_lossy(&head).into_owned();
            head.clear();
            let path = text.split(' ').nth(1).unwrap_or_default();
            if path.contains("watch=1") {
                return self.watch(stream, path).await;
            }
            self.lists.fetch_add(1, Ordering::Relaxed);
            let (version, servers) = self.known.borrow().clone();
            let items = slice(version, &servers);
            let list = format!(
                r#"{{"kind":"EndpointSliceList","metadata":{{"resourceVersion":"{version}"}},"items":[{items}]}}"#
            );
            stream.write_all(&whole("200 OK", &list)).await?;
        }
    }

    async fn watch(
        &self,
        mut stream: TlsStream<TcpStream>,
        path: &str,
    ) -> std::io::Result<()> {
        self.watches.fetch_add(1, Ordering::Relaxed);
        let from = path.split("resourceVersion=").nth(1).unwrap_or_default();
        let mut from: u64 = from.parse().map_err(std::io::Error::other)?;
        if from < self.oldest.load(Ordering::Relaxed) {
            let status = r#"{"kind":"Status","code":410}"#;
            return stream.write_all(&whole("410 Gone", status)).await;
        }
        let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
        stream.write_all(head.as_bytes()).await?;
        let mut known = self.known.subscribe();
        loop {
            let (version, servers) = known.borrow_and_update().clone();
            if version > from && from >= self.oldest.load(Ordering::Relaxed) {
                let object = slice(version, &servers);
                let line = format!("{{\"type\":\"MODIFIED\",\"object\":{object}}}\n");
                // Cut in the middle of an event, as long ones are.
                let (one, two) = line.split_at(line.len() / 2);
                for part in [one, two] {
                    let chunk = format!("{:x}\r\n{part}\r\n", part.len());
                    stream.write_all(chunk.as_bytes()).await?;
                    stream.flush().await?;
                }
                from = version;
            }
            if known.changed().await.is_err() {
                return Ok(());
            }
        }
    }
}

fn whole(status: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}")
        .into_bytes()
}

/// One slice, as an apiserver writes it: all servers have one port.
fn slice(version: u64, servers: &[SocketAddr]) -> String {
    let endpoint = |server: &SocketAddr| {
        format!(
            r#"{{"addresses":["{}"],"conditions":{{"ready":true}}}}"#,
            server.ip()
        )
    };
    let endpoints: Vec<String> = servers.iter().map(endpoint).collect();
    let port = servers.first().map_or(6443, SocketAddr::port);
    format!(
        r#"{{"metadata":{{"name":"kubernetes","resourceVersion":"{version}"}},"addressType":"IPv4","endpoints":[{}],"ports":[{{"name":"https","port":{port}}}]}}"#,
        endpoints.join(",")
    )
}
