//! Whether a token is still what it was when a decision was made: asked of the API server
//! itself, since a watch tells late, and a token that was deleted a moment ago is not to be
//! honoured.
//!
//! A rack that joins asks the same five hundred times at once. Whoever comes while an answer
//! is on its way takes the next one, together with all who came meanwhile: an answer counts
//! for those only who waited before it was asked for.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared};
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use policy::Token;
use tokio::sync::Semaphore;

use super::{ActError, within};
use crate::api::{self, TOKEN};
use crate::book::Ledger;
use crate::watch;

/// Questions on their way at a time, whichever tokens they are about: one answers for all who
/// wait for it, so that more would only be the same asked again.
const AT_ONCE: usize = 4;

/// The type of a token's Secret.
const KIND: &str = "bootstrap.kubernetes.io/token";

/// A token as its Secret has it, and what that says of its uses.
pub type Held = (Token, Ledger);
/// What the API server said; one answer is given to many.
type Answer = Result<Option<Held>, Arc<ActError>>;
type Asking = Shared<BoxFuture<'static, Answer>>;

/// Questions about tokens.
#[derive(Clone)]
pub(super) struct Alive {
    secrets: Api<Secret>,
    /// Those not asked yet, by token.
    next: Arc<Mutex<BTreeMap<String, Asking>>>,
    room: Arc<Semaphore>,
}

impl Alive {
    pub(super) fn new(secrets: Api<Secret>) -> Self {
        Self {
            secrets,
            next: Arc::default(),
            room: Arc::new(Semaphore::new(AT_ONCE)),
        }
    }

    /// The token `id` as it is; `None`: there is none.
    pub(super) async fn look(&self, id: &str) -> Answer {
        let asking = {
            let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
            let asking = next.entry(id.to_owned());
            asking.or_insert_with(|| self.question(id)).clone()
        };
        asking.await
    }

    fn question(&self, id: &str) -> Asking {
        let (this, id) = (self.clone(), id.to_owned());
        async move {
            // Never closed; without room nothing is asked.
            let _room = this.room.acquire().await;
            this.begins(&id);
            let name = format!("{TOKEN}{id}");
            let there = within(this.secrets.get_opt(&name))
                .await
                .map_err(Arc::new)?;
            let read = there.as_ref().and_then(|secret| {
                // The watch asks for this type; a name alone says nothing.
                secret.type_.as_deref().filter(|kind| *kind == KIND)?;
                let (_, token) = api::token(secret)?;
                Some((token, watch::ledger(secret)))
            });
            Ok(read)
        }
        .boxed()
        .shared()
    }

    /// Whoever comes from here on is answered by the next one.
    fn begins(&self, id: &str) {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        next.remove(id);
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use kube::Client;
    use kube::client::Body;
    use serde_json::{Value, json};
    use tokio::sync::watch as gate;

    use super::*;

    fn secret(kind: &str, id: &str) -> Value {
        json!({
            "metadata": { "name": "bootstrap-token-abc123", "resourceVersion": "7" },
            "type": kind,
            // "abc123", and a use that is not for authentication.
            "data": { "token-id": id },
        })
    }

    /// Answers with `body` once `open` says so, and counts what is asked.
    fn asked(
        body: Option<Value>,
        open: gate::Receiver<bool>,
    ) -> (Alive, Arc<AtomicUsize>) {
        let count = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&count);
        let service = tower::service_fn(move |_: http::Request<Body>| {
            counted.fetch_add(1, Ordering::Relaxed);
            let (mut open, body) = (open.clone(), body.clone());
            async move {
                open.wait_for(|open| *open).await.unwrap();
                let (code, body) = body.map_or_else(
                    || (404, json!({ "status": "Failure", "code": 404, "reason": "NotFound",
                                     "message": "", "metadata": {} })),
                    |body| (200, body),
                );
                let response = http::Response::builder().status(code);
                let body = Body::from(body.to_string().into_bytes());
                Ok::<_, Infallible>(response.body(body).unwrap())
            }
        });
        let secrets = Api::namespaced(Client::new(service, "default"), "kube-system");
        (Alive::new(secrets), count)
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_no_token_of_that_name_is_none() {
        let (_open, opened) = gate::channel(true);
        for (body, there) in [
            (Some(secret(KIND, "YWJjMTIz")), true),
            (Some(secret("Opaque", "YWJjMTIz")), false),
            (Some(secret(KIND, "ZGVmNDU2")), false),
            (None, false),
        ] {
            let (alive, _) = asked(body.clone(), opened.clone());
            let found = alive.look("abc123").await.unwrap();
            assert_eq!(found.is_some(), there, "{body:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn many_share_an_answer_that_was_asked_for_after_they_came() {
        let (open, opened) = gate::channel(false);
        let (alive, count) = asked(Some(secret(KIND, "YWJjMTIz")), opened);
        let mut looks = tokio::task::JoinSet::new();
        for _ in 0..100 {
            let alive = alive.clone();
            looks.spawn(async move { alive.look("abc123").await.unwrap().is_some() });
        }
        // As much as can be done before an answer.
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        assert_eq!(count.load(Ordering::Relaxed), AT_ONCE);
        open.send(true).unwrap();
        assert!(looks.join_all().await.into_iter().all(|there| there));
        assert_eq!(count.load(Ordering::Relaxed), AT_ONCE + 1);
        alive.look("abc123").await.unwrap();
        assert_eq!(count.load(Ordering::Relaxed), AT_ONCE + 2);
    }
}
