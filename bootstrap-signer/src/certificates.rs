//! The certificates that were seen issued, for who wants to know which run out. A request is
//! deleted an hour after its certificate came; the newest of each node is kept here for as
//! long as the Node is there. Without a clock.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use policy::Signer;
use x509_parser::pem::parse_x509_pem;

/// Nodes kept: beyond, nobody is told of theirs. A cluster has at most five thousand.
const KEPT: usize = 20_000;

/// From when until when a certificate is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// The first moment.
    pub from: SystemTime,
    /// The last one.
    pub until: SystemTime,
}

impl Validity {
    /// That of the first certificate in a PEM text; `None` when there is none.
    #[must_use]
    pub fn read(pem: &[u8]) -> Option<Self> {
        let (_, block) = parse_x509_pem(pem).ok()?;
        let validity = block.parse_x509().ok()?.validity().clone();
        Some(Self {
            from: validity.not_before.to_datetime().into(),
            until: validity.not_after.to_datetime().into(),
        })
    }

    /// It is in its last tenth: kubelets renew when 70 % to 90 % are over, so that this one's
    /// did not.
    #[must_use]
    pub fn is_late(&self, now: SystemTime) -> bool {
        let whole = self.until.duration_since(self.from).unwrap_or_default();
        let late = self.until.checked_sub(whole / 10);
        late.is_some_and(|late| now >= late)
    }
}

/// How the certificates of one signer stand.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Standing {
    /// How many there are.
    pub known: usize,
    /// How many are late, or over.
    pub late: usize,
    /// When the first one ends.
    pub first: Option<SystemTime>,
}

/// The newest certificate of each node.
#[derive(Debug, Default)]
pub struct Certificates(BTreeMap<(Signer, String), Validity>);

impl Certificates {
    /// One was issued.
    pub fn issued(&mut self, signer: Signer, node: &str, validity: Validity) {
        let place = (signer, node.to_owned());
        let room = self.0.len() < KEPT;
        match self.0.get_mut(&place) {
            Some(known) if known.until < validity.until => *known = validity,
            None if room => _ = self.0.insert(place, validity),
            Some(_) | None => {}
        }
    }

    /// The Node is gone, and nobody renews for it.
    pub fn gone(&mut self, node: &str) {
        for signer in Signer::ALL {
            self.0.remove(&(signer, node.to_owned()));
        }
    }

    /// These Nodes are all there are.
    pub fn only(&mut self, nodes: &BTreeSet<String>) {
        self.0.retain(|(_, node), _| nodes.contains(node));
    }

    /// How those of `signer` stand at `now`.
    #[must_use]
    pub fn standing(&self, signer: Signer, now: SystemTime) -> Standing {
        let own = self.0.iter().filter(|((of, _), _)| *of == signer);
        own.fold(Standing::default(), |sum, (_, validity)| Standing {
            known: sum.known + 1,
            late: sum.late + usize::from(validity.is_late(now)),
            first: Some(
                sum.first
                    .map_or(validity.until, |at| at.min(validity.until)),
            ),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn the_newest_of_each_node_counts_and_is_late_in_its_last_tenth() {
        let (from, until) = (at(0), at(1_000));
        let old = Validity { from, until };
        let new = Validity {
            from: at(800),
            until: at(1_800),
        };
        let mut all = Certificates::default();
        all.issued(Signer::Client, "a", old);
        all.issued(Signer::Client, "b", old);
        all.issued(Signer::Serving, "a", old);
        for (now, late) in [(899, 0), (900, 2), (1_000, 2), (2_000, 2)] {
            let standing = all.standing(Signer::Client, at(now));
            assert_eq!((standing.known, standing.late), (2, late), "{now}");
            assert_eq!(standing.first, Some(at(1_000)));
        }
        all.issued(Signer::Client, "a", new);
        all.issued(Signer::Client, "a", old);
        let standing = all.standing(Signer::Client, at(900));
        assert_eq!((standing.known, standing.late), (2, 1));
        all.gone("b");
        let standing = all.standing(Signer::Client, at(900));
        assert_eq!((standing.late, standing.first), (0, Some(at(1_800))));
        all.only(&BTreeSet::new());
        assert_eq!(all.standing(Signer::Serving, at(0)), Standing::default());
    }

    #[test]
    fn validity_is_read() {
        let now = SystemTime::now();
        let ca = pki::Authority::new("ca", now).unwrap();
        let read = Validity::read(ca.certificate_pem().as_bytes()).unwrap();
        assert!(read.from < now && read.until > now && !read.is_late(now));
        assert_eq!(Validity::read(b"none"), None);
    }
}
