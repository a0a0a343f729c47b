//! What a daemon hands to the admin server.

use crate::metrics::Text;
use futures_util::future::BoxFuture;
use serde_json::Value;

/// A daemon as its admin server sees it. The plain methods answer from what is known
/// and do not wait.
pub trait Surface: Send + Sync + 'static {
    /// `/livez`: whether the process works.
    fn alive(&self) -> bool;

    /// `/readyz`: whether work should be sent here.
    ///
    /// # Errors
    /// The reason, as one line; answered with 503.
    fn ready(&self) -> Result<(), String>;

    /// `/metrics`: adds the daemon's own families.
    fn metrics(&self, out: &mut Text);

    /// `/status`: an object of the daemon's own keys. `apiVersion`, `version`,
    /// `since` and `config` are added.
    fn status(&self) -> Value;

    /// `GET target` of what the daemon shows beside that: a page for people, a table for
    /// an exporter. Asked first with the query, if there is one, then without.
    fn page(&self, _target: &str) -> Option<Page> {
        None
    }

    /// The commands there are, as they stand in the path: `["drain", "release"]`.
    /// Only these reach [`Surface::command`].
    fn commands(&self) -> &'static [&'static str];

    /// Those of them that one who has signed in may give from a browser.
    fn web_commands(&self) -> &'static [&'static str] {
        &[]
    }

    /// `POST /<name>` on the unix socket; `body` is `null` when none was sent.
    fn command(
        &self,
        name: &str,
        body: Value,
    ) -> BoxFuture<'_, Result<Value, CommandError>>;
}

/// Something to look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Its media type.
    pub kind: &'static str,
    /// What a browser may do with it: the Content-Security-Policy.
    pub policy: String,
    /// The page.
    pub body: String,
}

/// Why a command was not done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// The body makes no sense: 400.
    #[error("{0}")]
    Invalid(String),
    /// Names something that is not there: 404.
    #[error("{0}")]
    NotFound(String),
    /// Cannot be done in the state things are in: 409.
    #[error("{0}")]
    Conflict(String),
    /// Was tried and failed: 500.
    #[error("{0}")]
    Failed(String),
}
