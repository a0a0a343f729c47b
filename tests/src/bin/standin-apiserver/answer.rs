//! From a request to its answer.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, stream};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Frame;
use hyper::header::{CONTENT_TYPE, HeaderValue, SERVER};
use hyper::{Method, Request, Response, StatusCode};
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::Phase;

type Body = BoxBody<Bytes, Infallible>;

/// What answers depend on.
#[derive(Clone, Debug)]
pub(crate) struct Desk {
    pub(crate) node: HeaderValue,
    pub(crate) watch_interval: Duration,
    pub(crate) ready_file: Option<std::path::PathBuf>,
    pub(crate) phases: watch::Receiver<Phase>,
}

/// What a request is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Question {
    Ready,
    Alive,
    Version,
    Watch,
    Unknown,
    NotAllowed,
}

impl Desk {
    pub(crate) fn answer<B>(&self, request: &Request<B>) -> Response<Body> {
        let query = request.uri().query().unwrap_or_default();
        let question = question(request.method(), request.uri().path(), query);
        let mut response = self.respond(question);
        let headers = response.headers_mut();
        headers.insert(SERVER, HeaderValue::from_static("STAND-IN"));
        headers.insert("x-node", self.node.clone());
        response
    }

    fn respond(&self, question: Question) -> Response<Body> {
        match question {
            Question::Alive => text(StatusCode::OK, "ok"),
            Question::Ready if self.is_ready() => text(StatusCode::OK, "ok"),
            Question::Ready => text(
                StatusCode::INTERNAL_SERVER_ERROR,
                "[+]ping ok\n[-]shutdown failed: reason withheld\nreadyz check failed\n",
            ),
            Question::Version => object(StatusCode::OK, &version()),
            Question::Watch => self.watch(),
            Question::Unknown => object(StatusCode::NOT_FOUND, &failure(404)),
            Question::NotAllowed => object(StatusCode::METHOD_NOT_ALLOWED, &failure(405)),
        }
    }

    fn is_ready(&self) -> bool {
        let told_not_to = self.ready_file.as_ref().is_some_and(|path| path.exists());
        *self.phases.borrow() == Phase::Serving && !told_not_to
    }

    fn watch(&self) -> Response<Body> {
        let lines = lines(self.watch_interval, self.phases.clone());
        with_type(
            StatusCode::OK,
            "application/json",
            StreamBody::new(lines).boxed(),
        )
    }
}

fn question(method: &Method, path: &str, query: &str) -> Question {
    if method != Method::GET {
        return Question::NotAllowed;
    }
    let watches = query
        .split('&')
        .any(|pair| pair == "watch=1" || pair == "watch=true");
    match path {
        "/readyz" => Question::Ready,
        "/livez" | "/healthz" => Question::Alive,
        "/version" => Question::Version,
        "/watch" => Question::Watch,
        _ if watches => Question::Watch,
        _ => Question::Unknown,
    }
}

/// One line at once, one after each interval, up to the server's end.
fn lines(
    interval: Duration,
    phases: watch::Receiver<Phase>,
) -> impl Stream<Item = Result<Frame<Bytes>, Infallible>> {
    stream::unfold((0_u64, phases), move |(count, mut phases)| async move {
        if count > 0 {
            tokio::select! {
                () = tokio::time::sleep(interval) => {}
                _ = phases.wait_for(|phase| *phase == Phase::Ending) => return None,
            }
        }
        let line = format!("{}\n", bookmark(count));
        Some((Ok(Frame::data(Bytes::from(line))), (count + 1, phases)))
    })
}

fn bookmark(count: u64) -> Value {
    let version = (count + 1).to_string();
    json!({"type": "BOOKMARK", "object": {
        "kind": "ConfigMap", "apiVersion": "v1", "metadata": {"resourceVersion": version},
    }})
}

fn version() -> Value {
    json!({
        "major": "1", "minor": "36", "gitVersion": "STAND-IN", "gitTreeState": "STAND-IN",
        "goVersion": "STAND-IN", "compiler": "STAND-IN", "platform": "linux/amd64",
    })
}

fn failure(code: u16) -> Value {
    json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code,
        "message": "the stand-in does not know this request",
    })
}

fn text(status: StatusCode, text: &'static str) -> Response<Body> {
    with_type(
        status,
        "text/plain; charset=utf-8",
        Full::from(text).boxed(),
    )
}

fn object(status: StatusCode, value: &Value) -> Response<Body> {
    with_type(
        status,
        "application/json",
        Full::from(value.to_string()).boxed(),
    )
}

fn with_type(status: StatusCode, kind: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let kind = HeaderValue::from_static(kind);
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}
