//! Authorities that others made, adopted: every form in which OpenSSL writes a key, an
//! intermediate, what is refused and how. What they issue is verified by OpenSSL and by
//! webpki. Skipped, and said so, where OpenSSL is not installed.

use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use libtest_mimic::{Arguments, Failed, Trial};
use pki::{
    AdoptError, Authority, Encipherment, Name, Profile, PublicKey, Purpose, Validity,
};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use x509_parser::prelude::{FromDer, X509Certificate};

type Test = fn(&Path) -> Result<(), Failed>;

const TESTS: &[(&str, Test)] = &[
    ("every_key_that_can_sign_does", every_key),
    ("issuers_of_an_intermediate_go_along", intermediate),
    ("one_below_an_issuer_that_allows_none_is_refused", too_deep),
    (
        "one_below_what_may_not_issue_is_refused",
        below_no_authority,
    ),
    ("what_is_no_authority_is_refused", refused),
    ("what_it_may_issue_for_is_read", purposes),
    ("rsa_keys_of_nodes_are_certified", rsa_leaf),
];

#[expect(
    clippy::print_stderr,
    reason = "the test runner reads the line of a skip"
)]
fn main() -> ExitCode {
    let missing = Command::new("openssl").arg("version").output().is_err();
    let required = std::env::var("STERNPOST_REQUIRE").unwrap_or_default();
    let skip = missing && !required.split(',').any(|name| name == "openssl");
    let trials = TESTS.iter().map(|(name, test)| {
        let test = || {
            let folder = tempfile::tempdir()?;
            test(folder.path())
        };
        if skip {
            // The line the test runner reads; see `Requirement` of the lab.
            eprintln!("SKIPPED {name} (needs: openssl): no openssl in PATH");
        }
        Trial::test(*name, test).with_ignored_flag(skip)
    });
    libtest_mimic::run(&Arguments::from_args(), trials.collect()).exit_code()
}

fn openssl(folder: &Path, line: &str) -> Result<Vec<u8>, Failed> {
    let output = Command::new("openssl")
        .current_dir(folder)
        .args(line.split(' '))
        .output()?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(format!("openssl {line}: {said}").into());
    }
    Ok(output.stdout)
}

/// Makes `NAME.key` by `generate`, and `NAME.crt` for it.
fn authority(folder: &Path, name: &str, generate: &str) -> Result<(), Failed> {
    openssl(folder, &format!("{generate} -out {name}.key"))?;
    self_signed(folder, name, "keyUsage=critical,keyCertSign")
}

fn self_signed(folder: &Path, name: &str, extension: &str) -> Result<(), Failed> {
    let line = format!(
        "req -x509 -new -key {name}.key -subj /O=ours/CN={name} -days 30 -out {name}.crt \
         -addext {extension}"
    );
    openssl(folder, &line).map(drop)
}

fn adopt(folder: &Path, name: &str) -> Result<Authority, AdoptError> {
    let read = |end: &str| {
        fs::read_to_string(folder.join(format!("{name}.{end}"))).unwrap_or_default()
    };
    Authority::from_pem(&read("crt"), &read("key"))
}

fn serving() -> Profile {
    Profile {
        common_name: "system:node:w1".to_owned(),
        organizations: vec!["system:nodes".to_owned()],
        names: vec![Name::Dns("w1.example".to_owned())],
        purpose: Purpose::Server,
    }
}

/// Certifies a new key, and lets OpenSSL and webpki look at it under `root`.
fn issue_and_verify(
    folder: &Path,
    authority: &Authority,
    root: &str,
) -> Result<(), Failed> {
    openssl(
        folder,
        "ecparam -name prime256v1 -genkey -noout -out leaf.key",
    )?;
    let public = openssl(folder, "ec -in leaf.key -pubout -outform DER")?;
    let point = public.get(public.len() - 65..).ok_or("no point")?;
    let now = SystemTime::now();
    let validity = Validity::of(Duration::from_secs(3600), now, authority);
    let key = PublicKey::p256(point);
    let issued = authority.certify(&serving(), &key, Encipherment::Not, validity)?;
    verify(folder, &issued, root, now)
}

fn verify(
    folder: &Path,
    issued: &str,
    root: &str,
    now: SystemTime,
) -> Result<(), Failed> {
    fs::write(folder.join("leaf.crt"), issued)?;
    openssl(
        folder,
        &format!(
            "verify -x509_strict -purpose sslserver -verify_hostname w1.example -CAfile {root} \
             -untrusted leaf.crt leaf.crt"
        ),
    )?;
    let mut certificates = Vec::new();
    for certificate in CertificateDer::pem_slice_iter(issued.as_bytes()) {
        certificates.push(certificate?);
    }
    let (leaf, issuers) = certificates.split_first().ok_or("nothing was issued")?;
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(folder.join(root))?)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier =
        WebPkiServerVerifier::builder_with_provider(roots.into(), provider).build()?;
    let name = ServerName::try_from("w1.example")?;
    let at = UnixTime::since_unix_epoch(now.duration_since(SystemTime::UNIX_EPOCH)?);
    verifier.verify_server_cert(leaf, issuers, &name, &[], at)?;
    Ok(())
}

/// The forms that kubeadm, cfssl and OpenSSL leave keys in.
fn every_key(folder: &Path) -> Result<(), Failed> {
    for (name, generate) in [
        ("rsa-pkcs1", "genrsa -traditional"),
        ("rsa-pkcs8", "genpkey -algorithm RSA"),
        (
            "rsa-4096",
            "genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:4096",
        ),
        ("p256-sec1", "ecparam -name prime256v1 -genkey"),
        ("p256-alone", "ecparam -name prime256v1 -genkey -noout"),
        (
            "p256-pkcs8",
            "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256",
        ),
        ("p384-sec1", "ecparam -name secp384r1 -genkey"),
        (
            "p384-pkcs8",
            "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384",
        ),
        ("ed25519", "genpkey -algorithm ED25519"),
    ] {
        let read = |end: &str| fs::read_to_string(folder.join(format!("{name}.{end}")));
        let tried = authority(folder, name, generate)
            .and_then(|()| match pki::key_fits(&read("crt")?, &read("key")?) {
                true => Ok(()),
                false => Err("its own key does not fit".into()),
            })
            .and_then(|()| Ok(adopt(folder, name)?))
            .and_then(|ca| issue_and_verify(folder, &ca, &format!("{name}.crt")));
        tried.map_err(|error| format!("{name}: {error:?}"))?;
    }
    Ok(())
}

/// An authority below `root.crt` in `mid.crt`, that one behind it.
fn below_root(folder: &Path) -> Result<(String, String), Failed> {
    openssl(
        folder,
        "ecparam -name prime256v1 -genkey -noout -out mid.key",
    )?;
    openssl(folder, "req -new -key mid.key -subj /CN=mid -out mid.csr")?;
    fs::write(
        folder.join("mid.ext"),
        "basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=critical,keyCertSign\n\
         subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n",
    )?;
    let line = "x509 -req -in mid.csr -CA root.crt -CAkey root.key -CAcreateserial \
                -days 20 -extfile mid.ext -out mid-only.crt";
    openssl(folder, line)?;
    let read = |name: &str| fs::read_to_string(folder.join(name));
    let (mid, root) = (read("mid-only.crt")?, read("root.crt")?);
    fs::write(folder.join("mid.crt"), format!("{mid}{root}"))?;
    Ok((mid, root))
}

/// Authorities that this crate makes have a path length of 0.
fn too_deep(folder: &Path) -> Result<(), Failed> {
    let root = Authority::new("shallow", SystemTime::now())?;
    fs::write(folder.join("root.crt"), root.certificate_pem())?;
    fs::write(folder.join("root.key"), root.key_pem().expose())?;
    below_root(folder)?;
    match adopt(folder, "mid") {
        Err(AdoptError::TooDeep(2)) => Ok(()),
        other => Err(format!("below one that allows none: {other:?}").into()),
    }
}

/// What an operator's web certificate once signed, and every verifier refuses.
fn below_no_authority(folder: &Path) -> Result<(), Failed> {
    openssl(
        folder,
        "ecparam -name prime256v1 -genkey -noout -out root.key",
    )?;
    for (extension, expected) in [
        ("basicConstraints=critical,CA:FALSE", Some(2)),
        ("keyUsage=critical,digitalSignature", Some(2)),
        ("keyUsage=critical,keyCertSign", None),
    ] {
        self_signed(folder, "root", extension)?;
        below_root(folder)?;
        let found = match adopt(folder, "mid") {
            Err(AdoptError::IssuerMayNotSign(place)) => Some(place),
            other => other.map(|_| None)?,
        };
        if found != expected {
            return Err(format!("{extension}: {found:?}").into());
        }
    }
    Ok(())
}

fn intermediate(folder: &Path) -> Result<(), Failed> {
    authority(folder, "root", "genpkey -algorithm RSA")?;
    let (mid, root) = below_root(folder)?;
    let read = |name: &str| fs::read_to_string(folder.join(name));
    let adopted = adopt(folder, "mid")?;
    issue_and_verify(folder, &adopted, "root.crt")?;
    let issued = read("leaf.crt")?;
    if issued.matches("BEGIN CERTIFICATE").count() != 2 {
        return Err(format!("leaf and intermediate are two: {issued}").into());
    }
    if adopted.root_pem().trim() != root.trim() {
        return Err("the root is not the last".into());
    }
    fs::write(folder.join("mid.crt"), format!("{root}{mid}"))?;
    fs::copy(folder.join("root.key"), folder.join("mid.key"))?;
    match adopt(folder, "mid") {
        Err(AdoptError::ChainBroken(2)) => Ok(()),
        other => Err(format!("the wrong way round: {other:?}").into()),
    }
}

fn refused(folder: &Path) -> Result<(), Failed> {
    let p256 = "ecparam -name prime256v1 -genkey -noout";
    authority(folder, "good", p256)?;
    let good = |end: &str| fs::read_to_string(folder.join(format!("good.{end}")));
    let (certificate, key) = (good("crt")?, good("key")?);
    openssl(folder, &format!("{p256} -out leaf.key"))?;
    self_signed(folder, "leaf", "basicConstraints=critical,CA:FALSE")?;
    openssl(folder, &format!("{p256} -out mute.key"))?;
    self_signed(folder, "mute", "keyUsage=critical,digitalSignature")?;
    authority(folder, "p521", "ecparam -name secp521r1 -genkey -noout")?;
    authority(folder, "other", p256)?;
    let other = fs::read_to_string(folder.join("other.key"))?;
    openssl(folder, &format!("{p256} -out twice.key"))?;
    openssl(
        folder,
        "req -x509 -new -key twice.key -subj /DC=org/DC=example/CN=x -days 3 -out twice.crt",
    )?;
    openssl(
        folder,
        "ec -in good.key -aes128 -passout pass:x -out locked.key",
    )?;
    let locked = fs::read_to_string(folder.join("locked.key"))?;
    let found = [
        ("no certificate", Authority::from_pem("", &key)),
        ("no key", Authority::from_pem(&certificate, "")),
        ("locked", Authority::from_pem(&certificate, &locked)),
        ("other", Authority::from_pem(&certificate, &other)),
        (
            "cut",
            Authority::from_pem(
                "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n",
                &key,
            ),
        ),
        ("leaf", adopt(folder, "leaf")),
        ("mute", adopt(folder, "mute")),
        ("p521", adopt(folder, "p521")),
        ("twice", adopt(folder, "twice")),
    ];
    for (name, adopted) in found {
        let as_expected = matches!(
            (name, &adopted),
            ("no certificate", Err(AdoptError::NoCertificate))
                | ("no key", Err(AdoptError::NoKey))
                | (
                    "locked",
                    Err(AdoptError::NoKey | AdoptError::KeyNotSupported(_))
                )
                | ("other", Err(AdoptError::KeyMismatch))
                | ("cut", Err(AdoptError::CertificateInvalid(1)))
                | ("leaf", Err(AdoptError::NotAnAuthority))
                | ("mute", Err(AdoptError::MayNotSign))
                | ("p521", Err(AdoptError::KeyNotSupported(_)))
                | ("twice", Err(AdoptError::SubjectNotCopied))
        );
        if !as_expected {
            return Err(format!("{name}: {adopted:?}").into());
        }
    }
    Ok(())
}

/// An authority whose extendedKeyUsage names one purpose, or none that is ours.
fn purposes(folder: &Path) -> Result<(), Failed> {
    for (name, usage) in [
        ("server", "serverAuth"),
        ("both", "serverAuth,clientAuth"),
        ("any", "anyExtendedKeyUsage"),
        ("mail", "emailProtection"),
    ] {
        openssl(
            folder,
            &format!("ecparam -name prime256v1 -genkey -noout -out {name}.key"),
        )?;
        let usage =
            format!("extendedKeyUsage={usage} -addext keyUsage=critical,keyCertSign");
        self_signed(folder, name, &usage)?;
    }
    let may = |name: &str| {
        let adopted = adopt(folder, name)?;
        let may = |purpose| adopted.may_issue_for(purpose);
        let may = [Purpose::Server, Purpose::Client, Purpose::Peer].map(may);
        Ok::<_, AdoptError>(may)
    };
    let found = (may("server")?, may("both")?, may("any")?);
    if found != ([true, false, false], [true; 3], [true; 3]) {
        return Err(format!("{found:?}").into());
    }
    match may("mail") {
        Err(AdoptError::NoPurpose) => Ok(()),
        other => Err(format!("{other:?}").into()),
    }
}

fn rsa_leaf(folder: &Path) -> Result<(), Failed> {
    authority(folder, "ca", "genrsa -traditional")?;
    openssl(folder, "genrsa -out leaf.key 2048")?;
    self_signed(folder, "leaf", "basicConstraints=CA:FALSE")?;
    let own = CertificateDer::from_pem_file(folder.join("leaf.crt"))?;
    let (_, own) = X509Certificate::from_der(&own)?;
    let rsa = own.public_key().parsed()?;
    let x509_parser::public_key::PublicKey::RSA(rsa) = rsa else {
        return Err("no RSA key".into());
    };
    let trimmed = |number: &[u8]| -> Vec<u8> {
        number.iter().copied().skip_while(|b| *b == 0).collect()
    };
    let key = PublicKey::rsa(&trimmed(rsa.modulus), &trimmed(rsa.exponent));
    let ca = adopt(folder, "ca")?;
    let now = SystemTime::now();
    let validity = Validity::of(Duration::from_secs(86_400), now, &ca);
    let issued = ca.certify(&serving(), &key, Encipherment::Allowed, validity)?;
    verify(folder, &issued, "ca.crt", now)?;
    let issued = CertificateDer::from_pem_slice(issued.as_bytes())?;
    let (_, issued) = X509Certificate::from_der(&issued)?;
    if issued.public_key().raw != own.public_key().raw {
        return Err("the key was not copied octet for octet".into());
    }
    let usage = issued.key_usage()?.ok_or("no key usage")?.value;
    if usage.key_encipherment() && usage.digital_signature() && !issued.is_ca() {
        Ok(())
    } else {
        Err(format!("{usage:?}").into())
    }
}
