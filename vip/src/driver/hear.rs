//! What the driver makes of datagrams: parsed, judged, and only then an event.

use std::net::IpAddr;

use tokio::time::Instant;
use vrrp::acceptance::{self, Notice as Odd};
use vrrp::fsm::Event;
use vrrp::packet::{Advert, Checksum, Envelope, parse};
use vrrp::{AdvertInterval, Refusal, State};

use crate::flight::What;

use super::{Complaint, Datagram, Driver, Effects, Heard};
use crate::config::MisconfiguredPeer;

/// Peers whose way of computing checksums is remembered.
const PEERS: usize = 64;

impl<E: Effects> Driver<E> {
    pub(super) fn hear(&mut self, batch: &mut Vec<Result<Datagram, Refusal>>) {
        for heard in batch.drain(..) {
            match heard {
                Ok(datagram) => self.datagram(&datagram),
                Err(refusal) => self.refuse(refusal, None, None),
            }
        }
    }

    fn datagram(&mut self, datagram: &Datagram) {
        let envelope = &datagram.envelope;
        let received = match parse(&datagram.payload, envelope) {
            Ok(received) => received,
            Err(refusal) => return self.refuse(refusal, Some(envelope.source), None),
        };
        match acceptance::judge(&received.advert, envelope, &self.expected) {
            Err(refusal) => {
                let (from, advert) = (envelope.source, &received.advert);
                self.refuse(refusal, Some(from), Some(advert.interval));
                return self.hold_back(refusal, envelope, advert);
            }
            Ok(odd) => {
                let (from, advert) = (envelope.source, &received.advert);
                self.odd(&odd, from, advert.interval);
                self.tell_lower(from, advert);
                // It does not hear us: one that would yield to us does not.
                if odd.contains(&Odd::UnlistedSender) && !self.heeds(from, advert) {
                    self.keep(|record| record.counts.accepted += 1);
                    let refusal = Refusal::UnknownPeer(from);
                    return self.hold_back(refusal, envelope, advert);
                }
            }
        }
        if self.checksums.len() < PEERS || self.checksums.contains_key(&envelope.source) {
            self.checksums.insert(envelope.source, received.checksum);
            self.count_checksum(envelope.source, received.checksum);
        }
        let heard = heard(envelope.source, &received.advert);
        self.keep(|record| {
            record.counts.accepted += 1;
            record.heard = Some(heard);
        });
        self.handle(Event::Advert {
            from: envelope.source,
            advert: &received.advert,
        });
    }

    fn count_checksum(&self, from: IpAddr, checksum: Checksum) {
        self.keep(|record| {
            let known = record.checksums.entry(from).or_default();
            *match checksum {
                Checksum::PseudoHeader => &mut known.pseudo,
                Checksum::PseudoHeaderOfGroup => &mut known.pseudo_of_group,
                Checksum::Message => &mut known.rfc9568,
            } += 1;
        });
    }

    /// Is it one to give way to, or to follow? The release of who we follow counts, too; that
    /// of anybody else is no word about the addresses.
    fn heeds(&self, from: IpAddr, advert: &Advert) -> bool {
        if advert.priority.is_release() {
            let record = self.record.borrow();
            let is = |known: &Option<Heard>| {
                known.as_ref().is_some_and(|known| known.from == from)
            };
            // One that was followed and then held back from is waited for as a stranger.
            return is(&record.heard) && !is(&record.rival);
        }
        let by_priority = advert.priority.cmp(&self.machine.priority());
        match self.machine.state() {
            State::Active => by_priority.then(from.cmp(&self.expected.source)).is_gt(),
            State::Backup | State::Fault | State::Initialize => by_priority.is_ge(),
        }
    }

    /// Nobody can tell whether it holds the addresses that it advertises; if we took them
    /// too, both would have them for ever.
    fn hold_back(&mut self, refusal: Refusal, envelope: &Envelope, advert: &Advert) {
        let from = envelope.source;
        let ours = |address| self.expected.holds(address);
        let rival = refusal.is_misconfiguration()
            && refusal != Refusal::OwnSource
            && self.expected.trusts(envelope)
            && advert.addresses.iter().any(ours);
        match self.misconfigured_peer {
            MisconfiguredPeer::HoldBack if rival => {
                self.keep(|record| match advert.priority.is_release() {
                    false => record.rival = Some(heard(from, advert)),
                    true => drop(record.rival.take_if(|known| known.from == from)),
                });
                self.handle(Event::Stranger { from, advert });
            }
            MisconfiguredPeer::HoldBack | MisconfiguredPeer::Ignore => {}
        }
    }

    /// `interval`: of what could be read.
    fn refuse(
        &mut self,
        refusal: Refusal,
        from: Option<IpAddr>,
        interval: Option<AdvertInterval>,
    ) {
        // Other groups on the same network are nobody's fault and need no line.
        let silent = matches!(refusal, Refusal::OtherVrid(_) | Refusal::Neighbour);
        let alarm = interval.filter(|_| refusal.is_misconfiguration());
        self.keep(|record| {
            *record.counts.refused.entry(refusal.name()).or_default() += 1;
            if let Some(interval) = alarm {
                let what = alarm_text(&refusal, from);
                record.complaint = Some(Complaint::now(what, interval));
            }
        });
        if silent {
            return;
        }
        let reason = refusal.name();
        self.flight
            .record(What::Refused { reason, from }, Instant::now());
        if let Some(suppressed) = self.may_say(refusal.name()) {
            let from = from.map(|from| from.to_string()).unwrap_or_default();
            tracing::warn!(
                router = self.name,
                from,
                reason = refusal.name(),
                suppressed,
                "advert refused: {refusal}"
            );
        }
    }

    fn odd(&mut self, odd: &[Odd], from: IpAddr, interval: AdvertInterval) {
        for odd in odd {
            let kind = match odd {
                Odd::UnlistedSender => "unlistedSender",
                Odd::OtherAddresses => "otherAddresses",
                Odd::OtherInterval(_) => "otherInterval",
            };
            self.keep(|record| {
                let what = alarm_text(odd, Some(from));
                record.complaint = Some(Complaint::now(what, interval));
            });
            if let Some(suppressed) = self.may_say(kind) {
                let router = &self.name;
                tracing::warn!(router, %from, suppressed, "advert accepted, but {odd}");
            }
        }
    }

    /// How our next advert's checksum is computed: as the file says, or as the peers do,
    /// when they agree.
    pub(super) fn checksum(&self) -> Checksum {
        let mut heard = self.checksums.values().copied();
        let first = heard.next();
        let agreed = first.filter(|first| heard.all(|other| other == *first));
        self.style.choose(self.expected.dialects, agreed)
    }
}

fn heard(from: IpAddr, advert: &Advert) -> Heard {
    Heard {
        from,
        priority: advert.priority,
        interval: advert.interval,
        at: Instant::now(),
    }
}

fn alarm_text(what: &dyn std::fmt::Display, from: Option<IpAddr>) -> String {
    match from {
        Some(from) => format!("{from}: {what}"),
        None => what.to_string(),
    }
}
