//! `sternpost fetch`: what the description says is fetched, here, before any host is touched;
//! and the place where fetched files are kept.

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use daemon::{chain, exit};

use super::{Sentence, SpecFile, complain};
use crate::architecture::Architecture;
use crate::render;
use crate::resource::Resource;
use crate::spec::{Cluster, Host, Source};
use crate::stock::{Cache, Programs, Stock, Wanted};

/// Where fetched files are kept.
#[derive(Debug, Args)]
pub(super) struct Kept {
    /// Where fetched files are kept; by default sternpost in $XDG_CACHE_HOME, or in
    /// ~/.cache.
    #[arg(long)]
    cache: Option<PathBuf>,
}

/// What is asked for.
#[derive(Debug, Args)]
pub(super) struct Fetch {
    #[command(flatten)]
    spec: SpecFile,
    /// The architecture of the hosts; once for each, by default this machine's.
    #[arg(long)]
    arch: Vec<Architecture>,
    /// Put the programs together in this folder, with their checksums: a bundle to carry to
    /// where nothing can be fetched, and a binaries.folder there.
    #[arg(long)]
    into: Option<PathBuf>,
    #[command(flatten)]
    kept: Kept,
}

impl Kept {
    /// What is in the folder of the description, where it has one.
    pub(super) fn local(cluster: &Cluster) -> Result<Stock, Sentence> {
        Stock::of_folder(&cluster.binaries).map_err(|error| chain(&error))
    }

    /// Adds what is wanted and is not in the folder.
    pub(super) fn fetch(
        &self,
        stock: &mut Stock,
        cluster: &Cluster,
        wanted: &Wanted,
    ) -> Result<(), Sentence> {
        let cache = Cache::at(&self.folder(cluster)?);
        let about = |source: &Source| {
            complain(&format!(
                "fetching {} ({})",
                source.place, source.architecture
            ));
        };
        let fetched = stock.fetch(&cluster.binaries.sources, wanted, &cache, &about);
        fetched.map_err(|error| chain(&error))
    }

    fn folder(&self, cluster: &Cluster) -> Result<PathBuf, Sentence> {
        if let Some(folder) = &self.cache {
            return Ok(folder.clone());
        }
        let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty());
        let cache = set("XDG_CACHE_HOME").map(PathBuf::from);
        let home = || set("HOME").map(|home| PathBuf::from(home).join(".cache"));
        match cache.or_else(home) {
            Some(folder) => Ok(folder.join("sternpost")),
            // It is not looked at where nothing is fetched.
            None if cluster.binaries.sources.is_empty() => Ok(PathBuf::new()),
            None => Err(
                "nobody says where fetched files are kept; write --cache FOLDER"
                    .to_owned(),
            ),
        }
    }
}

/// The programs that a host is to hold.
pub(super) fn programs(
    cluster: &Cluster,
    host: &Host,
    known: &render::Known,
) -> BTreeSet<String> {
    let resources = render::host(cluster, host, known);
    let programs = resources.iter().filter_map(Resource::program);
    programs.map(|program| program.name.clone()).collect()
}

impl Fetch {
    /// A line a program; fails when one that a host is to hold is nowhere, or is not what its
    /// list says. A bundle is of all, or it is none.
    pub(super) fn execute(&self) -> Result<(String, u8), Sentence> {
        let path = &self.spec.spec;
        let cluster = super::described(path)?;
        let hosts = cluster.hosts.iter();
        let names =
            hosts.flat_map(|host| programs(&cluster, host, &super::certs::known()));
        let names: BTreeSet<_> = names.collect();
        let architectures = match self.arch.as_slice() {
            [] => vec![Architecture::own().map_err(|error| error.to_string())?],
            some => some.to_vec(),
        };
        let wanted: Wanted = architectures
            .iter()
            .map(|architecture| (*architecture, names.clone()))
            .collect();
        let mut stock = Kept::local(&cluster)?;
        if let Err(error) = self.kept.fetch(&mut stock, &cluster, &wanted) {
            return Ok((error, exit::FAILED));
        }
        let (mut lines, mut code) = (Vec::new(), exit::DONE);
        for (architecture, names) in &wanted {
            let programs = stock.programs(*architecture);
            for name in names {
                match line(*architecture, name, &programs) {
                    Ok(line) => lines.push(line),
                    Err(line) => {
                        code = exit::FAILED;
                        lines.push(line);
                    }
                }
            }
        }
        if let (Some(into), exit::DONE) = (&self.into, code) {
            for (architecture, names) in &wanted {
                let programs = stock.programs(*architecture);
                bundle(&into.join(architecture.name()), &programs, names)?;
            }
            sums(into, &stock, &wanted)?;
        }
        Ok((lines.join("\n"), code))
    }
}

/// What there is of a program, or why it is none to lay down.
fn line(
    architecture: Architecture,
    name: &str,
    programs: &Programs,
) -> Result<String, String> {
    let Some(ready) = programs.get(name) else {
        return Err(format!(
            "{architecture}  there is no {name}; write it into binaries.sources"
        ));
    };
    let odd = |error| format!("{architecture}  {name}: {}", chain(&error));
    ready.look().map_err(odd)?;
    let (sum, file) = (&ready.sha256, ready.file.display());
    Ok(format!("{architecture}  {sum}  {name}  {file}"))
}

/// Puts programs together in a folder.
fn bundle(
    folder: &Path,
    programs: &Programs,
    names: &BTreeSet<String>,
) -> Result<(), Sentence> {
    let failed =
        |error: std::io::Error| format!("{} cannot be filled: {error}", folder.display());
    fs::create_dir_all(folder).map_err(failed)?;
    for name in names {
        if let Some(ready) = programs.get(name) {
            fs::copy(&ready.file, folder.join(name)).map_err(failed)?;
        }
    }
    Ok(())
}

/// Writes their checksums, as `sha256sum` would.
fn sums(into: &Path, stock: &Stock, wanted: &Wanted) -> Result<(), Sentence> {
    let lines = wanted.iter().flat_map(|(architecture, names)| {
        let programs = stock.programs(*architecture);
        let line = |name: &String| {
            let sha256 = &programs.get(name)?.sha256;
            Some(format!("{sha256}  {architecture}/{name}\n"))
        };
        names.iter().filter_map(line).collect::<Vec<_>>()
    });
    let path = into.join("SHA256SUMS");
    let written = fs::write(&path, lines.collect::<String>());
    written.map_err(|error| format!("{} cannot be written: {error}", path.display()))
}
