//! Answers of SubjectAccessReviews. A yes is believed for a few seconds, since one joining
//! rack asks the same five hundred times; a no only until the request asks again.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use policy::{Access, Known};

use crate::book::Seen;

/// How long a right that was taken away may be believed in.
const BELIEVED: Duration = Duration::from_secs(10);
/// How soon a request is asked about again that waits for a right, which no watch tells:
/// an answer of yes is acted on within half a second.
pub const ASK_AGAIN: Duration = Duration::from_millis(400);
/// Identities kept; a flood of them must not fill the memory.
const KEPT: usize = 4_096;

/// Who asks for which right.
pub type Identity = (
    String,
    Vec<String>,
    BTreeMap<String, Vec<String>>,
    &'static str,
);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    Asking,
    Yes(SystemTime),
    No(SystemTime),
}

/// What was answered.
#[derive(Debug, Default)]
pub struct Rights(BTreeMap<Identity, Answer>);

/// Whom a review is about.
pub fn identity(seen: &Seen, access: Access) -> Identity {
    let submitted = &seen.submitted;
    let groups = submitted.groups.iter().cloned().collect();
    let extra = seen.extra.clone();
    (
        submitted.username.clone(),
        groups,
        extra,
        access.subresource(),
    )
}

impl Rights {
    /// What is known at `now`.
    pub fn get(&self, identity: &Identity, now: SystemTime) -> Known<bool> {
        let fresh = |at: SystemTime, time: Duration| {
            at.checked_add(time).is_some_and(|end| now < end) && at <= now
        };
        match self.0.get(identity) {
            Some(Answer::Yes(at)) if fresh(*at, BELIEVED) => Known::Known(true),
            Some(Answer::No(at)) if fresh(*at, ASK_AGAIN) => Known::Known(false),
            Some(Answer::Asking | Answer::Yes(_) | Answer::No(_)) | None => {
                Known::Unknown("the API server is being asked")
            }
        }
    }

    /// Notes that it is being asked; false when it already is.
    pub fn ask(&mut self, identity: &Identity) -> bool {
        if self.0.len() >= KEPT {
            self.0.retain(|_, answer| *answer == Answer::Asking);
        }
        self.0.insert(identity.clone(), Answer::Asking) != Some(Answer::Asking)
    }

    /// Notes the answer; `None` when there was none.
    pub fn answered(
        &mut self,
        identity: &Identity,
        answer: Option<bool>,
        now: SystemTime,
    ) {
        match answer {
            Some(true) => _ = self.0.insert(identity.clone(), Answer::Yes(now)),
            Some(false) => _ = self.0.insert(identity.clone(), Answer::No(now)),
            None => _ = self.0.remove(identity),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_yes_is_kept_and_a_no_is_not() {
        let one: Identity = ("one".to_owned(), vec![], BTreeMap::new(), "nodeclient");
        let at = |millis| SystemTime::UNIX_EPOCH + Duration::from_millis(millis);
        let asked = Known::Unknown("the API server is being asked");
        let mut rights = Rights::default();
        assert_eq!(rights.get(&one, at(0)), asked);
        assert!(rights.ask(&one));
        assert!(!rights.ask(&one));
        for (answer, until) in [(true, 10_000), (false, 400)] {
            rights.answered(&one, Some(answer), at(1_000));
            assert_eq!(rights.get(&one, at(1_000)), Known::Known(answer));
            assert_eq!(
                rights.get(&one, at(1_000 + until - 1)),
                Known::Known(answer)
            );
            assert_eq!(rights.get(&one, at(1_000 + until)), asked);
            assert_eq!(rights.get(&one, at(999)), asked, "the clock went back");
        }
        rights.answered(&one, None, at(0));
        assert!(rights.ask(&one));
    }
}
