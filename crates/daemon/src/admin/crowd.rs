//! The connections that are open, of which there is a bounded number.
//!
//! Full, it ends the oldest to let the newest in: whoever holds connections open
//! cannot keep a health check out, since an answer takes a millisecond and another
//! thousand connections would have to come in before it.

use std::collections::VecDeque;
use std::future::Future;
use std::time::Duration;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time;

/// Connections of one listener. A scraper, two health checks and a person need 4.
pub(crate) const OPEN: usize = 64;

#[derive(Default)]
pub(crate) struct Crowd {
    tasks: JoinSet<()>,
    ages: VecDeque<AbortHandle>,
}

impl Crowd {
    /// Lets a connection in, for which the oldest may have to go.
    pub(crate) fn admit(
        &mut self,
        connection: impl Future<Output = ()> + Send + 'static,
    ) {
        while self.tasks.try_join_next().is_some() {}
        self.ages.retain(|task| !task.is_finished());
        while self.ages.len() >= OPEN {
            if let Some(oldest) = self.ages.pop_front() {
                oldest.abort();
            }
        }
        self.ages.push_back(self.tasks.spawn(connection));
    }

    /// Waits until all have ended, at most for `patience`; then ends the rest.
    pub(crate) async fn finish(mut self, patience: Duration) {
        let all = async { while self.tasks.join_next().await.is_some() {} };
        let _ = time::timeout(patience, all).await;
        self.tasks.shutdown().await;
    }
}
