//! Asks a running daemon over its unix socket; for the command lines.

use serde_json::Value;
use std::path::{Path, PathBuf};

/// Why a daemon gave no answer, with the way out.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens there.
    #[error("no daemon listens on {}; start it with `systemctl start`", socket.display())]
    NotRunning {
        /// The socket asked.
        socket: PathBuf,
    },
}

/// `GET path` of the daemon behind `socket`.
///
/// # Errors
/// See [`ClientError`].
pub async fn get(socket: &Path, path: &str) -> Result<Value, ClientError> {
    let _ = (socket, path);
    todo!()
}

/// `POST path` with `body` to the daemon behind `socket`.
///
/// # Errors
/// See [`ClientError`].
pub async fn post(socket: &Path, path: &str, body: &Value) -> Result<Value, ClientError> {
    let _ = (socket, path, body);
    todo!()
}
