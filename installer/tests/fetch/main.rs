//! Programs that are fetched: from a server on the loopback address, from archives of each form,
//! for each architecture. What is not what it should be is kept nowhere, and said.
//!
//! Leaves to others: bringing them to hosts.

mod archives;
mod server;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use lab::requirement::{Requirement, trial};
use libtest_mimic::{Arguments, Failed};
use ruzstd::encoding::{CompressionLevel, compress_to_vec};
use sternpost::render::{self, Known, Newcomers};
use sternpost::resource::Resource;
use sternpost::spec;
use tar::EntryType;
use tempfile::TempDir;

use archives::{gzip, huge, link, one, outside, tar};
use server::{Reply, Server};

type Tried<T = ()> = Result<T, Failed>;
type Test = fn() -> Tried;

fn main() {
    let tests: [(&str, Test); 5] = [
        ("archives_of_each_form_give_their_programs", forms),
        (
            "each_architecture_has_its_own_and_a_bundle_of_all",
            architectures,
        ),
        ("what_a_server_does_wrong_is_named_with_the_way_out", wrong),
        ("what_is_no_program_in_an_archive_is_refused", members),
        ("what_is_damaged_in_the_cache_is_made_anew", healed),
    ];
    let trials = tests.map(|(name, test)| trial(name, &[Requirement::Curl], test));
    libtest_mimic::run(&Arguments::from_args(), trials.into()).exit();
}

const HOST: &str = "apiVersion: sternpost/v1\nkind: Cluster\nkubernetes: {version: 1.36.3}\n\
                    balancer: {mode: none}\nnetworks: {betweenPods: none}\nmanifests: .\nhosts:\n\
                    - {name: m1, addresses: [\"192.0.2.1\"], roles: [etcd, controlPlane]}\n";

/// A folder with a description, a cache, and a server.
struct World {
    folder: TempDir,
    server: Server,
    /// The programs that the host is to hold.
    names: BTreeSet<String>,
}

impl World {
    fn new() -> Tried<Self> {
        let cluster = spec::parse("cluster.yaml", HOST)?.cluster;
        let known = Known {
            interface: "eth0".to_owned(),
            resolv_conf: None,
            newcomers: Newcomers::None,
        };
        let host = cluster.hosts.first().ok_or("no host")?;
        let resources = render::host(&cluster, host, &known);
        let names = resources.into_iter().filter_map(|one| match one {
            Resource::Program(program) => Some(program.name),
            Resource::Folder(_)
            | Resource::File(_)
            | Resource::Block(_)
            | Resource::Certificate(_)
            | Resource::Shared(_)
            | Resource::Unit(_) => None,
        });
        let folder = tempfile::tempdir()?;
        fs::write(folder.path().join("10-none.yaml"), "{}")?;
        Ok(Self {
            folder,
            server: Server::start()?,
            names: names.collect(),
        })
    }

    /// Runs `sternpost fetch` on a description with these binaries.
    fn fetch(&self, binaries: &str, more: &[&str]) -> Tried<Output> {
        let text = format!("{HOST}binaries:\n{binaries}");
        fs::write(self.path("cluster.yaml"), text)?;
        Ok(Command::new(env!("CARGO_BIN_EXE_sternpost"))
            .arg("fetch")
            .arg("--spec")
            .arg(self.path("cluster.yaml"))
            .arg("--cache")
            .arg(self.path("cache"))
            .args(more)
            .env("no_proxy", "*")
            .output()?)
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    /// Every file in the cache that is whole.
    fn kept(&self) -> Tried<Vec<String>> {
        let mut names = Vec::new();
        let mut folders = vec![self.path("cache")];
        while let Some(folder) = folders.pop() {
            let Ok(entries) = fs::read_dir(&folder) else {
                continue;
            };
            for entry in entries {
                let path = entry?.path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    names.push(path.display().to_string());
                }
            }
        }
        Ok(names)
    }

    /// A tar with every program that is wanted, below `bin`.
    fn tar(&self, about: &str) -> Tried<Vec<u8>> {
        let members = self.names.iter();
        let members = members.map(|name| (format!("./bin/{name}"), content(name, about)));
        tar(members)
    }

    /// `members` of all programs below `bin`.
    fn members(&self) -> String {
        let pairs = self.names.iter().map(|name| format!("{name}: bin/{name}"));
        format!("{{{}}}", pairs.collect::<Vec<_>>().join(", "))
    }
}

fn content(name: &str, about: &str) -> Vec<u8> {
    format!("{name} {about}\n").repeat(1000).into_bytes()
}

fn sum(bytes: &[u8]) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, bytes);
    let octets = digest.as_ref().iter();
    octets.map(|octet| format!("{octet:02x}")).collect()
}

fn ended(output: &Output, code: i32) -> Tried<String> {
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.code() != Some(code) {
        return Err(format!("not {code}: {output:?}").into());
    }
    Ok(printed)
}

fn holds(text: &str, wanted: &str) -> Tried {
    match text.contains(wanted) {
        true => Ok(()),
        false => Err(format!("no {wanted:?} in\n{text}").into()),
    }
}

/// A tar, packed by nobody, gzip and zstd: from a mirror, a path, and where a server sends one
/// on. What is kept is not fetched again.
fn forms() -> Tried {
    let world = World::new()?;
    let whole = world.tar("v1")?;
    let zstd = compress_to_vec(whole.as_slice(), CompressionLevel::Fastest);
    let members = world.members();
    for (name, bytes) in [
        ("all.tar", whole.clone()),
        ("all.tar.gz", gzip(&whole)?),
        ("all.tgz", gzip(&whole)?),
        ("all.tar.zst", zstd),
    ] {
        fs::remove_dir_all(world.path("cache")).ok();
        let sum = sum(&bytes);
        let path = format!("1.36.3/amd64/{name}");
        let elsewhere = world.server.url(&format!("there/{name}"));
        world.server.put(&path, Reply::Elsewhere(elsewhere));
        world
            .server
            .put(&format!("there/{name}"), Reply::Whole(bytes.clone()));
        let binaries = format!(
            "  mirror: {}\n  sources:\n  - from: \"{{version}}/{{arch}}/{name}\"\n    \
             sha256: {{amd64: {sum}}}\n    members: {members}\n",
            world.server.url("")
        );
        let first = ended(&world.fetch(&binaries, &["--arch", "amd64"])?, 0)?;
        for name in &world.names {
            holds(&first, &format!("  {name}  "))?;
        }
        let asked = world.server.asked();
        if asked != [format!("/{path}"), format!("/there/{name}")] {
            return Err(format!("{asked:?}").into());
        }
        let second = ended(&world.fetch(&binaries, &["--arch", "amd64"])?, 0)?;
        let asked = world.server.asked();
        if second != first || !asked.is_empty() {
            return Err(format!("again: {asked:?}\n{second}").into());
        }
        fs::write(world.path(name), &bytes)?;
        let local = format!(
            "  sources:\n  - from: {name}\n    sha256: {{amd64: {sum}}}\n    members: {members}\n"
        );
        fs::remove_dir_all(world.path("cache"))?;
        if ended(&world.fetch(&local, &["--arch", "amd64"])?, 0)? != first {
            return Err(format!("{name} from a path is another").into());
        }
    }
    Ok(())
}

/// Two architectures, each with its archive and its single files; a bundle of both is a folder
/// that is taken in their place.
fn architectures() -> Tried {
    let world = World::new()?;
    let all = world.members();
    let mut sums = Vec::new();
    for architecture in ["amd64", "arm64"] {
        let bytes = gzip(&world.tar(architecture)?)?;
        sums.push(format!("{architecture}: {}", sum(&bytes)));
        let path = format!("all-{architecture}.tar.gz");
        world.server.put(&path, Reply::Whole(bytes));
    }
    let binaries = format!(
        "  mirror: {}\n  sources:\n  - from: \"all-{{arch}}.tar.gz\"\n    sha256: {{{}}}\n    members: {all}\n",
        world.server.url(""),
        sums.join(", ")
    );
    let into = world.path("bundle").display().to_string();
    let both = ["--arch", "amd64", "--arch", "arm64", "--into", &into];
    let printed = ended(&world.fetch(&binaries, &both)?, 0)?;
    for architecture in ["amd64", "arm64"] {
        let bytes = content("etcd", architecture);
        holds(
            &printed,
            &format!("{architecture}  {}  etcd  ", sum(&bytes)),
        )?;
        if fs::read(world.path("bundle").join(architecture).join("etcd"))? != bytes {
            return Err(format!("another architecture's etcd for {architecture}").into());
        }
    }
    let good = Command::new("sha256sum")
        .args(["--check", "--quiet", "SHA256SUMS"])
        .current_dir(world.path("bundle"))
        .status()?;
    if !good.success() {
        return Err("sha256sum does not agree with the bundle".into());
    }
    world.server.asked();
    let carried = ended(&world.fetch("  folder: bundle\n", &["--arch", "arm64"])?, 0)?;
    holds(&carried, "bundle/arm64/etcd")?;
    if !world.server.asked().is_empty() {
        return Err("a bundle was not enough".into());
    }
    let lacking = ended(
        &world.fetch(
            &binaries.replace(
                &format!(
                    "arm64: {}",
                    sums.last()
                        .and_then(|sum| sum.strip_prefix("arm64: "))
                        .unwrap_or_default()
                ),
                "",
            ),
            &["--arch", "arm64"],
        )?,
        1,
    )?;
    holds(
        &lacking,
        "arm64  there is no etcd; write it into binaries.sources",
    )
}

/// What a server does, and what is said of it.
fn wrong() -> Tried {
    let world = World::new()?;
    let good = world.tar("v1")?;
    let url = |path: &str| world.server.url(path);
    world.server.put("half.tar", Reply::Half(good.clone()));
    world
        .server
        .put("other.tar", Reply::Whole(world.tar("v2")?));
    world
        .server
        .put("round.tar", Reply::Elsewhere(url("round.tar")));
    world.server.put(
        "file.tar",
        Reply::Elsewhere("file:///etc/passwd".to_owned()),
    );
    world.server.put("private.tar", Reply::Status(403));
    let sum = sum(&good);
    let members = world.members();
    for (from, said) in [
        (
            url("none.tar"),
            "the server has no such file (404); correct binaries.sources[].from",
        ),
        (url("half.tar"), "the file ended too early"),
        (
            url("other.tar"),
            "it is another version, or not from whom you think",
        ),
        (
            url("round.tar"),
            "the server leads elsewhere without an end",
        ),
        (
            url("file.tar"),
            "the server leads elsewhere without an end, or to what is not HTTP",
        ),
        (
            url("private.tar"),
            "the server answered 403; where it wants a user, write him into ~/.netrc",
        ),
        (
            "http://127.0.0.1:1/none.tar".to_owned(),
            "the server does not answer",
        ),
        (
            "file:///nowhere/none.tar".to_owned(),
            "/nowhere/none.tar cannot be read",
        ),
    ] {
        let binaries = format!(
            "  sources:\n  - from: {from}\n    sha256: {{amd64: {sum}}}\n    members: {members}\n"
        );
        let printed = ended(&world.fetch(&binaries, &["--arch", "amd64"])?, 1)?;
        holds(&printed, said)?;
        holds(&printed, from.trim_start_matches("file://"))?;
        if !world.kept()?.is_empty() {
            return Err(format!("{from}: {:?} was kept", world.kept()?).into());
        }
    }
    Ok(())
}

/// Members that are missing, links, or lead out: nothing is taken.
fn members() -> Tried {
    let world = World::new()?;
    let binaries = |bytes: &[u8], form: &str| -> Tried<String> {
        fs::write(world.path(&format!("one.{form}")), bytes)?;
        Ok(format!(
            "  sources:\n  - from: one.{form}\n    sha256: {{amd64: {}}}\n    members: {{etcd: bin/etcd}}\n",
            sum(bytes)
        ))
    };
    let (good, again) = (one("bin/etcd")?, ["bin/etcd", "./bin/etcd"]);
    let twice = tar(again.into_iter().map(|path| (path.to_owned(), Vec::new())))?;
    for (bytes, form, said) in [
        (
            one("etcd-v3/etcd")?,
            "tar",
            "has no member \"bin/etcd\" for etcd; did you mean \"etcd-v3/etcd\"?",
        ),
        (
            link(EntryType::Symlink)?,
            "tar",
            "the member \"bin/etcd\" is a symbolic link, no file",
        ),
        (
            link(EntryType::Link)?,
            "tar",
            "the member \"bin/etcd\" is a hard link, no file",
        ),
        (
            outside()?,
            "tar",
            "the member \"../bin/etcd\" leads out of the archive",
        ),
        (
            huge()?,
            "tar",
            "the member \"bin/etcd\" has 2147483648 octets",
        ),
        (
            twice,
            "tar",
            "the member \"bin/etcd\" is there more than once",
        ),
        (
            good.clone(),
            "tar.gz",
            "the archive cannot be unpacked; is it packed as its name says",
        ),
        (
            good,
            "tar.zst",
            "the archive cannot be unpacked; is it packed as its name says",
        ),
    ] {
        let text = binaries(&bytes, form)?;
        let printed = ended(&world.fetch(&text, &["--arch", "amd64"])?, 1)?;
        holds(&printed, said)?;
        if world.kept()?.iter().any(|path| path.contains("/unpacked/")) {
            return Err(format!("{:?} was kept", world.kept()?).into());
        }
    }
    Ok(())
}

/// A program and an archive in the cache that have changed are not taken for what they were.
fn healed() -> Tried {
    let world = World::new()?;
    let bytes = world.tar("v1")?;
    let sum = sum(&bytes);
    world.server.put("all.tar", Reply::Whole(bytes));
    let binaries = format!(
        "  mirror: {}\n  sources:\n  - from: all.tar\n    sha256: {{amd64: {sum}}}\n    members: {}\n",
        world.server.url(""),
        world.members()
    );
    let first = ended(&world.fetch(&binaries, &["--arch", "amd64"])?, 0)?;
    let etcd = world.path("cache/unpacked").join(&sum).join("etcd");
    let archive = world.path("cache/files").join(&sum);
    let put = |path: &Path| fs::write(path, "damaged");
    world.server.asked();
    for (damaged, fetched) in [(vec![&etcd], 0), (vec![&etcd, &archive], 1)] {
        for path in damaged {
            put(path)?;
        }
        if ended(&world.fetch(&binaries, &["--arch", "amd64"])?, 0)? != first {
            return Err("another program".into());
        }
        if fs::read(&etcd)? != content("etcd", "v1") {
            return Err("the damaged program is still there".into());
        }
        let asked = world.server.asked().len();
        if asked != fetched {
            return Err(format!("fetched {asked} times, not {fetched}").into());
        }
    }
    Ok(())
}
