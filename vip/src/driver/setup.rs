//! From a router as configured to what the protocol wants to know of it.

use std::net::IpAddr;
use std::time::Duration;

use vrrp::acceptance::{Expected, Path, Senders};
use vrrp::fsm::{self, Announcing, Settings};
use vrrp::packet::{Addresses, AddressesError};
use vrrp::{AdvertInterval, Dialects};

use super::RENEW;
use crate::config::{Preempt, Router, Travel, Unlisted, VirtualAddress};
use crate::linux::LIFETIME;
use crate::track::Standing;

pub(super) fn settings(router: &Router, source: IpAddr, standing: Standing) -> Settings {
    let (preempt, announcing) = habits(router);
    Settings {
        version: router.version,
        priority: standing.priority,
        interval: router.interval,
        source,
        patience: patience(router.interval),
        preempt,
        announcing,
        dialects: Dialects::KEEPALIVED,
    }
}

/// What changes without an election.
pub(super) fn habits(router: &Router) -> (fsm::Preempt, Announcing) {
    let preempt = match router.preempt {
        Preempt::Never => fsm::Preempt::Never,
        Preempt::After(Duration::ZERO) => fsm::Preempt::AtOnce,
        Preempt::After(delay) => fsm::Preempt::After(delay),
    };
    let announcing = Announcing {
        second: router.announce.again,
        refresh: router.announce.refresh,
    };
    (preempt, announcing)
}

/// How late an advert may be so that the addresses cannot have run out: the renewal before it
/// was up to [`RENEW`] old when the machine stopped, and the advert was not due for up to an
/// interval. Zero where an interval leaves nothing of that.
fn patience(interval: AdvertInterval) -> Duration {
    Duration::from_secs(LIFETIME.into())
        .saturating_sub(RENEW)
        .saturating_sub(interval.duration())
}

pub(super) fn expected(
    router: &Router,
    source: IpAddr,
) -> Result<Expected, AddressesError> {
    let addresses = router.addresses.iter().map(VirtualAddress::ip).collect();
    Ok(Expected {
        vrid: router.vrid,
        version: router.version,
        interval: router.interval,
        auth: router.auth,
        addresses: Addresses::new(addresses)?,
        excluded: router.excluded.iter().map(VirtualAddress::ip).collect(),
        source,
        virtual_mac: router.virtual_mac.is_some(),
        path: match &router.travel {
            Travel::Multicast => Path::Multicast,
            Travel::Unicast {
                peers, unlisted, ..
            } => Path::Unicast {
                senders: match unlisted {
                    Unlisted::Accept => Senders::Near(peers.clone()),
                    Unlisted::Refuse => Senders::Only(peers.clone()),
                },
                ttl: None,
            },
        },
        dialects: Dialects::KEEPALIVED,
    })
}
