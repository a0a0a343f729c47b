//! Authorities that are there already, those whose keys are kept elsewhere, and keys of either
//! kind; what is issued and what others have signed, as OpenSSL sees it.

use std::path::PathBuf;
use std::process::Command;

use pki::KeyKind;
use sternpost::apply::{self, Kept};
use sternpost::resource::{Authority, Certificate};

use super::*;

/// A single master, with authorities of a folder.
const MASTER: &str = "apiVersion: sternpost/v1\nkind: Cluster\nkubernetes: {version: 1.36.3}\n\
                      balancer: {mode: none}\nnetworks: {betweenPods: none, proxy: none}\n\
                      pki: {authorities: given}\nhosts:\n\
                      - {name: m1, addresses: [\"192.0.2.1\"], roles: [etcd, controlPlane]}\n";

fn openssl(folder: &Path, line: &str) -> Tried<String> {
    let output = Command::new("openssl")
        .current_dir(folder)
        .args(line.split(' '))
        .output()?;
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        false => Err(format!("openssl {line}: {output:?}").into()),
    }
}

/// A folder with authorities as openssl makes them: one of RSA as kubeadm's, the others on
/// P-256; and the key pair of service accounts.
fn given() -> Tried<TempDir> {
    let folder = tempfile::tempdir()?;
    let given = folder.path().join("given");
    fs::create_dir_all(given.join("etcd"))?;
    for (name, key) in [
        ("ca", "rsa:2048"),
        ("etcd/ca", "ec -pkeyopt ec_paramgen_curve:P-256"),
        ("front-proxy-ca", "ec -pkeyopt ec_paramgen_curve:P-256"),
    ] {
        let subject = name.replace('/', "-");
        openssl(
            &given,
            &format!(
                "req -x509 -newkey {key} -nodes -days 30 -subj /CN={subject} -keyout {name}.key \
                 -out {name}.crt -addext basicConstraints=critical,CA:TRUE \
                 -addext keyUsage=critical,keyCertSign,cRLSign,digitalSignature"
            ),
        )?;
    }
    openssl(&given, "genrsa -out sa.key 2048")?;
    openssl(&given, "rsa -in sa.key -pubout -out sa.pub")?;
    Ok(folder)
}

fn certificates(world: &World) -> impl Iterator<Item = &Certificate> {
    world.wanted.iter().filter_map(Resource::certificate)
}

fn pki_of(world: &World) -> PathBuf {
    world.root().join("etc/kubernetes/pki")
}

/// OpenSSL believes every certificate of the host, for what it is for.
fn believed(world: &World) -> Tried {
    let pki = pki_of(world);
    for certificate in certificates(world) {
        let purposes: &[&str] = match certificate.profile.purpose {
            pki::Purpose::Server => &["sslserver"],
            pki::Purpose::Client => &["sslclient"],
            pki::Purpose::Peer => &["sslserver", "sslclient"],
        };
        for purpose in purposes {
            let (ca, name) = (certificate.authority.name(), &certificate.name);
            let line = format!(
                "verify -x509_strict -purpose {purpose} -CAfile {ca}.crt {name}.crt"
            );
            openssl(&pki, &line)?;
        }
    }
    Ok(())
}

pub(super) fn taken_over() -> Tried {
    let folder = given()?;
    let mut world = World::of(folder, MASTER)?;
    let held = [("m1".to_owned(), Ok(Kept::None))];
    let material = apply::settle(&held, &world.cluster, world.now)?;
    world.apply(&material, FOREVER)?;
    believed(&world)?;
    let same = |ours: &str, theirs: &str| -> Tried<bool> {
        let ours = fs::read(pki_of(&world).join(ours))?;
        Ok(ours == fs::read(world.folder.path().join("given").join(theirs))?)
    };
    for name in ["ca.crt", "ca.key", "sa.key", "sa.pub", "etcd/ca.crt"] {
        if !same(name, name)? {
            return Err(format!("{name} is another").into());
        }
    }
    // Keys that nothing on the host signs with lie with what the masters keep, for root alone.
    for name in ["etcd/ca.key", "front-proxy-ca.key"] {
        if pki_of(&world).join(name).exists() {
            return Err(format!("{name} lies where nobody needs it").into());
        }
    }
    if !world.apply(&material, FOREVER)?.steps.is_empty() {
        return Err("a second time there is something to do".into());
    }
    // A certificate cannot outlive who signed it.
    let ends = openssl(
        &pki_of(&world),
        "x509 -in apiserver.crt -noout -checkend 2592001",
    );
    if ends.is_ok() {
        return Err("a leaf outlives its authority".into());
    }
    // The masters have them: the folder may go, and another one is refused.
    let kept = [("m1".to_owned(), Ok(Kept::All(material.text())))];
    let bare = MASTER.replace("pki: {authorities: given}\n", "");
    let bare = spec::parse("cluster.yaml", &bare)?.cluster;
    apply::settle(&kept, &bare, world.now)?;
    let other = given()?;
    fs::write(other.path().join("cluster.yaml"), MASTER)?;
    let other = spec::read(&other.path().join("cluster.yaml"))?.cluster;
    let error = apply::settle(&kept, &other, world.now).map(drop);
    let error = error.err().ok_or("another authority was taken")?;
    let said = daemon::chain(&error);
    if !said.contains("the masters hold another ca.crt than pki.authorities does") {
        return Err(said.into());
    }
    let late = world.now + Duration::from_secs(31 * 86_400);
    match apply::settle(&held, &world.cluster, late) {
        Ok(_) => Err("one that has ended was taken over".into()),
        Err(error) if daemon::chain(&error).contains("ca.crt is not valid today") => {
            Ok(())
        }
        Err(error) => Err(daemon::chain(&error).into()),
    }
}

/// What is done to the folder, and what is said of it.
pub(super) fn refused() -> Tried {
    type Damage = fn(&Path) -> Tried;
    let tries: [(Damage, &str); 9] = [
        (
            |given| {
                Ok(
                    fs::copy(given.join("etcd/ca.key"), given.join("ca.key"))
                        .map(drop)?,
                )
            },
            "the key is not that of the certificate",
        ),
        (
            |given| Ok(fs::remove_file(given.join("ca.crt"))?),
            "ca.key and without the certificate beside it",
        ),
        (
            |given| Ok(fs::remove_file(given.join("sa.pub"))?),
            "has one of sa.key and sa.pub",
        ),
        (
            |given| openssl(given, "genrsa -out sa.key 2048").map(drop),
            "has a sa.pub that is not sa.key's",
        ),
        (
            |given| Ok(fs::write(given.join("ca.crt"), "nothing")?),
            "which holds no CERTIFICATE in PEM form",
        ),
        (
            |given| {
                let line = "req -x509 -key ca.key -days 30 -subj /CN=leaf -out ca.crt -addext \
                            basicConstraints=critical,CA:FALSE";
                openssl(given, line).map(drop)
            },
            "the certificate is not an authority's",
        ),
        (
            |given| {
                let line = "req -x509 -key ca.key -days 30 -subj /CN=ca -out ca.crt -addext \
                            basicConstraints=critical,CA:TRUE -addext keyUsage=critical,cRLSign";
                openssl(given, line).map(drop)
            },
            "the authority may not sign certificates",
        ),
        (too_deep, "lets no authority stand below it"),
        (
            |given| Ok(fs::remove_dir_all(given)?),
            "in which there is none of ca.crt, etcd/ca.crt and front-proxy-ca.crt",
        ),
    ];
    for (damage, wanted) in tries {
        let folder = given()?;
        damage(&folder.path().join("given"))?;
        said(&folder, MASTER, wanted)?;
    }
    // A kubelet gets its certificates from a signer in the cluster.
    let folder = given()?;
    fs::remove_file(folder.path().join("given/ca.key"))?;
    let node =
        format!("{MASTER}- {{name: n1, addresses: [\"192.0.2.2\"], roles: [node]}}\n");
    said(
        &folder,
        &node,
        "has no ca.key, and the kubelet of n1 needs a signer",
    )
}

fn said(folder: &TempDir, text: &str, wanted: &str) -> Tried {
    let path = folder.path().join("cluster.yaml");
    fs::write(&path, text)?;
    let errors = match spec::read(&path) {
        Ok(_) => return Err(format!("good, and not: {wanted}").into()),
        Err(errors) => errors.to_string(),
    };
    let line = errors.lines().any(|line| {
        line.contains("cluster.yaml:6: pki.authorities: ") && line.contains(wanted)
    });
    match line && !errors.contains("PRIVATE KEY-----") {
        true => Ok(()),
        false => Err(format!("no {wanted} in\n{errors}").into()),
    }
}

/// An authority below one that lets none stand below it.
fn too_deep(given: &Path) -> Tried {
    openssl(
        given,
        "req -x509 -key ca.key -days 30 -subj /CN=root -out root.crt -addext \
         basicConstraints=critical,CA:TRUE,pathlen:0 -addext keyUsage=critical,keyCertSign",
    )?;
    openssl(given, "genrsa -out below.key 2048")?;
    openssl(
        given,
        "req -new -key below.key -subj /CN=below -out below.csr",
    )?;
    fs::write(
        given.join("below.ext"),
        "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign\n",
    )?;
    openssl(
        given,
        "x509 -req -in below.csr -CA root.crt -CAkey ca.key -days 30 -extfile below.ext -out below.crt",
    )?;
    let chain = fs::read_to_string(given.join("below.crt"))?
        + &fs::read_to_string(given.join("root.crt"))?;
    fs::write(given.join("ca.crt"), chain)?;
    Ok(fs::rename(given.join("below.key"), given.join("ca.key"))?)
}

/// An operator without a key: what is to be signed is written out, its keeper signs it with
/// OpenSSL, and only then is there something to lay down.
pub(super) fn external() -> Tried {
    let folder = given()?;
    let given = folder.path().join("given");
    // What the keeper has.
    let keeper = tempfile::tempdir()?;
    for name in Authority::ALL.map(Authority::name) {
        let to = keeper.path().join(name.replace('/', "-"));
        fs::rename(given.join(format!("{name}.key")), to)?;
    }
    let mut world = World::of(folder, MASTER)?;
    let material = apply::settle(
        &[("m1".to_owned(), Ok(Kept::None))],
        &world.cluster,
        world.now,
    )?;
    let (open, all) = asked(&world)?;
    if open != all || all < 8 {
        return Err(format!("{open} of {all} are missing").into());
    }
    if world.apply(&material, FOREVER).is_ok() {
        return Err("it was laid down without its certificates".into());
    }
    written_out(&world, 1)?;
    signed_by(&world, keeper.path())?;
    written_out(&world, 0)?;
    // Read again, with what was signed.
    world.cluster = spec::read(&world.folder.path().join("cluster.yaml"))?.cluster;
    if asked(&world)? != (0, all) {
        return Err(format!("still {:?}", asked(&world)?).into());
    }
    world.apply(&material, FOREVER)?;
    believed(&world)?;
    let keys = world.listing()?;
    if keys.iter().any(|line| line.contains("ca.key ")) {
        return Err("an authority's key is on the host".into());
    }
    if !world.apply(&material, FOREVER)?.steps.is_empty() {
        return Err("a second time there is something to do".into());
    }
    let bare = MASTER.replace("pki: {authorities: given}\n", "");
    let bare = spec::parse("cluster.yaml", &bare)?.cluster;
    let kept = [("m1".to_owned(), Ok(Kept::All(material.text())))];
    match apply::settle(&kept, &bare, world.now).map_err(|error| daemon::chain(&error)) {
        Err(said) if said.contains("hold no key of ca.crt: it is kept elsewhere") => {
            Ok(())
        }
        other => Err(format!("{other:?}").into()),
    }
}

/// Requests that are outstanding, and all of them.
fn asked(world: &World) -> Tried<(usize, usize)> {
    let all = apply::requests(&world.cluster, "m1", &world.wanted, world.now);
    Ok((apply::outstanding(&all).len(), all.len()))
}

/// `sternpost requests` ends with `code`, and keeps the keys that are there.
fn written_out(world: &World, code: i32) -> Tried {
    let key = world.folder.path().join("requests/m1/etcd/peer.key");
    let before = fs::read(&key).ok();
    let output = Command::new(env!("CARGO_BIN_EXE_sternpost"))
        .arg("requests")
        .arg("--spec")
        .arg(world.folder.path().join("cluster.yaml"))
        .output()?;
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let verdict = if code == 0 { "good" } else { "there is none" };
    let line = format!("m1/etcd/peer, signed by etcd/ca.crt: {verdict}");
    if output.status.code() != Some(code) || !printed.lines().any(|one| one == line) {
        return Err(format!("{output:?}").into());
    }
    let mode = fs::metadata(&key)?.permissions().mode() & 0o7777;
    if mode != 0o600 || before.is_some_and(|before| fs::read(&key).ok() != Some(before)) {
        return Err(format!("the key: {mode:o}").into());
    }
    Ok(())
}

fn signed_by(world: &World, keeper: &Path) -> Tried {
    let requests = world.folder.path().join("requests/m1");
    for certificate in certificates(world) {
        let (name, authority) = (&certificate.name, certificate.authority.name());
        let ca = world.folder.path().join(format!("given/{authority}.crt"));
        let key = keeper.join(authority.replace('/', "-"));
        let line = format!(
            "x509 -req -in {name}.csr -CA {} -CAkey {} -days 20 -copy_extensions copyall -out {name}.crt",
            ca.display(),
            key.display()
        );
        openssl(&requests, &line)?;
    }
    Ok(())
}

/// Authorities and leaves of P-256 and of RSA, of every host; another kind is issued anew.
pub(super) fn kinds() -> Tried {
    for kind in KeyKind::ALL {
        let text = MASTER.replace("authorities: given", &format!("keyType: {kind}"));
        let mut world = World::of(tempfile::tempdir()?, &text)?;
        let material = apply::settle(
            &[("m1".to_owned(), Ok(Kept::None))],
            &world.cluster,
            world.now,
        )?;
        world.apply(&material, FOREVER)?;
        believed(&world)?;
        let bits = match kind {
            KeyKind::P256 => "(256 bit)",
            KeyKind::Rsa2048 => "(2048 bit)",
        };
        let pki = pki_of(&world);
        for name in ["ca", "apiserver", "etcd/peer"] {
            let line = format!("x509 -in {name}.crt -noout -text");
            if !openssl(&pki, &line)?.contains(bits) {
                return Err(format!("{name} is not of {bits}").into());
            }
        }
        let public = openssl(&pki, "pkey -in sa.key -pubout")?;
        if public != fs::read_to_string(pki.join("sa.pub"))? {
            return Err("sa.pub is not sa.key's".into());
        }
        if !world.apply(&material, FOREVER)?.steps.is_empty() {
            return Err("a second time there is something to do".into());
        }
        let mut kinds = KeyKind::ALL.into_iter();
        let other = kinds.find(|other| *other != kind).ok_or("no other")?;
        world.cluster.key_kind = other;
        let plan = world.apply(&material, FOREVER)?;
        let line = format!(
            "issue certificate apiserver by kubernetes-ca: its key is not {other}"
        );
        if !show(&plan).contains(&line) {
            return Err(show(&plan).into());
        }
        believed(&world)?;
    }
    Ok(())
}
