//! The desk with an API server that is a script, on a clock that stands still but for its
//! sleeps: what it asks and writes, and when.
//!
//! Leaves to `tests/cluster`: that a real API server answers so.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot set itself up has failed"
)]

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use bootstrap_signer::act::Writer;
use bootstrap_signer::book::{Change, Kind, Ledger, Seen};
use bootstrap_signer::config::Mode;
use bootstrap_signer::desk::{Desk, Rulebook};
use bootstrap_signer::fair;
use bootstrap_signer::shown::Shown;
use bootstrap_signer::signing::Plan;
use kube::Client;
use kube::client::Body;
use policy::{Known, Limits, Settings, Signer, State, Submitted, Token};
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

thread_local! {
    static BEGAN: Instant = Instant::now();
}

fn since() -> Duration {
    BEGAN.with(|began| began.elapsed())
}

/// The world's time follows the runtime's.
fn clock() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000) + since()
}

/// What the script answers to one kind of call, one after the other; the last for ever.
#[derive(Clone, Copy)]
enum Answer {
    Yes,
    No,
    Fails,
    Never,
}

type Calls = Arc<Mutex<Vec<(u128, &'static str)>>>;

/// An API server that answers as told, and what it was asked with the millisecond.
fn api(reviews: &[Answer], approvals: &[Answer], tokens: &[Answer]) -> (Client, Calls) {
    let calls = Calls::default();
    let noted = Arc::clone(&calls);
    let script = |answers: &[Answer]| -> Arc<Mutex<VecDeque<Answer>>> {
        Arc::new(Mutex::new(answers.iter().copied().collect()))
    };
    let (reviews, approvals) = (script(reviews), script(approvals));
    let tokens = script(tokens);
    let service = tower::service_fn(move |request: http::Request<Body>| {
        let path = request.uri().path();
        let (call, script) = if path.ends_with("/subjectaccessreviews") {
            ("review", Some(&reviews))
        } else if path.ends_with("/approval") {
            ("approval", Some(&approvals))
        } else if path.ends_with("/secrets/bootstrap-token-abc123") {
            match request.method() == http::Method::PATCH {
                true => ("claim", None),
                false => ("token", Some(&tokens)),
            }
        } else if path.contains("/nodes/") {
            ("node", None)
        } else {
            ("event", None)
        };
        noted.lock().unwrap().push((since().as_millis(), call));
        let answer = script.map(|script| {
            let mut script = script.lock().unwrap();
            let next = script.front().copied().unwrap();
            if script.len() > 1 {
                script.pop_front();
            }
            next
        });
        async move {
            let (code, body) = match (call, answer) {
                (_, Some(Answer::Never)) => std::future::pending().await,
                (_, Some(Answer::Fails)) => (500, failure(500)),
                ("node", _) => (404, failure(404)),
                ("token", Some(Answer::Yes)) | ("claim", _) => (200, secret()),
                ("token", _) => (404, failure(404)),
                ("review", answer) => (201, review(answer)),
                ("approval", _) => (200, request_object()),
                (_, _) => (201, json!({ "metadata": {}, "involvedObject": {} })),
            };
            let response = http::Response::builder().status(code);
            let body = Body::from(body.to_string().into_bytes());
            Ok::<_, std::convert::Infallible>(response.body(body).unwrap())
        }
    });
    (Client::new(service, "default"), calls)
}

fn failure(code: u16) -> Value {
    let reason = if code == 404 {
        "NotFound"
    } else {
        "InternalError"
    };
    json!({ "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code,
            "message": "as the script says", "reason": reason, "metadata": {} })
}

fn review(answer: Option<Answer>) -> Value {
    let allowed = matches!(answer, Some(Answer::Yes));
    json!({ "spec": {}, "status": { "allowed": allowed } })
}

/// As [`Token::default`] is.
fn secret() -> Value {
    json!({
        "metadata": { "name": "bootstrap-token-abc123", "resourceVersion": "1" },
        "type": "bootstrap.kubernetes.io/token",
        // "abc123", "true"
        "data": { "token-id": "YWJjMTIz", "usage-bootstrap-authentication": "dHJ1ZQ==" },
    })
}

fn request_object() -> Value {
    json!({ "metadata": { "name": "csr-1" },
            "spec": { "request": "", "signerName": Signer::Client.name() } })
}

fn seen(name: &str, node: &str) -> Seen {
    let mut params = CertificateParams::default();
    let mut subject = DistinguishedName::new();
    subject.push(DnType::OrganizationName, "system:nodes");
    subject.push(DnType::CommonName, format!("system:node:{node}"));
    params.distinguished_name = subject;
    let key = KeyPair::generate().unwrap();
    let pem = params.serialize_request(&key).unwrap().pem().unwrap();
    Seen {
        submitted: Submitted {
            name: name.to_owned(),
            uid: name.to_owned(),
            signer: Signer::Client.name().to_owned(),
            username: "system:bootstrap:abc123".to_owned(),
            groups: BTreeSet::from(["system:bootstrappers".to_owned()]),
            usages: ["digital signature", "client auth"]
                .map(str::to_owned)
                .into(),
            expiration: None,
            created: clock(),
            state: State::Pending,
        },
        pem: pem.into_bytes(),
        version: "1".to_owned(),
        denied: false,
        approved: None,
        stranger: None,
        issued: None,
        requester_uid: String::new(),
        extra: Default::default(),
    }
}

/// What was asked of the script until the runtime's clock shows `until`.
async fn timeline(
    reviews: &[Answer],
    approvals: &[Answer],
    tokens: &[Answer],
    until: Duration,
) -> Vec<(u128, &'static str)> {
    let one = vec![seen("csr-1", "new-1")];
    about(one, reviews, approvals, tokens, until).await
}

/// The same about other requests.
async fn about(
    requests: Vec<Seen>,
    reviews: &[Answer],
    approvals: &[Answer],
    tokens: &[Answer],
    until: Duration,
) -> Vec<(u128, &'static str)> {
    let token = (Token::default(), Ledger::default());
    by(token, requests, reviews, approvals, tokens, until).await
}

/// The same by another token.
async fn by(
    (token, ledger): (Token, Ledger),
    requests: Vec<Seen>,
    reviews: &[Answer],
    approvals: &[Answer],
    tokens: &[Answer],
    until: Duration,
) -> Vec<(u128, &'static str)> {
    since();
    let (client, calls) = api(reviews, approvals, tokens);
    let rules = Rulebook {
        settings: Settings::default(),
        inventory: None,
        mode: Mode::Enforce,
        signing: Plan::default(),
        tokens: bootstrap_signer::tokens::Duties::default(),
    };
    let (_rules, rules) = watch::channel(Arc::new(rules));
    let shown = Arc::new(Shown::default());
    let writer = Writer::new(&client, Arc::default());
    let desk = Desk::new(rules, writer, shown, clock);
    let (changes, inlet) = mpsc::channel(16);
    let (stop, stopped) = oneshot::channel();
    let working = tokio::spawn(desk.work(inlet, stopped));
    let token = Change::Token("abc123".to_owned(), token, ledger);
    changes.send(token).await.unwrap();
    let names: BTreeSet<String> = requests
        .iter()
        .map(|seen| seen.submitted.name.clone())
        .collect();
    for seen in requests {
        let change = Change::Request(Box::new(seen));
        changes.send(change).await.unwrap();
    }
    for kind in Kind::ALL {
        let known = match kind {
            Kind::Requests => names.clone(),
            Kind::Tokens => BTreeSet::from(["abc123".to_owned()]),
            Kind::Nodes | Kind::Leases => BTreeSet::new(),
        };
        changes.send(Change::Whole(kind, known)).await.unwrap();
    }
    tokio::time::sleep(until).await;
    drop(stop);
    drop(working);
    let calls = calls.lock().unwrap();
    calls.clone()
}

#[tokio::test(start_paused = true)]
async fn a_right_is_asked_for_again_while_it_is_missing() {
    use Answer::{No, Yes};
    let calls = timeline(&[No, No, Yes], &[Yes], &[Yes], Duration::from_secs(2)).await;
    assert_eq!(
        calls,
        [
            (0, "review"),
            (400, "review"),
            (800, "review"),
            (800, "node"),
            (800, "token"),
            (800, "approval"),
            (800, "event"),
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn what_failed_is_tried_again() {
    use Answer::{Fails, Yes};
    let calls =
        timeline(&[Fails, Yes], &[Fails, Yes], &[Yes], Duration::from_secs(2)).await;
    assert_eq!(
        calls,
        [
            (0, "review"),
            (500, "review"),
            (500, "node"),
            (500, "token"),
            (500, "approval"),
            (1_000, "node"),
            (1_000, "token"),
            (1_000, "approval"),
            (1_000, "event"),
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn an_api_server_that_hangs_is_given_up() {
    use Answer::{Never, Yes};
    let calls = timeline(&[Yes], &[Never, Yes], &[Yes], Duration::from_secs(6)).await;
    assert_eq!(
        calls,
        [
            (0, "review"),
            (0, "node"),
            (0, "token"),
            (0, "approval"),
            (5_500, "node"),
            (5_500, "token"),
            (5_500, "approval"),
            (5_500, "event"),
        ]
    );
}

/// The watch still shows it.
#[tokio::test(start_paused = true)]
async fn a_token_that_is_gone_by_now_is_not_honoured() {
    use Answer::{No, Yes};
    let calls = timeline(&[Yes], &[Yes], &[No], Duration::from_secs(2)).await;
    assert_eq!(calls, [(0, "review"), (0, "node"), (0, "token")]);
}

#[tokio::test(start_paused = true)]
async fn a_token_that_cannot_be_looked_at_is_looked_at_again() {
    use Answer::{Fails, Yes};
    let calls = timeline(&[Yes], &[Yes], &[Fails, Yes], Duration::from_secs(2)).await;
    assert_eq!(
        calls,
        [
            (0, "review"),
            (0, "node"),
            (0, "token"),
            (500, "node"),
            (500, "token"),
            (500, "approval"),
            (500, "event"),
        ]
    );
}

/// The quota holds back what waits for a decision, not approvals that are on their way.
#[tokio::test(start_paused = true)]
async fn many_that_join_by_one_token_are_approved_at_once() {
    use Answer::{Never, Yes};
    let many = (0..200).map(|i| seen(&format!("csr-{i}"), &format!("new-{i}")));
    let until = Duration::from_secs(1);
    let calls = about(many.collect(), &[Yes], &[Never], &[Yes], until).await;
    let approvals = calls.iter().filter(|(_, call)| *call == "approval");
    assert_eq!(approvals.count(), fair::OF_ONE);
}

/// Who used a token is noted on it; a node that it made already is made anew as often as it
/// likes, and noted once.
#[tokio::test(start_paused = true)]
async fn a_node_is_noted_on_its_token_once() {
    use Answer::Yes;
    for (before, noted) in [("new-1", 0), ("another", 1)] {
        let token = Token {
            limits: Known::Known(Limits {
                max_nodes: Some(3),
                ..Limits::default()
            }),
            used_by: BTreeSet::from([before.to_owned()]),
            ..Token::default()
        };
        let ledger = Ledger {
            version: "1".to_owned(),
            used_by: format!("{before}/uid"),
        };
        let one = vec![seen("csr-1", "new-1")];
        let until = Duration::from_millis(40);
        let calls = by((token, ledger), one, &[Yes], &[Yes], &[Yes], until).await;
        let claims = calls.iter().filter(|(_, call)| *call == "claim");
        assert_eq!(claims.count(), noted, "{before}: {calls:?}");
    }
}
