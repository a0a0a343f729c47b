//! From a request to its answer.

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HOST, HeaderMap, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use rustls::pki_types::CertificateDer;
use serde_json::{Value, json};

use super::front_proxy::FrontProxy;

/// The name of an object that is refused; all others may be.
pub const REFUSED: &str = "refused";
/// Why it is.
pub const REFUSES: &str = "the extension of the lab takes none of that name";
/// More than an object of the API may have (etcd's 1.5 MiB).
const LONGEST: usize = 4 << 20;

pub(super) async fn to(
    request: Request<Incoming>,
    front: &FrontProxy,
    shown: Option<&CertificateDer<'_>>,
) -> Response<Full<Bytes>> {
    let (head, body) = request.into_parts();
    if head.method == Method::POST && head.uri.path() == "/judge" {
        return match Limited::new(body, LONGEST).collect().await {
            Ok(body) => review(&body.to_bytes()),
            Err(_broken) => failed(StatusCode::BAD_REQUEST, "the body is cut off"),
        };
    }
    match group(head.uri.path()) {
        Some(group) => aggregated(group, &head.headers, front, shown),
        None => failed(StatusCode::NOT_FOUND, "nothing is there"),
    }
}

/// Of `/apis/GROUP/v1`.
fn group(path: &str) -> Option<&str> {
    path.strip_prefix("/apis/")?.strip_suffix("/v1")
}

/// The resources of a group, none, and besides who asked for them by which address.
fn aggregated(
    group: &str,
    headers: &HeaderMap,
    front: &FrontProxy,
    shown: Option<&CertificateDer<'_>>,
) -> Response<Full<Bytes>> {
    let Some(certificate) = shown.and_then(|shown| front.named(shown)) else {
        return failed(StatusCode::UNAUTHORIZED, "no API server asks");
    };
    let of = |name: &str| -> Vec<_> {
        let values = headers.get_all(name).iter();
        values.filter_map(|value| value.to_str().ok()).collect()
    };
    let list = json!({
        "kind": "APIResourceList", "apiVersion": "v1",
        "groupVersion": format!("{group}/v1"), "resources": [],
        "asked": {
            "certificate": certificate,
            "user": of(&front.user),
            "groups": of(&front.group),
            "at": of(HOST.as_str()),
        },
    });
    object(StatusCode::OK, &list)
}

/// What is called [`REFUSED`] is.
fn review(body: &[u8]) -> Response<Full<Bytes>> {
    let asked: Value = serde_json::from_slice(body).unwrap_or_default();
    let of = |path: &str| asked.pointer(path).and_then(Value::as_str);
    let Some(uid) = of("/request/uid") else {
        return failed(StatusCode::BAD_REQUEST, "it is no AdmissionReview");
    };
    let allowed = of("/request/name") != Some(REFUSED);
    let message = if allowed { "" } else { REFUSES };
    let review = json!({
        "kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1",
        "response": {"uid": uid, "allowed": allowed, "status": {"message": message}},
    });
    object(StatusCode::OK, &review)
}

fn failed(status: StatusCode, message: &str) -> Response<Full<Bytes>> {
    let failure = json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message,
        "code": status.as_u16(),
    });
    object(status, &failure)
}

fn object(status: StatusCode, value: &Value) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(value.to_string()));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}
