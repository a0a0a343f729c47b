//! All keys and certificates of three masters and two nodes: here, and by the commands that
//! people run for it. Interleaved rounds; the median and the spread of each, and of its ratio to
//! ours in the same round. Ends with 1 when ours take longer than they may.

#![expect(clippy::print_stdout, reason = "the table is the result")]

use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant, SystemTime};

use clap::Parser;
use pki::{KeyKind, Purpose};
use sternpost::apply::Material;
use sternpost::render::{self, Known, Newcomers};
use sternpost::resource::{Authority, Certificate, Resource};
use sternpost::spec::{self, Cluster};

type Failure = Box<dyn std::error::Error>;

const SPEC: &str = include_str!("../tests/spec/whole.yaml");
const SECOND: &str = "- {name: n2, addresses: [\"192.168.220.201\"], roles: [node]}\n";

/// What ours may take, P-256.
const BOUND: Duration = Duration::from_millis(50);

#[derive(Debug, Parser)]
struct Options {
    /// How often each is timed; an odd number has a median.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    rounds: u16,
    /// What cargo gives to every bench.
    #[arg(long, hide = true)]
    bench: bool,
}

/// Who makes them, and how.
struct Maker {
    name: &'static str,
    make: fn(&Cluster, KeyKind) -> Result<usize, Failure>,
    times: Vec<Duration>,
}

fn main() -> Result<ExitCode, Failure> {
    let options = Options::parse();
    let cluster = spec::parse("cluster.yaml", &format!("{SPEC}{SECOND}"))?.cluster;
    let mut code = ExitCode::SUCCESS;
    for kind in KeyKind::ALL {
        let mut makers = vec![maker("sternpost", ours)];
        for (name, make) in [("openssl", openssl as fn(&_, _) -> _), ("cfssl", cfssl)] {
            match Command::new(name).arg("version").output() {
                Ok(_) => makers.push(maker(name, make)),
                Err(_) => println!("{name} is not here: no row of it"),
            }
        }
        let mut keys = 0;
        for _ in 0..options.rounds {
            for maker in &mut makers {
                let begun = Instant::now();
                keys = (maker.make)(&cluster, kind)?;
                maker.times.push(begun.elapsed());
            }
        }
        println!(
            "{kind}, 3 masters and 2 nodes, {keys} keys, {} rounds",
            options.rounds
        );
        let own = makers.first().map(|own| own.times.clone());
        let own = own.unwrap_or_default();
        for maker in &makers {
            println!("{}", maker.row(&own));
        }
        let took = spread(own.iter().map(Duration::as_secs_f64)).0;
        if kind == KeyKind::P256 && took > BOUND.as_secs_f64() {
            println!("  ours take longer than {BOUND:?}");
            code = ExitCode::FAILURE;
        }
    }
    Ok(code)
}

fn maker(
    name: &'static str,
    make: fn(&Cluster, KeyKind) -> Result<usize, Failure>,
) -> Maker {
    Maker {
        name,
        make,
        times: Vec::new(),
    }
}

impl Maker {
    fn row(&self, own: &[Duration]) -> String {
        let ms = self.times.iter().map(|time| time.as_secs_f64() * 1000.0);
        let (median, least, most) = spread(ms);
        let pairs = self.times.iter().zip(own);
        let ratios = pairs.map(|(time, own)| time.as_secs_f64() / own.as_secs_f64());
        let (ratio, from, to) = spread(ratios);
        format!(
            "  {:<10} {median:>9.1} ms ({least:.1} to {most:.1}); \
             {ratio:.1} times ours ({from:.1} to {to:.1})",
            self.name,
        )
    }
}

/// The median, the least and the most.
fn spread(all: impl Iterator<Item = f64>) -> (f64, f64, f64) {
    let mut all: Vec<_> = all.collect();
    all.sort_by(f64::total_cmp);
    let at = |place: usize| all.get(place).copied().unwrap_or_default();
    (at(all.len() / 2), at(0), at(all.len().saturating_sub(1)))
}

/// Every certificate of every host.
fn certificates(cluster: &Cluster) -> Vec<Certificate> {
    let known = Known {
        interface: "eth0".to_owned(),
        resolv_conf: None,
        newcomers: Newcomers::None,
    };
    let hosts = cluster.hosts.iter();
    let all = hosts.flat_map(|host| render::host(cluster, host, &known));
    let certificate = |resource| match resource {
        Resource::Certificate(certificate) => Some(certificate),
        Resource::Folder(_)
        | Resource::File(_)
        | Resource::Block(_)
        | Resource::Shared(_)
        | Resource::Program(_)
        | Resource::Unit(_) => None,
    };
    all.filter_map(certificate).collect()
}

/// Three authorities, the key of service accounts, and the certificates: on one thread, from
/// nothing, as `apply` makes them.
fn ours(cluster: &Cluster, kind: KeyKind) -> Result<usize, Failure> {
    let now = SystemTime::now();
    let material = Material::made(&cluster.enclosed, kind, now)?;
    let certificates = certificates(cluster);
    for certificate in &certificates {
        let authority = material
            .authority(certificate.authority)
            .ok_or("no authority")?;
        authority.issue_of_kind(&certificate.profile, kind, now)?;
    }
    Ok(certificates.len() + Authority::ALL.len() + 1)
}

fn run(program: &str, folder: &Path, line: &str) -> Result<(), Failure> {
    let output = Command::new(program)
        .current_dir(folder)
        .args(line.split(' '))
        .output()?;
    match output.status.success() {
        true => Ok(()),
        false => Err(format!("{program} {line}: {output:?}").into()),
    }
}

/// A request and a signature for each, as the documents have it.
fn openssl(cluster: &Cluster, kind: KeyKind) -> Result<usize, Failure> {
    let folder = tempfile::tempdir()?;
    let folder = folder.path();
    let key = match kind {
        KeyKind::P256 => "ec -pkeyopt ec_paramgen_curve:P-256",
        KeyKind::Rsa2048 => "rsa:2048",
    };
    for authority in Authority::ALL {
        let name = authority.common_name();
        let line = format!(
            "req -x509 -newkey {key} -nodes -days 3650 -subj /CN={name} -keyout {name}.key -out {name}.crt"
        );
        run("openssl", folder, &line)?;
    }
    let algorithm = match kind {
        KeyKind::P256 => "EC -pkeyopt ec_paramgen_curve:P-256",
        KeyKind::Rsa2048 => "RSA -pkeyopt rsa_keygen_bits:2048",
    };
    run(
        "openssl",
        folder,
        &format!("genpkey -algorithm {algorithm} -out sa.key"),
    )?;
    let certificates = certificates(cluster);
    for (number, certificate) in certificates.iter().enumerate() {
        let ca = certificate.authority.common_name();
        let (name, usage) = (&certificate.profile.common_name, usage(certificate));
        let line = format!(
            "req -new -newkey {key} -nodes -subj /CN={name} -addext extendedKeyUsage={usage} \
             -keyout {number}.key -out {number}.csr"
        );
        run("openssl", folder, &line)?;
        let line = format!(
            "x509 -req -in {number}.csr -CA {ca}.crt -CAkey {ca}.key -days 365 -copy_extensions \
             copyall -out {number}.crt"
        );
        run("openssl", folder, &line)?;
    }
    Ok(certificates.len() + Authority::ALL.len() + 1)
}

fn usage(certificate: &Certificate) -> &'static str {
    match certificate.profile.purpose {
        Purpose::Server => "serverAuth",
        Purpose::Client => "clientAuth",
        Purpose::Peer => "serverAuth,clientAuth",
    }
}

/// `cfssl gencert` for each.
fn cfssl(cluster: &Cluster, kind: KeyKind) -> Result<usize, Failure> {
    let folder = tempfile::tempdir()?;
    let folder = folder.path();
    let key = match kind {
        KeyKind::P256 => r#"{"algo":"ecdsa","size":256}"#,
        KeyKind::Rsa2048 => r#"{"algo":"rsa","size":2048}"#,
    };
    let request = |name: &str| format!(r#"{{"CN":"{name}","key":{key}}}"#);
    let made = |name: &str, line: &str| -> Result<(), Failure> {
        std::fs::write(folder.join("request.json"), request(name))?;
        let output = Command::new("cfssl")
            .current_dir(folder)
            .args(line.split(' '))
            .output()?;
        let text: serde_json::Value = serde_json::from_slice(&output.stdout)?;
        for (field, end) in [("cert", "crt"), ("key", "key")] {
            let pem = text.get(field).and_then(|pem| pem.as_str());
            let path = folder.join(format!("{name}.{end}"));
            std::fs::write(path, pem.ok_or("cfssl gave none")?)?;
        }
        Ok(())
    };
    for authority in Authority::ALL {
        made(authority.common_name(), "gencert -initca request.json")?;
    }
    made("sa", "gencert -initca request.json")?;
    let certificates = certificates(cluster);
    for certificate in &certificates {
        let ca = certificate.authority.common_name();
        let line = format!("gencert -ca {ca}.crt -ca-key {ca}.key request.json");
        made(&certificate.profile.common_name.replace('/', "-"), &line)?;
    }
    Ok(certificates.len() + Authority::ALL.len() + 1)
}
