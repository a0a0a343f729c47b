//! One request's signing. It is looked at and certified on a thread beside the one that
//! decides, since both take a processor its time: a tenth of a millisecond, with RSA a whole
//! one. It is written from here.

use std::sync::Arc;
use std::time::SystemTime;

use pki::{Authority, Validity};
use policy::Settings;

use super::tray::Order;
use super::work::Ended;
use super::write::{Pen, Put};
use super::{Authorities, Refusal, judge};
use crate::config::Mode;
use crate::desk::Rulebook;

/// What signing one request takes.
pub(super) struct Act {
    pub(super) rules: Arc<Rulebook>,
    pub(super) authorities: Arc<Authorities>,
    pub(super) pen: Pen,
}

/// What is to be written.
enum Made {
    Certificate {
        pem: String,
        authority: Arc<Authority>,
        validity: Validity,
    },
    Refused(Refusal),
}

impl Act {
    /// Signs it, and writes what comes of it.
    pub(super) async fn sign(self, order: Arc<Order>) -> Ended {
        if self.rules.mode == Mode::Audit {
            return Ended::Audited;
        }
        let (rules, authorities) = (self.rules, self.authorities);
        let asked = Arc::clone(&order);
        let made = tokio::task::spawn_blocking(move || {
            make(&asked, &rules.settings, &authorities, SystemTime::now())
        });
        match made.await {
            Err(_) => Ended::Unfinished,
            Ok(Err(ended)) => ended,
            Ok(Ok(Made::Refused(refusal))) => refuse(&self.pen, &order, refusal).await,
            Ok(Ok(Made::Certificate {
                pem,
                authority,
                validity,
            })) => match self.pen.issue(&order, pem).await {
                Ok(Put::Written) => {
                    say(&order, &authority, validity);
                    Ended::Issued
                }
                Ok(Put::Overtaken) => Ended::Overtaken,
                Err(error) => Ended::NotWritten(error),
            },
        }
    }
}

/// Looks at it, and certifies what passes.
fn make(
    order: &Order,
    settings: &Settings,
    authorities: &Authorities,
    now: SystemTime,
) -> Result<Made, Ended> {
    let wish = match judge(order.signer, &order.submitted, &order.pem, settings) {
        Ok(wish) => wish,
        Err(refusal) => return Ok(Made::Refused(refusal)),
    };
    let signs = authorities.signing(order.signer, now);
    let (authority, longest) = signs.ok_or(Ended::NoAuthority)?;
    let validity = Validity::of(wish.lifetime(longest), now, authority);
    let pem = authority
        .certify(&wish.profile, &wish.key, wish.encipherment, validity)
        .map_err(Ended::NotMade)?;
    Ok(Made::Certificate {
        pem,
        authority: Arc::clone(authority),
        validity,
    })
}

fn say(order: &Order, authority: &Authority, validity: Validity) {
    tracing::info!(
        request = order.submitted.name,
        signer = order.signer.name(),
        authority = authority.name(),
        until = daemon::rfc3339(validity.not_after),
        "issued"
    );
}

async fn refuse(pen: &Pen, order: &Order, refusal: Refusal) -> Ended {
    match pen.fail(order, &refusal).await {
        Ok(Put::Written) => Ended::Refused(refusal),
        Ok(Put::Overtaken) => Ended::Overtaken,
        Err(error) => Ended::NotWritten(error),
    }
}
