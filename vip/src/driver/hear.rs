//! What the driver makes of datagrams: parsed, judged, and only then an event.

use std::net::IpAddr;

use tokio::time::Instant;
use vrrp::Refusal;
use vrrp::acceptance::{self, Notice as Odd};
use vrrp::fsm::Event;
use vrrp::packet::{Advert, Checksum, ChecksumStyle, parse};

use crate::flight::What;

use super::{Datagram, Driver, Effects, Heard};
use crate::config::MisconfiguredPeer;

/// Peers whose way of computing checksums is remembered.
const PEERS: usize = 64;

impl<E: Effects> Driver<E> {
    pub(super) fn hear(&mut self, batch: &mut Vec<Result<Datagram, Refusal>>) {
        for heard in batch.drain(..) {
            match heard {
                Ok(datagram) => self.datagram(&datagram),
                Err(refusal) => self.refuse(refusal, None),
            }
        }
    }

    fn datagram(&mut self, datagram: &Datagram) {
        let envelope = &datagram.envelope;
        let received = match parse(&datagram.payload, envelope) {
            Ok(received) => received,
            Err(refusal) => return self.refuse(refusal, Some(envelope.source)),
        };
        match acceptance::judge(&received.advert, envelope, &self.expected) {
            Err(refusal) => {
                self.refuse(refusal, Some(envelope.source));
                return self.hold_back(refusal, &received.advert);
            }
            Ok(odd) => self.odd(&odd, envelope.source),
        }
        if self.checksums.len() < PEERS || self.checksums.contains_key(&envelope.source) {
            self.checksums.insert(envelope.source, received.checksum);
        }
        let heard = Heard {
            from: envelope.source,
            priority: received.advert.priority,
            interval: received.advert.interval,
            at: Instant::now(),
        };
        self.keep(|record| {
            record.counts.accepted += 1;
            record.heard = Some(heard);
        });
        self.handle(Event::Advert {
            from: envelope.source,
            advert: &received.advert,
        });
    }

    /// Nobody can tell whether it holds the addresses that it advertises; if we took them
    /// too, both would have them for ever.
    fn hold_back(&mut self, refusal: Refusal, advert: &Advert) {
        let ours = |address| self.expected.holds(address);
        let rival = refusal.is_misconfiguration()
            && refusal != Refusal::OwnSource
            && !advert.priority.is_release()
            && advert.addresses.iter().any(ours);
        match self.misconfigured_peer {
            MisconfiguredPeer::HoldBack if rival => self.handle(Event::Stranger {
                interval: advert.interval,
            }),
            MisconfiguredPeer::HoldBack | MisconfiguredPeer::Ignore => {}
        }
    }

    fn refuse(&mut self, refusal: Refusal, from: Option<IpAddr>) {
        // Other groups on the same network are nobody's fault and need no line.
        let silent = matches!(refusal, Refusal::OtherVrid(_));
        let alarm = refusal.is_misconfiguration();
        self.keep(|record| {
            *record.counts.refused.entry(refusal.name()).or_default() += 1;
            if alarm {
                record.alarm = Some(alarm_text(&refusal, from));
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

    fn odd(&mut self, odd: &[Odd], from: IpAddr) {
        for odd in odd {
            let kind = match odd {
                Odd::OtherAddresses => "otherAddresses",
                Odd::OtherInterval(_) => "otherInterval",
            };
            self.keep(|record| {
                record.alarm = Some(alarm_text(odd, Some(from)));
            });
            if let Some(suppressed) = self.may_say(kind) {
                let router = &self.name;
                tracing::warn!(router, %from, suppressed, "advert accepted, but {odd}");
            }
        }
    }

    /// How our next advert's checksum is computed: as the peers do, when they agree.
    pub(super) fn checksum(&self) -> Checksum {
        let mut heard = self.checksums.values().copied();
        let first = heard.next();
        let agreed = first.filter(|first| heard.all(|other| other == *first));
        ChecksumStyle::Auto.choose(self.expected.dialects, agreed)
    }
}

fn alarm_text(what: &dyn std::fmt::Display, from: Option<IpAddr>) -> String {
    match from {
        Some(from) => format!("{from}: {what}"),
        None => what.to_string(),
    }
}
