//! What a master shows when nobody has applied for a year: in the place of every certificate that
//! it was issued one that has ended, with its key.

use std::time::{Duration, SystemTime};

use libtest_mimic::Failed;
use sternpost::apply::Material;
use sternpost::layout;
use sternpost::render::{self, Known, Newcomers};
use sternpost::resource::Resource;
use sternpost::spec::{Cluster, Host};

/// Days are counted: none of them ends while somebody looks.
const PAST: Duration = Duration::from_secs(3600);

/// Paths, and what is in them; `kept` is what masters keep of the cluster's authorities.
pub(crate) fn of(
    cluster: &Cluster,
    host: &Host,
    kept: &str,
) -> Result<Vec<(String, String)>, Failed> {
    let material = Material::read(kept)?;
    let long_ago = SystemTime::now() - pki::LEAF_LIFETIME * 2 - PAST;
    let known = Known {
        interface: String::new(),
        resolv_conf: None,
        newcomers: Newcomers::None,
        dials: None,
    };
    let wanted = render::host(cluster, host, &known);
    let mut all = Vec::new();
    for one in wanted.iter().filter_map(Resource::certificate) {
        let authority = material.authority(one.authority).ok_or("no key")?;
        let issued = authority.issue(&one.profile, long_ago)?;
        let key = issued.key_pem.expose().to_owned();
        all.push((layout::certificate(&one.name), issued.certificate_pem));
        all.push((layout::key(&one.name), key));
    }
    Ok(all)
}
