//! What is asked of authorities whose keys are kept elsewhere: which certificates, and whether
//! what was signed will do. A function of values.

use std::fmt;
use std::time::SystemTime;

use pki::key_fits;

use crate::judge::{Why, judge};
use crate::resource::{Certificate, Resource};
use crate::spec::Cluster;

/// A certificate that an external authority signs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The host that shows it.
    pub host: String,
    /// What it is to say.
    pub certificate: Certificate,
    /// Why what there is will not do; nothing when it will.
    pub why: Option<Why>,
}

/// Those of a host, of what it is to hold.
#[must_use]
pub fn requests(
    cluster: &Cluster,
    host: &str,
    wanted: &[Resource],
    now: SystemTime,
) -> Vec<Request> {
    let certificates = wanted.iter().filter_map(Resource::certificate);
    let external =
        certificates.filter(|certificate| cluster.is_external(certificate.authority));
    let request = |certificate: &Certificate| Request {
        host: host.to_owned(),
        certificate: certificate.clone(),
        why: why(cluster, host, certificate, now),
    };
    external.map(request).collect()
}

/// Those of them that a host cannot be laid down without.
#[must_use]
pub fn outstanding(requests: &[Request]) -> Vec<&Request> {
    let needed = |request: &&Request| match &request.why {
        // It is good for today: when it is renewed is up to whoever signs.
        None | Some(Why::Ends(_)) => false,
        Some(_) => true,
    };
    requests.iter().filter(needed).collect()
}

fn why(
    cluster: &Cluster,
    host: &str,
    certificate: &Certificate,
    now: SystemTime,
) -> Option<Why> {
    let place = (host.to_owned(), certificate.name.clone());
    let Some(signed) = cluster.enclosed.signed.get(&place) else {
        return Some(Why::Missing);
    };
    if !key_fits(&signed.certificate.text, &signed.key.text) {
        return Some(Why::Key);
    }
    let adopted = cluster.enclosed.authorities.get(&certificate.authority);
    let authority = adopted.map_or("", |adopted| adopted.certificate.text.as_str());
    judge(
        &signed.certificate.text,
        &certificate.profile,
        authority,
        now,
    )
    .err()
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.certificate.name;
        let authority = self.certificate.authority.name();
        write!(f, "{}/{name}, signed by {authority}.crt: ", self.host)?;
        match &self.why {
            None => f.write_str("good"),
            Some(why) => write!(f, "{why}"),
        }
    }
}
