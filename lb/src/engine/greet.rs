//! The first words of a client, where its frontend wants to hear them before a server is dialled:
//! TLS only, or a server by the name that the client asks for. Part of [`Sessions`].

use std::rc::Rc;

use super::carry;
use super::load::Load;
use super::origin::Origin;
use super::relay::Took;
use super::sessions::Sessions;
use super::slab::Key;
use crate::hello::{self, Extent, Verdict};
use crate::worker::End;

impl Sessions {
    /// A client has come: it is listened to, or a server is dialled at once.
    pub(super) fn greet(&mut self, key: Key) {
        let now = self.tick();
        let Some(session) = self.slab.get_mut(key) else {
            return;
        };
        let Some(reception) = &session.origin.reception else {
            return self.pick(key);
        };
        let deadline = now.after(reception.rules.timeout);
        session.machine.listening(deadline);
        self.arm(key, deadline);
    }

    /// The client has said more, or has ended.
    pub(super) fn listen(&mut self, key: Key) {
        // Ends because each round takes something from the socket, and a ClientHello is
        // bounded.
        loop {
            let Some(session) = self.slab.get_mut(key) else {
                return;
            };
            let Load::Dial { kept, .. } = &mut session.load else {
                return;
            };
            match carry::take(&session.client, &mut self.tools.scratch) {
                Took::Empty => return,
                Took::Eof => return self.judge(key, Verdict::Silent),
                Took::Failed(_) => return self.end(key, End::ClientAborted),
                // It is not established yet: as where it cannot be dialled for.
                Took::Starved => return self.end(key, End::NoResources),
                Took::Bytes { len, .. } => {
                    let bytes = self.tools.scratch.get(..len as usize);
                    let kept = kept.get_or_insert_with(|| self.tools.stores.room());
                    kept.push(bytes.unwrap_or_default());
                    if hello::extent(kept.all()) != Extent::More {
                        let verdict = session
                            .origin
                            .reception
                            .as_ref()
                            .map_or(Verdict::Default, |r| r.rules.judge(kept.all()));
                        return self.judge(key, verdict);
                    }
                }
            }
        }
    }

    /// The time for the ClientHello is over.
    pub(super) fn unheard(&mut self, key: Key) {
        self.judge(key, Verdict::Silent);
    }

    fn judge(&mut self, key: Key, verdict: Verdict) {
        let Some(session) = self.slab.get_mut(key) else {
            return;
        };
        let rules = session.origin.reception.as_ref();
        let is_strict = rules.is_some_and(|r| r.rules.is_strict());
        match verdict {
            Verdict::Silent if is_strict => self.end(key, End::NoHello),
            Verdict::Not(_) if is_strict => self.end(key, End::NotTls),
            // A server that speaks first, or another protocol.
            Verdict::Silent | Verdict::Not(_) | Verdict::Default => self.pick(key),
            Verdict::Route(at) => {
                let route = rules.and_then(|r| r.routes.get(at)).map(Rc::clone);
                session.origin =
                    route.unwrap_or_else(|| Rc::<Origin>::clone(&session.origin));
                self.pick(key);
            }
        }
    }

    /// Its turn is taken, and the first server dialled.
    fn pick(&mut self, key: Key) {
        let now = self.now();
        let Some(session) = self.slab.get_mut(key) else {
            return;
        };
        let listened = session.elapsed(now);
        if let Load::Dial { lot, dials, .. } = &mut session.load {
            *lot = session.origin.backend.lot(session.address.ip());
            dials.resume(listened);
        }
        self.dial_first(key);
    }
}
