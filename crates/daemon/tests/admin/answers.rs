//! What it answers: pages, errors, commands.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::Ordering;
use std::time::SystemTime;

use daemon::client::{self, ClientError};
use serde_json::{Value, json};

use crate::rig::{Server, body};

#[tokio::test]
async fn pages_over_tcp() {
    let server = Server::start().unwrap();
    for (path, status, kind, text) in [
        ("/livez", "200 OK", "text/plain; charset=utf-8", "ok\n"),
        (
            "/readyz?verbose",
            "200 OK",
            "text/plain; charset=utf-8",
            "ok\n",
        ),
    ] {
        let response = server.get(path).await.unwrap();
        assert!(
            response.starts_with(&format!("HTTP/1.1 {status}\r\n")),
            "{response}"
        );
        assert!(
            response.contains(&format!("content-type: {kind}\r\n")),
            "{response}"
        );
        assert_eq!(body(&response), text);
    }
    server.surface.unready.store(true, Ordering::Relaxed);
    server.surface.broken.store(true, Ordering::Relaxed);
    let unready = server.get("/readyz").await.unwrap();
    assert!(unready.starts_with("HTTP/1.1 503 "), "{unready}");
    assert_eq!(body(&unready), "draining\n");
    assert!(
        server
            .get("/livez")
            .await
            .unwrap()
            .starts_with("HTTP/1.1 503 ")
    );
    let metrics = server.get("/metrics").await.unwrap();
    assert!(
        metrics.contains("content-type: text/plain; version=0.0.4"),
        "{metrics}"
    );
    assert!(
        body(&metrics).contains("fake_things_total{kind=\"a\"} 3\n"),
        "{metrics}"
    );
    assert!(
        body(&metrics).contains("fake_d_config_current 1\n"),
        "{metrics}"
    );
}

#[tokio::test]
async fn status_has_the_shared_keys_and_tells_of_a_refused_reload() {
    let server = Server::start().unwrap();
    let status = client::get(&server.socket, "/status").await.unwrap();
    assert_eq!(status["apiVersion"], "sternpost/v1");
    assert_eq!(status["version"], daemon::VERSION);
    assert_eq!(status["things"], 3);
    assert_eq!(status["config"]["file"], "/etc/fake.yaml");
    assert_eq!(status["config"]["refused"], Value::Null);
    assert_eq!(status["since"], status["config"]["loaded"]);
    server
        .identity
        .reload_refused(&"fake.yaml:1: no", SystemTime::now());
    let status = client::get(&server.socket, "/status").await.unwrap();
    assert_eq!(status["config"]["refused"]["error"], "fake.yaml:1: no");
    let metrics = server.get("/metrics").await.unwrap();
    assert!(metrics.contains("fake_d_config_current 0\n"), "{metrics}");
    assert!(metrics.contains("fake_d_config_reloads_total{outcome=\"refused\"} 1\n"));
    server.identity.reloaded(SystemTime::now());
    let status = client::get(&server.socket, "/status").await.unwrap();
    assert_eq!(status["config"]["refused"], Value::Null);
}

#[tokio::test]
async fn errors_say_what_there_is() {
    let server = Server::start().unwrap();
    let nowhere = server.get("/foo").await.unwrap();
    assert!(nowhere.starts_with("HTTP/1.1 404 "), "{nowhere}");
    let value: Value = serde_json::from_str(body(&nowhere)).unwrap();
    assert_eq!(
        value["error"],
        "nothing at /foo; there are /livez, /readyz, /metrics, /status and, on the unix \
         socket, POST /echo, POST /fail, POST /hang"
    );
    let post = server
        .raw("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        .await
        .unwrap();
    assert!(post.starts_with("HTTP/1.1 405 "), "{post}");
    assert!(body(&post).contains("/echo is a command; send it over the unix socket"));
    let post = server
        .raw("POST /status HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        .await
        .unwrap();
    assert!(post.contains("allow: GET, HEAD\r\n"), "{post}");
}

#[tokio::test]
async fn head_has_the_length_and_no_body() {
    let server = Server::start().unwrap();
    let head = server
        .raw("HEAD /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        .await
        .unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert!(head.contains("content-length: 3\r\n"), "{head}");
    assert_eq!(body(&head), "");
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let server = Server::start().unwrap();
    let one =
        |path: &str, last: &str| format!("GET {path} HTTP/1.1\r\nHost: x\r\n{last}\r\n");
    let requests = one("/livez", "")
        + &one("/nothing", "")
        + &one("/readyz", "Connection: close\r\n");
    let text = server.raw(&requests).await.unwrap();
    let statuses: Vec<&str> = text
        .lines()
        .filter(|line| line.starts_with("HTTP/1.1"))
        .collect();
    assert_eq!(statuses.len(), 3, "{text}");
    assert!(statuses[1].contains("404"), "{text}");
}

#[tokio::test]
async fn commands_over_the_socket() {
    let server = Server::start().unwrap();
    let mode = fs::metadata(&server.socket).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o660);
    let answer = client::post(&server.socket, "/echo", &json!({"a": 1}))
        .await
        .unwrap();
    assert_eq!(answer, json!({"echo": {"a": 1}}));
    let refused = client::post(&server.socket, "/fail", &Value::Null)
        .await
        .unwrap_err();
    assert_eq!(refused.to_string(), "not while it rains");
    assert!(matches!(refused, ClientError::Refused { status: 409, .. }));
    let wrong = client::get(&server.socket, "/echo").await.unwrap_err();
    assert_eq!(wrong.to_string(), "/echo is a command; send it with POST");
    let large = json!("x".repeat(64 * 1024));
    let refused = client::post(&server.socket, "/echo", &large)
        .await
        .unwrap_err();
    assert_eq!(refused.to_string(), "the body is larger than 64 KiB");
    let most = json!("x".repeat(64 * 1024 - 2));
    assert!(client::post(&server.socket, "/echo", &most).await.is_ok());
    assert_eq!(
        client::get(&server.socket, "/livez").await.unwrap(),
        json!("ok")
    );
}
