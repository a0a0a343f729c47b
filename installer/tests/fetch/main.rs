//! Programs that are fetched: from a server on the loopback address, from archives of each form,
//! for each architecture. What is not what it should be is kept nowhere, and said.
//!
//! Leaves to others: bringing them to hosts.

mod archives;
mod server;
mod world;

use std::fs;
use std::path::Path;
use std::process::Command;

use lab::requirement::{Requirement, trial};
use libtest_mimic::{Arguments, Failed};
use ruzstd::encoding::{CompressionLevel, compress_to_vec};
use tar::EntryType;

use archives::{gzip, huge, link, one, outside, tar};
use server::Reply;
use world::{World, content, ended, holds, sum};

type Tried<T = ()> = Result<T, Failed>;
type Test = fn() -> Tried;

fn main() {
    let tests: [(&str, Test); 6] = [
        ("archives_of_each_form_give_their_programs", forms),
        (
            "each_architecture_has_its_own_and_a_bundle_of_all",
            architectures,
        ),
        ("what_a_server_does_wrong_is_named_with_the_way_out", wrong),
        ("what_is_no_program_in_an_archive_is_refused", members),
        ("what_is_damaged_in_the_cache_is_made_anew", healed),
        ("what_a_folders_list_says_is_looked_at", listed),
    ];
    let trials = tests.map(|(name, test)| trial(name, &[Requirement::Curl], test));
    libtest_mimic::run(&Arguments::from_args(), trials.into()).exit();
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

/// A folder whose programs are not what its list says gives no bundle.
fn listed() -> Tried {
    let world = World::new()?;
    let folder = world.path("binaries");
    fs::create_dir(&folder)?;
    let mut list = String::new();
    for name in &world.names {
        let bytes = content(name, "v1");
        list.push_str(&format!("{}  {name}\n", sum(&bytes)));
        fs::write(folder.join(name), bytes)?;
    }
    fs::write(folder.join("SHA256SUMS"), list)?;
    let into = world.path("bundle").display().to_string();
    let fetch = || {
        world.fetch(
            "  folder: binaries\n",
            &["--arch", "amd64", "--into", &into],
        )
    };
    fs::write(folder.join("etcd"), "another")?;
    fs::remove_file(folder.join("kubectl"))?;
    let printed = ended(&fetch()?, 1)?;
    let (found, wanted) = (sum(b"another"), sum(&content("etcd", "v1")));
    holds(
        &printed,
        &format!("/binaries/etcd has the checksum {found}, not {wanted}; bring the one"),
    )?;
    holds(&printed, "/binaries/kubectl cannot be read: No such file")?;
    if world.path("bundle").exists() {
        return Err("a bundle was made of it".into());
    }
    for name in ["etcd", "kubectl"] {
        fs::write(folder.join(name), content(name, "v1"))?;
    }
    ended(&fetch()?, 0)?;
    match world.path("bundle/amd64/kubectl").exists() {
        true => Ok(()),
        false => Err("no bundle was made".into()),
    }
}
