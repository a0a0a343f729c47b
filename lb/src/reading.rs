//! Reads the configuration again, on a thread of its own and with a bound: the file, or a
//! certificate it names, may lie where a read does not end (a server of files that is
//! gone), and checks and signals must go on meanwhile.
//!
//! Control owns it and is told the result; there is never more than one such thread.

use std::sync::Arc;
use std::time::Duration;

use ::config::Errors;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::config::Config;

/// How long a reading may take. A local disk needs some milliseconds.
pub const WITHIN: Duration = Duration::from_secs(5);

/// What is read, and the configuration it holds.
pub type Read = dyn Fn() -> Result<Config, Errors> + Send + Sync;

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It is not good.
    #[error(transparent)]
    Config(#[from] Errors),
    /// It was not read in time.
    #[error(
        "the file and the certificates it names were not read within {WITHIN:?}; see whether their file systems answer (`df`), and reload again"
    )]
    Slow,
    /// The system gives no thread.
    #[error("the system gives no thread to read the file on")]
    Thread(#[source] std::io::Error),
}

/// The reading under way, if there is one.
pub struct Reading {
    read: Arc<Read>,
    under_way: Option<oneshot::Receiver<Result<Config, Errors>>>,
    /// When somebody waits for the result: until when.
    until: Option<Instant>,
    /// It was asked for after the reading under way had begun.
    again: bool,
}

impl Reading {
    /// Nothing is read yet.
    #[must_use]
    pub fn new(read: Arc<Read>) -> Self {
        Self {
            read,
            under_way: None,
            until: None,
            again: false,
        }
    }

    /// Asks for what the file says from here on; [`Reading::result`] tells. Within a runtime.
    pub fn ask(&mut self) {
        self.again = true;
        self.until = Some(Instant::now() + WITHIN);
    }

    /// The configuration that was asked for, once. Never when none was. Safe to cancel.
    ///
    /// # Errors
    /// When there is none, or not in time.
    pub async fn result(&mut self) -> Result<Config, ReadError> {
        let Some(until) = self.until else {
            return std::future::pending().await;
        };
        loop {
            if self.under_way.is_none() {
                self.again = false;
                let begun = begin(&self.read).map_err(ReadError::Thread);
                self.under_way = Some(begun.inspect_err(|_| self.until = None)?);
            }
            let Some(under_way) = &mut self.under_way else {
                continue;
            };
            let Ok(result) = tokio::time::timeout_at(until, under_way).await else {
                self.until = None;
                return Err(ReadError::Slow);
            };
            self.under_way = None;
            // Fails only when the thread has panicked; what it read is gone.
            if let (false, Ok(result)) = (self.again, result) {
                self.until = None;
                return Ok(result?);
            }
        }
    }
}

fn begin(read: &Arc<Read>) -> std::io::Result<oneshot::Receiver<Result<Config, Errors>>> {
    let (done, result) = oneshot::channel();
    let read = Arc::clone(read);
    std::thread::Builder::new()
        .name("reading".to_owned())
        // Nobody waits for a result that comes too late.
        .spawn(move || drop(done.send(read())))?;
    Ok(result)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;
    use std::sync::mpsc::sync_channel;

    const FILE: &str = include_str!("../tests/configs/smallest.yaml");

    /// What is read: the drain timeout that the test puts in, when it does.
    fn reading() -> (Reading, std::sync::mpsc::SyncSender<&'static str>) {
        let (put, texts) = sync_channel(4);
        let texts = Mutex::new(texts);
        let read = move || {
            let head = texts.lock().unwrap().recv().unwrap_or_default();
            crate::config::parse("test", &format!("{FILE}\n{head}"))
        };
        (Reading::new(Arc::new(read)), put)
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_does_not_end_is_given_up_and_holds_up_no_other() {
        let (mut reading, put) = reading();
        reading.ask();
        let before = Instant::now();
        assert!(matches!(reading.result().await, Err(ReadError::Slow)));
        assert_eq!(before.elapsed(), WITHIN);
        // Still there, so that no thread is added; what it read by then is old.
        reading.ask();
        assert!(matches!(reading.result().await, Err(ReadError::Slow)));
        tokio::time::resume();
        put.send("drainTimeout: 1s").unwrap();
        put.send("drainTimeout: 2s").unwrap();
        reading.ask();
        let config = reading.result().await.unwrap();
        assert_eq!(config.drain_timeout, Duration::from_secs(2));
    }

    #[tokio::test]
    async fn each_demand_is_answered_once() {
        let (mut reading, put) = reading();
        put.send("drainTimeout: 1s").unwrap();
        put.send("workerz: 1").unwrap();
        reading.ask();
        assert!(reading.result().await.is_ok());
        let nothing = Duration::from_millis(10);
        assert!(
            tokio::time::timeout(nothing, reading.result())
                .await
                .is_err()
        );
        reading.ask();
        assert!(matches!(reading.result().await, Err(ReadError::Config(_))));
    }
}
