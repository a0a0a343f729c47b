//! Requests that were left in the API server for want of room, read once more when the desk
//! asks for it: page by page beside the watch, which goes on.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use kube::api::{ListParams, ObjectList};
use kube::{Api, ResourceExt};
use serde::de::DeserializeOwned;
use tokio::sync::Notify;

use super::{LONGEST_PAUSE, PAGE};

/// Names remembered of what was deleted since the reading began. With more than that, it
/// begins anew: a page says what was there then.
const GONE: usize = 10_000;

type Page<K> = Result<ObjectList<K>, kube::Error>;

/// A reading.
pub(super) struct Again<K: Clone> {
    api: Api<K>,
    asked: Arc<Notify>,
    /// The page that is on its way.
    page: Option<BoxFuture<'static, Page<K>>>,
    gone: BTreeSet<String>,
}

/// What a reading has to say.
pub(super) enum Told<K> {
    /// It begins.
    Begins,
    /// These are there.
    There(Vec<K>),
}

impl<K> Again<K>
where
    K: Clone + Debug + DeserializeOwned + ResourceExt + Send + 'static,
{
    pub(super) fn new(api: Api<K>, asked: Arc<Notify>) -> Self {
        Self {
            api,
            asked,
            page: None,
            gone: BTreeSet::new(),
        }
    }

    /// What comes next, once it was asked for. Given up half-way, it goes on where it was.
    pub(super) async fn next(&mut self) -> Told<K> {
        loop {
            let Some(page) = &mut self.page else {
                self.asked.notified().await;
                self.begin(None);
                return Told::Begins;
            };
            let read = page.await;
            self.page = None;
            let list = match read {
                Ok(list) => list,
                Err(error) => {
                    tracing::warn!(%error, "requests are not read again yet");
                    self.begin(Some(LONGEST_PAUSE));
                    continue;
                }
            };
            if let Some(more) = list.metadata.continue_.filter(|more| !more.is_empty()) {
                self.page = Some(self.list(Some(more), None));
            }
            let there = list.items.into_iter();
            let there = there.filter(|object| !self.gone.contains(&object.name_any()));
            return Told::There(there.collect());
        }
    }

    /// The watch says that there is no such request any more.
    pub(super) fn gone(&mut self, name: &str) {
        if self.page.is_none() {
            return;
        }
        if self.gone.len() >= GONE {
            self.begin(Some(LONGEST_PAUSE));
        }
        self.gone.insert(name.to_owned());
    }

    fn begin(&mut self, pause: Option<Duration>) {
        self.gone.clear();
        self.page = Some(self.list(None, pause));
    }

    fn list(
        &self,
        more: Option<String>,
        pause: Option<Duration>,
    ) -> BoxFuture<'static, Page<K>> {
        let api = self.api.clone();
        let mut params = ListParams::default().limit(PAGE);
        params.continue_token = more;
        Box::pin(async move {
            if let Some(pause) = pause {
                tokio::time::sleep(pause).await;
            }
            api.list(&params).await
        })
    }
}
