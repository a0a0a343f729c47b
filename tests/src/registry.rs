//! A registry of images on a host of the lab: one image, out of a tar of the OCI layout, under
//! whatever name it is asked for (OCI distribution specification, pulls alone).

use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};

use serde_json::Value;

use crate::endpoint::Endpoint;
use crate::error::{Doing, LabError};
use crate::host::NamespaceHost;

/// The running registry; it ends when it is dropped.
#[derive(Debug)]
pub struct Registry {
    asked: Arc<Mutex<Vec<String>>>,
    _endpoint: Endpoint,
}

impl Registry {
    /// Starts it on a host.
    ///
    /// # Errors
    /// When the tar has no image, or the port is taken.
    pub fn start(
        host: &NamespaceHost,
        at: SocketAddr,
        layout: &Path,
    ) -> Result<Self, LabError> {
        let image = Image::of(layout).doing(layout.display())?;
        let asked = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&asked);
        let answer = move |stream: TcpStream| {
            if let Ok(path) = image.answer(stream)
                && let Ok(mut seen) = seen.lock()
            {
                seen.push(path);
            }
        };
        Ok(Self {
            asked,
            _endpoint: Endpoint::answering(host, at, answer)?,
        })
    }

    /// What it was asked for, in this order.
    #[must_use]
    pub fn asked(&self) -> Vec<String> {
        let asked = self.asked.lock();
        asked.map(|asked| asked.clone()).unwrap_or_default()
    }
}

/// The image that every name means.
struct Image {
    layout: PathBuf,
    kind: String,
    digest: String,
}

impl Image {
    fn of(layout: &Path) -> io::Result<Self> {
        let index: Value = serde_json::from_slice(&member(layout, "index.json")?)?;
        let text = |name: &str| {
            let text = index.pointer(&format!("/manifests/0/{name}"))?.as_str()?;
            Some(text.to_owned())
        };
        let none = || io::Error::other("it has no image");
        Ok(Self {
            layout: layout.to_owned(),
            kind: text("mediaType").ok_or_else(none)?,
            digest: text("digest").ok_or_else(none)?,
        })
    }

    /// Answers one request, and says what it was for.
    fn answer(&self, stream: TcpStream) -> io::Result<String> {
        let mut lines = BufReader::new(&stream).lines();
        let request = lines.next().ok_or(io::ErrorKind::UnexpectedEof)??;
        for line in lines {
            if line?.is_empty() {
                break;
            }
        }
        let mut words = request.split(' ');
        let (verb, path) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
        let place = path.split('?').next().unwrap_or(path);
        let (kind, digest) = match place.rsplit_once("/manifests/") {
            Some((_, digest)) if digest.contains(':') => (self.kind.as_str(), digest),
            Some(_) => (self.kind.as_str(), self.digest.as_str()),
            None => {
                let blob = place
                    .rsplit_once("/blobs/")
                    .map_or("", |(_, digest)| digest);
                ("application/octet-stream", blob)
            }
        };
        let blob = format!("blobs/{}", digest.replace(':', "/"));
        let (status, body) = match member(&self.layout, &blob) {
            Ok(body) if !digest.is_empty() => ("200 OK", body),
            Ok(_) | Err(_) => ("404 Not Found", Vec::new()),
        };
        let head = format!(
            "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\
             Docker-Content-Digest: {digest}\r\nConnection: close\r\n\r\n",
            body.len()
        );
        (&stream).write_all(head.as_bytes())?;
        if verb != "HEAD" {
            (&stream).write_all(&body)?;
        }
        Ok(path.to_owned())
    }
}

/// A file of the tar.
fn member(layout: &Path, name: &str) -> io::Result<Vec<u8>> {
    let mut tar = Command::new("tar");
    let output = tar.arg("-xOf").arg(layout).arg(format!("./{name}"));
    let output = output.output()?;
    match output.status.success() {
        true => Ok(output.stdout),
        false => Err(io::ErrorKind::NotFound.into()),
    }
}
