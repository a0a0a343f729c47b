//! The responses: status, content type, body.

use crate::admin::route::PAGES;
use crate::admin::{CommandError, Page};
use crate::metrics;
use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{
    ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue,
    REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use hyper::{Response, StatusCode};
use serde_json::{Value, json};

/// A whole response.
pub(crate) type Answer = Response<Full<Bytes>>;

const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";

/// 200 or 503, with one line that says why.
pub(crate) fn health(state: Result<(), String>) -> Answer {
    match state {
        Ok(()) => answer(StatusCode::OK, TEXT, "ok\n".to_owned()),
        Err(why) => answer(StatusCode::SERVICE_UNAVAILABLE, TEXT, format!("{why}\n")),
    }
}

/// `/metrics`.
pub(crate) fn metrics(page: String) -> Answer {
    answer(StatusCode::OK, metrics::CONTENT_TYPE, page)
}

/// 200 with a value.
pub(crate) fn value(value: &Value) -> Answer {
    answer(StatusCode::OK, JSON, format!("{value:#}\n"))
}

/// A page, which no browser takes for anything else, frames, or loads more for.
pub(crate) fn page(page: Page) -> Answer {
    let mut answer = answer(StatusCode::OK, page.kind, page.body);
    let headers = answer.headers_mut();
    if let Ok(policy) = HeaderValue::from_str(&page.policy) {
        headers.insert(CONTENT_SECURITY_POLICY, policy);
    }
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    answer
}

/// What became of a command.
pub(crate) fn command(result: Result<Value, CommandError>) -> Answer {
    match result {
        Ok(result) => value(&result),
        Err(error) => {
            let status = match error {
                CommandError::Invalid(_) => StatusCode::BAD_REQUEST,
                CommandError::NotFound(_) => StatusCode::NOT_FOUND,
                CommandError::Conflict(_) => StatusCode::CONFLICT,
                CommandError::Failed(_) => StatusCode::INTERNAL_SERVER_ERROR,
            };
            refusal(status, &error.to_string())
        }
    }
}

/// An error as every client gets it: `{"error": "…"}`.
pub(crate) fn refusal(status: StatusCode, why: &str) -> Answer {
    answer(status, JSON, format!("{:#}\n", json!({ "error": why })))
}

/// 404, with what there is.
pub(crate) fn nowhere(path: &str, commands: &[&str]) -> Answer {
    let pages: Vec<&str> = PAGES.iter().map(|(page, _)| *page).collect();
    let mut why = format!("nothing at {path}; there are {}", pages.join(", "));
    if !commands.is_empty() {
        let posts = commands.iter().map(|name| format!("POST /{name}"));
        let posts = posts.collect::<Vec<_>>().join(", ");
        why += &format!(" and, on the unix socket, {posts}");
    }
    refusal(StatusCode::NOT_FOUND, &why)
}

/// 405; `allow` is what the path takes here.
pub(crate) fn not_allowed(allow: &'static str, why: &str) -> Answer {
    let mut answer = refusal(StatusCode::METHOD_NOT_ALLOWED, why);
    answer
        .headers_mut()
        .insert(ALLOW, HeaderValue::from_static(allow));
    answer
}

fn answer(status: StatusCode, kind: &'static str, body: String) -> Answer {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
