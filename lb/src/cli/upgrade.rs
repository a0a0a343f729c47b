//! `api-lb upgrade`, and what the new program is asked before.

use std::os::fd::AsFd as _;
use std::path::Path;
use std::time::{Duration, Instant};

use daemon::client::{self, ClientError};
use daemon::exit;
use serde_json::{Value, json};

use super::{AskError, fail, runtime, say};
use crate::config;
use crate::upgrade::{State, parcel};

/// How long the new program may take until it answers. It is there within a second.
const PATIENCE: Duration = Duration::from_secs(15);
/// How often it is asked.
const LOOK: Duration = Duration::from_millis(20);

/// Says whether this program would go on with the state on standard input, by this file.
pub(super) fn adopt(path: &Path) -> u8 {
    let read = parcel::bytes_of(std::io::stdin().as_fd());
    let state = match read {
        Ok(bytes) => State::decode(&bytes),
        Err(error) => return fail(exit::FAILED, &error),
    };
    match (config::read(path), state) {
        (Err(errors), _) => fail(exit::USAGE, &errors),
        (Ok(_), Err(error)) => fail(exit::FAILED, &error),
        (Ok(_), Ok(_)) => say(&format!("{}\n", daemon::VERSION)),
    }
}

/// Has the running daemon replaced, and waits until the new program answers.
pub(super) fn upgrade(socket: &Path, is_json: bool) -> u8 {
    let tell = |text: &str| if is_json { exit::DONE } else { say(text) };
    let upgraded = runtime()
        .map_err(AskError::from)
        .and_then(|runtime| runtime.block_on(replace(socket, tell)));
    match upgraded {
        Err(error) => fail(exit::FAILED, &*error),
        Ok(status) if is_json => say(&format!("{:#}\n", at(&status, "/upgrades/last"))),
        Ok(status) => {
            let last = |key: &str| at(&status, &format!("/upgrades/last/{key}"));
            let pause = last("pauseSeconds").as_f64().unwrap_or_default();
            say(&format!(
                "upgraded from {} to {}: {} connections go on, after {:.0} ms\n",
                text(last("from")),
                text(at(&status, "/version")),
                last("connections"),
                pause * 1000.0,
            ))
        }
    }
}

async fn replace(socket: &Path, tell: impl Fn(&str) -> u8) -> Result<Value, AskError> {
    let before = client::get(socket, "/status").await?;
    let done = |status: &Value| at(status, "/upgrades/done").as_u64();
    let failed = |status: &Value| at(status, "/upgrades/failed").as_u64();
    if done(&before).is_none() {
        return Err(
            "the running api-lb is too old to be replaced in place; restart it".into(),
        );
    }
    tell(&format!(
        "api-lb {} runs, with {} connections; trying the new program\n",
        text(at(&before, "/version")),
        at(&before, "/connections"),
    ));
    match client::post(socket, "/upgrade", &json!(null)).await {
        // It ends without an answer when all goes well.
        Ok(_) | Err(ClientError::Broken(..)) => {}
        Err(
            error @ (ClientError::Refused { .. }
            | ClientError::NotRunning(_)
            | ClientError::NotAllowed(_)
            | ClientError::Connect(..)
            | ClientError::Silent(_)
            | ClientError::Foreign(_)),
        ) => return Err(error.into()),
    }
    tell("the new program will do, and takes over\n");
    let until = Instant::now() + PATIENCE;
    while Instant::now() < until {
        if let Ok(status) = client::get(socket, "/status").await {
            if done(&status) > done(&before) {
                return Ok(status);
            }
            if failed(&status) > failed(&before) {
                let why = text(at(&status, "/upgrades/failure/error"));
                return Err(format!("the old program is back: {why}").into());
            }
        }
        tokio::time::sleep(LOOK).await;
    }
    let waited = PATIENCE.as_secs();
    Err(format!(
        "the new program has not answered within {waited} s; its log may say why"
    )
    .into())
}

/// What stands there; null when nothing does.
fn at<'v>(status: &'v Value, path: &str) -> &'v Value {
    status.pointer(path).unwrap_or(&Value::Null)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("?")
}
