//! `sternpost requests`: what the keepers of external authorities are to sign.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use clap::Args;
use daemon::{chain, exit};
use pki::{KeyKind, Mode, PrivatePem};

use super::{Sentence, SpecFile};
use crate::apply::{self, Request};
use crate::render;

/// What is asked for.
#[derive(Debug, Args)]
pub(super) struct Requests {
    #[command(flatten)]
    spec: SpecFile,
}

impl Requests {
    /// A line a certificate; fails while one is missing.
    pub(super) fn execute(&self) -> Result<(String, u8), Sentence> {
        let path = &self.spec.spec;
        let cluster = super::described(path)?;
        let now = SystemTime::now();
        let all: Vec<_> = cluster
            .hosts
            .iter()
            .flat_map(|host| {
                let wanted = render::host(&cluster, host, &super::certs::known());
                apply::requests(&cluster, &host.name, &wanted, now)
            })
            .collect();
        if all.is_empty() {
            let sentence = "every authority's key is here, or is made: nothing is to be signed elsewhere";
            return Ok((sentence.to_owned(), exit::DONE));
        }
        for request in &all {
            write(&cluster.requests, request, cluster.key_kind)?;
        }
        let lines: Vec<_> = all.iter().map(ToString::to_string).collect();
        let code = match apply::outstanding(&all).is_empty() {
            true => exit::DONE,
            false => exit::FAILED,
        };
        Ok((lines.join("\n"), code))
    }
}

/// Writes a request and, where there is none, the key that it is for.
fn write(folder: &Path, request: &Request, kind: KeyKind) -> Result<(), Sentence> {
    let folder = folder.join(&request.host);
    let name = &request.certificate.name;
    let file = |end: &str, mode, content: String| pki::File {
        path: PathBuf::from(format!("{name}.{end}")),
        mode,
        content,
    };
    let place = folder.join(format!("{name}.key"));
    let mut files = Vec::new();
    let key = if place.exists() {
        let key = fs::read_to_string(&place);
        key.map_err(|error| format!("{} cannot be read: {error}", place.display()))?
    } else {
        let key = PrivatePem::generate(kind).map_err(|error| chain(&error))?;
        files.push(file("key", Mode::Private, key.expose().to_owned()));
        key.expose().to_owned()
    };
    let asked = pki::request(&request.certificate.profile, &key);
    let asked =
        asked.map_err(|error| format!("{}: {}", place.display(), chain(&error)))?;
    files.push(file("csr", Mode::Public, asked));
    pki::write(&folder, &files).map_err(|error| chain(&error))
}
