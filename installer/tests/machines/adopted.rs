//! An etcd that is there already and that others look after: a cluster of one master, without a
//! balancer, uses it. What speaks against that is named before anything is laid down, and what
//! is theirs is left as it was.
//!
//! Leaves to `shapes`: etcd of our own on a host of its own.

use std::fs::{self, Permissions};
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::SystemTime;

use lab::requirement;
use lab::rig::{Box, Rig, Run};
use libtest_mimic::Failed;
use pki::{Authority, Name, Profile};

use super::checks::{self, holds};
use super::{BARE, leave, node, shapes};

/// Stands in no description.
const THEIRS: Box = Box::new("x1", 41, "");
const MASTER: Box = Box::new("m1", 11, "controlPlane");
const ENDPOINT: &str = "https://10.79.0.41:2379";
/// Whatever is theirs lies there, but for the unit.
const STORE: &str = "/srv/store";
const UNIT: &str = "[Unit]\nDescription=The store of somebody else\n\
    [Service]\nType=notify\nRestart=always\nExecStart=/srv/store/etcd --name=x1 \
    --data-dir=/srv/store/data --listen-client-urls=https://10.79.0.41:2379 \
    --advertise-client-urls=https://10.79.0.41:2379 --listen-peer-urls=http://127.0.0.1:2380 \
    --client-cert-auth=true --trusted-ca-file=/srv/store/ca.crt \
    --cert-file=/srv/store/server.crt --key-file=/srv/store/server.key\n";
const ETCDCTL: &str = "/srv/store/etcdctl --endpoints=https://10.79.0.41:2379 \
    --cacert=/srv/store/ca.crt --cert=/srv/store/server.crt --key=/srv/store/server.key";
/// Their process, and how often it was started again.
const PROCESS: &str = "systemctl show --property=MainPID,NRestarts store.service";

#[expect(
    clippy::print_stdout,
    reason = "how long it took belongs to the result"
)]
pub(crate) fn used() -> Result<(), Failed> {
    let rig = Rig::boot("installer-adopted", &[THEIRS, MASTER])?;
    rig.programs()?;
    let theirs = Theirs::begin(&rig)?;
    let mut before = leave::standing(&rig)?;
    let store = before.remove(THEIRS.name).ok_or("no x1")?;
    refused(&rig, &theirs)?;
    let process = rig.on(THEIRS.name, PROCESS)?;
    let sound = rig.asked("preflight", &[])?.ended(0)?;
    if sound.printed.contains("etcd.external") {
        return Err(format!("something is found:\n{}", sound.printed).into());
    }
    let first = rig.apply(&[])?.ended(0)?;
    println!("apply with an etcd of others: {:.1?}", first.took);
    serves(&rig)?;
    let second = rig.apply(&[])?.ended(0)?;
    checks::left_alone(&second, MASTER.name)?;
    for run in [&first, &second] {
        checks::no_secret(run)?;
    }
    let reset = leave::emptied(&rig, &before, |words| rig.asked("reset", words))?;
    holds(
        &reset.printed,
        &format!("keep what the cluster has written below /registry of {ENDPOINT}"),
    )?;
    let after = leave::standing(&rig)?;
    let after = after.get(THEIRS.name).ok_or("no x1")?;
    leave::differ(&store, after).map_err(|odd| format!("x1: {odd}"))?;
    leave::differ(&process, &rig.on(THEIRS.name, PROCESS)?)?;
    kept(&rig)?;
    // Another cluster may begin there, and what is theirs is theirs.
    let del = format!("{ETCDCTL} del --prefix /registry/");
    rig.on(THEIRS.name, &del)?;
    let all = format!("{ETCDCTL} get --prefix --keys-only /");
    match rig.on(THEIRS.name, &all)?.trim() {
        "/theirs/first" => Ok(()),
        left => Err(format!("there is still {left}").into()),
    }
}

/// Somebody's etcd, and who signs for it.
struct Theirs {
    authority: Authority,
    stranger: Authority,
}

impl Theirs {
    /// It runs, with something of theirs in it, and the description names it.
    fn begin(rig: &Rig) -> Result<Self, Failed> {
        let now = SystemTime::now();
        let authority = Authority::new("their etcd", now)?;
        let names = vec![Name::Address(IpAddr::V4(THEIRS.address()))];
        let server = authority.issue(&Profile::peer("x1", names), now)?;
        let [_, leader] = rig.machine(THEIRS.name)?.processes();
        let root = PathBuf::from(format!("/proc/{leader}/root"));
        let store = root.join(STORE.trim_start_matches('/'));
        fs::create_dir_all(&store)?;
        for name in ["etcd", "etcdctl"] {
            fs::copy(requirement::kubernetes().join(name), store.join(name))?;
            fs::set_permissions(store.join(name), Permissions::from_mode(0o755))?;
        }
        fs::write(store.join("ca.crt"), authority.certificate_pem())?;
        fs::write(store.join("server.crt"), &server.certificate_pem)?;
        fs::write(store.join("server.key"), server.key_pem.expose())?;
        fs::write(root.join("etc/systemd/system/store.service"), UNIT)?;
        rig.on(
            THEIRS.name,
            "systemctl daemon-reload && systemctl start store",
        )?;
        rig.on(THEIRS.name, &format!("{ETCDCTL} put /theirs/first theirs"))?;
        let external = format!(
            "balancer: {{mode: none}}\netcd: {{external: {{endpoints: [\"{ENDPOINT}\"], \
             caFile: store/ca.crt, certFile: store/client.crt, keyFile: store/client.key}}}}\n"
        );
        shapes::described(rig, &[MASTER], &format!("{external}{BARE}"))?;
        let stranger = Authority::new("their etcd", now)?;
        Ok(Self {
            authority,
            stranger,
        })
    }

    /// The operator has an authority to trust, and a certificate that one has signed.
    fn given(rig: &Rig, trusted: &Authority, signer: &Authority) -> Result<(), Failed> {
        let client = signer.issue(&Profile::client("lab", &[]), SystemTime::now())?;
        let folder = rig.folder.join("store");
        fs::create_dir_all(&folder)?;
        fs::write(folder.join("ca.crt"), trusted.certificate_pem())?;
        fs::write(folder.join("client.crt"), &client.certificate_pem)?;
        fs::write(folder.join("client.key"), client.key_pem.expose())?;
        Ok(())
    }
}

/// A certificate that they do not take, a member that is not theirs, one that is down: each is
/// named with the way out, by `preflight` and by `apply`, which lays nothing down. The right
/// ones are there in the end.
fn refused(rig: &Rig, theirs: &Theirs) -> Result<(), Failed> {
    let Theirs {
        authority,
        stranger,
    } = theirs;
    Theirs::given(rig, authority, stranger)?;
    named(
        rig,
        "does not take the certificate",
        "etcd.external.certFile",
    )?;
    Theirs::given(rig, stranger, authority)?;
    named(rig, "is not to be trusted: ", "etcd.external.caFile")?;
    Theirs::given(rig, authority, authority)?;
    rig.on(THEIRS.name, "systemctl stop store")?;
    named(rig, "does not answer: connection refused", "start it")?;
    rig.on(THEIRS.name, "systemctl start store").map(drop)
}

fn named(rig: &Rig, why: &str, way_out: &str) -> Result<(), Failed> {
    let why = format!("{ENDPOINT} of etcd.external {why}");
    let fits = |run: Run, line: &str| -> Result<(), Failed> {
        let run = run.ended(1)?;
        checks::no_secret(&run)?;
        let mut lines = run.printed.lines();
        match lines.find(|one| one.contains(line) && one.contains(way_out)) {
            Some(_) => Ok(()),
            None => {
                Err(format!("no {line:?} with {way_out:?} in\n{}", run.printed).into())
            }
        }
    };
    let preflight = rig.asked("preflight", &[])?;
    fits(preflight, &format!("m1: blocks: {why}"))?;
    fits(rig.apply(&[])?, &why)?;
    match rig.on(MASTER.name, "ls -d /etc/kubernetes 2>/dev/null; true")? {
        there if there.trim().is_empty() => Ok(()),
        there => Err(format!("it was begun: {there}").into()),
    }
}

/// The API serves out of their etcd, what is checked of it is good, and there is none of ours.
fn serves(rig: &Rig) -> Result<(), Failed> {
    node::kubectl(rig, "create configmap planted --from-literal=a=b")?;
    let get = "get --keys-only /registry/configmaps/default/planted";
    let said = rig.on(THEIRS.name, &format!("{ETCDCTL} {get}"))?;
    holds(&said, "/registry/configmaps/default/planted")?;
    leave::well(rig)?;
    let run = rig.asked("verify", &[])?.ended(0)?;
    holds(&run.printed, "good: it answers the API server")?;
    holds(&run.printed, "API through 10.79.0.11:6443")?;
    rig.on(MASTER.name, "test ! -e /var/lib/etcd").map(drop)
}

/// What the cluster has written is there, and what was there before it.
fn kept(rig: &Rig) -> Result<(), Failed> {
    let all = format!("{ETCDCTL} get --prefix --keys-only /");
    let said = rig.on(THEIRS.name, &all)?;
    for key in ["/registry/configmaps/default/planted", "/theirs/first"] {
        holds(&said, key)?;
    }
    Ok(())
}
