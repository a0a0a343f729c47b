//! Every rendered command line and configuration, given to the component it is for: the real
//! binaries parse their flags and files, and say whether they know them.
//!
//! Leaves to others: what a component then does with them.

#[path = "accepted/containerd.rs"]
mod containerd;
#[path = "accepted/registries.rs"]
mod registries;
#[path = "accepted/units.rs"]
mod units;

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use lab::requirement::{self, Requirement, trial};
use libtest_mimic::{Arguments, Failed};
use sternpost::render::{self, Known, Newcomers};
use sternpost::resource::Resource;
use sternpost::spec::{self, Cluster, Host};
use sternpost::versions::{NEWEST, OLDEST, Version};

/// A description without a key that only some versions know; the binaries are of one version.
const SPECS: [&str; 5] = ["whole", "dual", "external", "six", "leases"];
const COMPONENTS: [&str; 6] = [
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kubelet",
    "kube-proxy",
];

fn main() {
    let arguments = Arguments::from_args();
    let mut trials = Vec::new();
    for component in COMPONENTS {
        let name = format!("flags_of_{}", component.replace('-', "_"));
        trials.push(trial(name, &[Requirement::Kubernetes], move || {
            flags(component)
        }));
    }
    trials.push(trial(
        "a_flag_that_is_gone_is_found_out",
        &[Requirement::Kubernetes],
        gone,
    ));
    trials.push(trial(
        "configuration_of_kube_proxy",
        &[Requirement::Kubernetes],
        proxy,
    ));
    trials.push(trial("flags_of_flanneld", &[Requirement::Network], flannel));
    trials.push(trial(
        "the_corefile_serves",
        &[Requirement::Network],
        corefile,
    ));
    trials.push(trial(
        "configuration_of_containerd_1",
        &[Requirement::Runtime],
        containerd::of_one,
    ));
    trials.push(trial(
        "configuration_of_containerd_2",
        &[Requirement::Network],
        containerd::of_two,
    ));
    trials.push(trial(
        "a_registry_on_the_host_itself_is_asked_by_containerd_1",
        &[Requirement::Runtime, Requirement::Root],
        registries::of_one,
    ));
    trials.push(trial(
        "a_registry_on_the_host_itself_is_asked_by_containerd_2",
        &[Requirement::Network, Requirement::Root],
        registries::of_two,
    ));
    trials.push(trial(
        "the_image_of_pause_has_all_its_names",
        &[Requirement::Network],
        pause,
    ));
    trials.push(trial(
        "every_unit_is_one_that_systemd_knows",
        &[Requirement::Systemd],
        units::every_unit,
    ));
    trials.push(trial(
        "a_unit_that_systemd_does_not_know_is_found_out",
        &[Requirement::Systemd],
        units::odd,
    ));
    libtest_mimic::run(&arguments, trials).exit();
}

/// With `--version` each of them parses all its flags first, refuses unknown ones and values
/// of a wrong shape, and then runs nothing.
fn flags(component: &str) -> Result<(), Failed> {
    let mut seen = 0;
    hosts_of(Some(version()?), |_, _, resources| {
        let unit = format!("/etc/systemd/system/{component}.service");
        let Some(text) = file(resources, &unit) else {
            return Ok(());
        };
        seen += 1;
        parsed(component, &words(&text))
    })?;
    if seen == 0 {
        return Err(format!("no host runs {component}").into());
    }
    Ok(())
}

/// The version of the programs that are asked; descriptions are as if they were of that.
fn version() -> Result<Version, Failed> {
    let program = requirement::kubernetes().join("kubelet");
    let said = Command::new(program).arg("--version").output()?;
    let said = String::from_utf8(said.stdout)?;
    Version::said(&said).ok_or_else(|| format!("no version: {said}").into())
}

/// The test above can fail.
fn gone() -> Result<(), Failed> {
    for (component, flag) in [
        ("kube-apiserver", "--insecure-port=8080"),
        ("kube-scheduler", "--leader-election=true"),
        ("kubelet", "--network-plugin=cni"),
        ("kube-proxy", "--logtostderr=true"),
        ("etcd", "--enable-v2=true"),
    ] {
        if parsed(component, &[flag.to_owned()]).is_ok() {
            return Err(format!("{component} took {flag}").into());
        }
    }
    Ok(())
}

/// kube-proxy reads its file strictly, and writes it with its defaults instead of running.
fn proxy() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let (given, written) = (
        folder.path().join("given.yaml"),
        folder.path().join("written.yaml"),
    );
    let program = requirement::kubernetes().join("kube-proxy");
    let version = version()?;
    let mut seen = 0;
    hosts_of(Some(version), |cluster, host, resources| {
        let Some(text) = file(resources, "/etc/kubernetes/kube-proxy.yaml") else {
            return Ok(());
        };
        if text.contains("mode: nftables") && !version.features().nftables {
            // A description of that version is refused.
            return Ok(());
        }
        seen += 1;
        fs::write(&given, text)?;
        run(Command::new(&program)
            .arg(format!("--config={}", given.display()))
            .arg(format!("--write-config-to={}", written.display())))?;
        let text = fs::read_to_string(&written)?;
        let pods: Vec<_> = cluster
            .networks
            .pods
            .iter()
            .map(ToString::to_string)
            .collect();
        for wanted in [
            format!("clusterCIDR: {}", pods.join(",")),
            format!("hostnameOverride: {}", host.name),
        ] {
            if !text.contains(&wanted) {
                return Err(format!("no {wanted} in\n{text}").into());
            }
        }
        Ok(())
    })?;
    match seen {
        0 => Err("no host runs kube-proxy".into()),
        _ => Ok(()),
    }
}

/// With `-version` it parses all its flags first, as the others do; it ends well with one that
/// it does not know, but says so.
fn flannel() -> Result<(), Failed> {
    let mut seen = 0;
    for_every_host(|_, _, resources| {
        let unit = "/etc/systemd/system/flanneld.service";
        let Some(text) = file(resources, unit) else {
            return Ok(());
        };
        seen += 1;
        match unknown_to_flannel(&words(&text))? {
            None => Ok(()),
            Some(line) => Err(line.into()),
        }
    })?;
    let gone = unknown_to_flannel(&["--etcd-v2=true".to_owned()])?;
    match (seen, gone) {
        (1.., Some(_)) => Ok(()),
        (_, gone) => Err(format!("{seen} hosts, {gone:?}").into()),
    }
}

/// What flannel says of flags that it does not take.
fn unknown_to_flannel(flags: &[String]) -> Result<Option<String>, Failed> {
    let program = requirement::network().join("flanneld");
    let output = Command::new(program)
        .args(flags)
        .arg("--version")
        .output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    let first = said.lines().next().unwrap_or_default();
    let is_version = first
        .strip_prefix('v')
        .is_some_and(|rest| rest.contains('.'));
    Ok((!is_version).then(|| first.to_owned()))
}

/// CoreDNS reads the Corefile that is rendered and serves with it, on another port and with
/// no API behind it.
fn corefile() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("Corefile");
    let mut rendered = None;
    for_every_host(|_, _, resources| {
        let name = "/etc/kubernetes/addons/10-coredns.yaml";
        rendered = rendered.take().or_else(|| file(resources, name));
        Ok(())
    })?;
    let text = rendered.ok_or("no host has CoreDNS's objects")?;
    let start = text.find("    .:53 {").ok_or("no Corefile in it")?;
    let lines = text.get(start..).unwrap_or_default().lines();
    let lines = lines.take_while(|line| line.starts_with("    "));
    let corefile: Vec<_> = lines.map(str::trim_start).collect();
    let corefile = corefile
        .join("\n")
        .replace(".:53 {", ".:15353 {\nbind 127.0.0.1")
        .replace("ttl 30", "ttl 30\nendpoint http://127.0.0.1:1")
        .replace("lameduck 5s", "")
        .replace("health {\n\n}", "")
        .replace("prometheus :9153", "prometheus 127.0.0.1:15354")
        .replace("ready\n", "ready 127.0.0.1:15355\n");
    fs::write(&path, &corefile)?;
    // Ended from outside when it neither serves nor gives up.
    let mut child = Command::new("timeout")
        .args(["--kill-after=1", "60"])
        .arg(requirement::network().join("coredns"))
        .arg("-conf")
        .arg(&path)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let said = child.stdout.take().ok_or("no standard output")?;
    let mut lines = BufReader::new(said).lines().map_while(Result::ok);
    let serves = lines.any(|line| line.starts_with("CoreDNS-"));
    let id = child.id().to_string();
    Command::new("kill").arg(id).status()?;
    child.wait()?;
    match serves {
        true => Ok(()),
        false => Err(format!("it did not serve with\n{corefile}").into()),
    }
}

/// Hosts of the lab reach no registry: the image that is built for them is the one that each
/// version of Kubernetes asks for.
fn pause() -> Result<(), Failed> {
    let tar = requirement::network().join("pause.tar");
    let mut command = Command::new("tar");
    let index = command.arg("-xOf").arg(tar).arg("./index.json").output()?;
    let index = String::from_utf8(index.stdout)?;
    for minor in OLDEST..=NEWEST {
        let name = Version { minor, patch: 0 }.features().pause;
        if !index.contains(&format!("{name:?}")) {
            return Err(format!("1.{minor}: no {name} in {index}").into());
        }
    }
    Ok(())
}

pub(crate) fn for_every_host(
    check: impl FnMut(&Cluster, &Host, &[Resource]) -> Result<(), Failed>,
) -> Result<(), Failed> {
    hosts_of(None, check)
}

/// Of another version than what is described, where one is given.
fn hosts_of(
    version: Option<Version>,
    mut check: impl FnMut(&Cluster, &Host, &[Resource]) -> Result<(), Failed>,
) -> Result<(), Failed> {
    for name in SPECS {
        let path =
            Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/spec/{name}.yaml"));
        let mut cluster = spec::read(&path)?.cluster;
        cluster.version = version.unwrap_or(cluster.version);
        for host in &cluster.hosts {
            check(&cluster, host, &resources(&cluster, host))?;
        }
    }
    Ok(())
}

pub(crate) fn resources(cluster: &Cluster, host: &Host) -> Vec<Resource> {
    let known = Known {
        interface: "ens33".to_owned(),
        resolv_conf: None,
        newcomers: Newcomers::Expected,
        dials: None,
    };
    render::host(cluster, host, &known)
}

pub(crate) fn file(resources: &[Resource], wanted: &str) -> Option<String> {
    let mut files = resources.iter().filter_map(Resource::file);
    let found = files.find(|file| file.path == wanted);
    found.map(|file| file.content.clone())
}

/// The words after the program in a unit's command line, as systemd would split them; the
/// test's descriptions need no quotes.
fn words(unit: &str) -> Vec<String> {
    let lines = unit
        .lines()
        .skip_while(|line| !line.starts_with("ExecStart="));
    let mut words = Vec::new();
    for line in lines {
        let goes_on = line.ends_with('\\');
        let line = line.trim_end_matches('\\').trim();
        let flag = line.strip_prefix("--").map(|flag| format!("--{flag}"));
        words.extend(flag);
        if !goes_on {
            break;
        }
    }
    words
}

fn parsed(component: &str, flags: &[String]) -> Result<(), Failed> {
    let program: PathBuf = requirement::kubernetes().join(component);
    run(Command::new(program).args(flags).arg("--version"))
}

fn run(command: &mut Command) -> Result<(), Failed> {
    let output = command.output()?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said: Vec<_> = said.lines().rev().take(5).collect();
    Err(format!("{command:?}: {}\n{}", output.status, said.join("\n")).into())
}
