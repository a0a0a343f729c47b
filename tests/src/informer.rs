//! Clients that list, watch, and go on from the last version that they saw, as informers do:
//! whether an event was missed while their connections were moved.
//!
//! They own one thread in the client host's namespace; dropping them ends it.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{interval, sleep, timeout};

use crate::client::{PATIENCE, Question, connect, runtime};
use crate::error::LabError;
use crate::host::NamespaceHost;

/// What is watched.
const PATH: &str = "/api/v1/namespaces/default/configmaps";
/// How long a watch that has ended waits before it goes on.
const AGAIN: Duration = Duration::from_millis(20);
/// How long a write may take: three disks have to have it.
const WRITTEN: Duration = Duration::from_secs(30);
/// How often the thread looks whether it is to end.
const LOOK: Duration = Duration::from_millis(50);

/// What one informer has.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// The names that were added, in the order in which it heard of them.
    pub added: Vec<String>,
    /// What the server said that no informer recovers from without another list.
    pub lost: Vec<String>,
}

/// Informers that run.
#[derive(Debug)]
pub struct Informers {
    known: Vec<Arc<Mutex<Known>>>,
    watching: Arc<AtomicUsize>,
    ending: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Informers {
    /// Begins so many, each with connections of its own. The path of `question` is of no
    /// account.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn start(
        host: &NamespaceHost,
        question: &Question,
        count: usize,
    ) -> Result<Self, LabError> {
        let known: Vec<Arc<Mutex<Known>>> = (0..count).map(|_| Arc::default()).collect();
        let watching = Arc::new(AtomicUsize::new(0));
        let ending = Arc::new(AtomicBool::new(false));
        let (each, now, end) = (known.clone(), watching.clone(), ending.clone());
        let question = question.clone();
        let thread = host.netns().thread("informers", move || {
            let Ok(runtime) = runtime() else { return };
            runtime.block_on(async {
                for known in each {
                    tokio::spawn(inform(question.clone(), known, now.clone()));
                }
                let mut look = interval(LOOK);
                while !end.load(Ordering::Relaxed) {
                    look.tick().await;
                }
            });
        })?;
        Ok(Self {
            known,
            watching,
            ending,
            thread: Some(thread),
        })
    }

    /// How many have a watch that was answered.
    #[must_use]
    pub fn watching(&self) -> usize {
        self.watching.load(Ordering::Relaxed)
    }

    /// What each has.
    #[must_use]
    pub fn known(&self) -> Vec<Known> {
        let known = self.known.iter();
        let known = known.map(|k| k.lock().unwrap_or_else(PoisonError::into_inner));
        known.map(|known| known.clone()).collect()
    }
}

impl Drop for Informers {
    fn drop(&mut self) {
        self.ending.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

/// Creates an object that informers hear of, on a connection of its own, once.
///
/// # Errors
/// When the thread cannot be started; the inner result is the answer's.
pub fn create(
    host: &NamespaceHost,
    question: &Question,
    name: &str,
) -> Result<Result<(), String>, LabError> {
    let question = question.clone();
    let body = format!(
        r#"{{"apiVersion":"v1","kind":"ConfigMap","metadata":{{"name":"{name}"}}}}"#
    );
    let request = format!(
        "POST {PATH} HTTP/1.0\r\nHost: {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        question.target,
        body.len()
    );
    host.run(move || {
        let asked = async { timeout(WRITTEN, whole(&question, &request)).await };
        let answer = runtime()?.block_on(asked);
        Ok(match answer {
            Ok(Ok(answer)) if answer.starts_with("HTTP/1.0 201") => Ok(()),
            Ok(Ok(answer)) => Err(answer),
            Ok(Err(why)) => Err(why),
            Err(_) => Err("no answer in time".into()),
        })
    })?
}

async fn inform(
    question: Question,
    known: Arc<Mutex<Known>>,
    watching: Arc<AtomicUsize>,
) {
    let mut version = loop {
        match timeout(PATIENCE, list(&question)).await {
            Ok(Ok(version)) => break version,
            // Nothing is known yet that could be missed.
            Ok(Err(_)) | Err(_) => sleep(AGAIN).await,
        }
    };
    loop {
        // However it ends, it goes on from the version that it has come to.
        let _ = watch(&question, &mut version, &known, &watching).await;
        sleep(AGAIN).await;
    }
}

/// The version of a list.
async fn list(question: &Question) -> Result<String, String> {
    let answer = whole(question, &get(question, &format!("{PATH}?limit=1"))).await?;
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    let list: Value = serde_json::from_str(body).map_err(|e| e.to_string())?;
    let version = list.pointer("/metadata/resourceVersion");
    let version = version.and_then(Value::as_str).ok_or("no version")?;
    Ok(version.to_owned())
}

/// In HTTP/1.0 an answer has no chunks and lasts until its connection ends.
fn get(question: &Question, path: &str) -> String {
    format!("GET {path} HTTP/1.0\r\nHost: {}\r\n\r\n", question.target)
}

async fn whole(question: &Question, request: &str) -> Result<String, String> {
    let mut stream = connect(question).await?;
    let said = |error: std::io::Error| error.to_string();
    stream.write_all(request.as_bytes()).await.map_err(said)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.map_err(said)?;
    Ok(answer)
}

async fn watch(
    question: &Question,
    version: &mut String,
    known: &Mutex<Known>,
    watching: &AtomicUsize,
) -> Result<(), String> {
    let path = format!("{PATH}?watch=1&resourceVersion={version}");
    let said = |error: std::io::Error| error.to_string();
    let begun = async {
        let mut stream = connect(question).await?;
        let request = get(question, &path);
        stream.write_all(request.as_bytes()).await.map_err(said)?;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.map_err(said)?);
        }
        Ok::<_, String>((stream, head))
    };
    let begun = timeout(PATIENCE, begun).await;
    let (mut stream, head) = begun.map_err(|_| "no answer in time")??;
    if !head.starts_with(b"HTTP/1.0 200") {
        return Err(String::from_utf8_lossy(&head).into_owned());
    }
    watching.fetch_add(1, Ordering::Relaxed);
    let (mut lines, mut bytes) = (Vec::new(), vec![0; 4096]);
    while let Ok(len @ 1..) = stream.read(&mut bytes).await {
        lines.extend_from_slice(bytes.get(..len).unwrap_or_default());
        while let Some(end) = lines.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = lines.drain(..=end).collect();
            hear(&line, version, known);
        }
    }
    watching.fetch_sub(1, Ordering::Relaxed);
    Ok(())
}

fn hear(line: &[u8], version: &mut String, known: &Mutex<Known>) {
    let event: Value = serde_json::from_slice(line).unwrap_or_default();
    let word = |at: &str| event.pointer(at).and_then(Value::as_str);
    let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
    match (
        word("/type"),
        word("/object/metadata/name"),
        word("/object/metadata/resourceVersion"),
    ) {
        (Some("ADDED"), Some(name), Some(at)) => {
            known.added.push(name.to_owned());
            at.clone_into(version);
        }
        _ => known.lost.push(String::from_utf8_lossy(line).into_owned()),
    }
}
