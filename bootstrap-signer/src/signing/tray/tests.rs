//! What comes into the tray and goes out, and when.

use k8s_openapi::api::certificates::v1::CertificateSigningRequestStatus as Status;

use super::*;

fn csr(version: &str, conditions: &[&str]) -> Csr {
    let condition = |kind: &&str| Condition {
        type_: (*kind).to_owned(),
        status: "True".to_owned(),
        ..Condition::default()
    };
    let mut csr = Csr {
        status: Some(Status {
            conditions: Some(conditions.iter().map(condition).collect()),
            certificate: None,
        }),
        ..Csr::default()
    };
    csr.metadata.name = Some("one".to_owned());
    csr.metadata.uid = Some("u".to_owned());
    csr.metadata.resource_version = Some(version.to_owned());
    csr.spec.signer_name = Signer::Client.name().to_owned();
    csr
}

const MOMENT: Duration = Duration::from_nanos(1);

fn tray() -> (Tray, Instant) {
    let tray = Tray::default();
    assert!(tray.serve([Signer::Client].into_iter()));
    assert!(!tray.serve([Signer::Client].into_iter()));
    (tray, Instant::now())
}

fn signs(tray: &Tray, now: Instant) -> Order {
    match tray.next(now) {
        Next::Sign(order) => *order,
        other @ (Next::Look(_) | Next::Nothing(_)) => panic!("{other:?}"),
    }
}

#[track_caller]
fn has_nothing(tray: &Tray, now: Instant) {
    let next = tray.next(now);
    assert!(matches!(next, Next::Nothing(_)), "{next:?}");
}

#[test]
fn what_another_one_approved_waits_and_is_looked_at() {
    let (tray, now) = tray();
    tray.see(&csr("1", &["Approved"]), now);
    let due = now + GRACE;
    assert!(matches!(tray.next(now), Next::Nothing(Some(at)) if at == due));
    assert!(matches!(tray.next(due), Next::Look(name) if name == "one"));
    has_nothing(&tray, due);
    tray.looked("one", Some(&csr("1", &["Approved"])), due);
    assert_eq!(signs(&tray, due).version, "1");
    // It is with the worker: the watch changes nothing of that.
    tray.see(&csr("1", &["Approved"]), due);
    has_nothing(&tray, due + GRACE);
}

#[test]
fn what_was_approved_here_is_signed_at_once_and_once() {
    let (tray, now) = tray();
    tray.see(&csr("2", &["Approved"]), now);
    tray.approved(&csr("2", &["Approved"]), now);
    let order = signs(&tray, now);
    tray.done(&order, now + GRACE * 10);
    tray.see(&csr("2", &["Approved"]), now);
    has_nothing(&tray, now + GRACE);
    let mut issued = csr("3", &["Approved"]);
    if let Some(status) = &mut issued.status {
        status.certificate = Some(k8s_openapi::ByteString(vec![1]));
    }
    tray.see(&issued, now);
    assert_eq!(tray.waiting(), 0);
    has_nothing(&tray, now + GRACE * 20);
}

#[test]
fn a_version_that_was_overtaken_is_signed_as_it_is_then() {
    let (tray, now) = tray();
    tray.approved(&csr("1", &["Approved"]), now);
    let order = signs(&tray, now);
    tray.see(&csr("2", &["Approved"]), now);
    tray.again(&order, now + GRACE);
    assert_eq!(signs(&tray, now).version, "2");
    // Nothing newer was seen: it is looked at.
    let order = Order {
        version: "2".to_owned(),
        ..order
    };
    tray.again(&order, now + GRACE);
    has_nothing(&tray, now);
    assert!(matches!(tray.next(now + GRACE), Next::Look(_)));
    tray.looked("one", None, now);
    has_nothing(&tray, now + FIRST_PAUSE - MOMENT);
    assert!(matches!(tray.next(now + FIRST_PAUSE), Next::Look(_)));
    tray.gone("one");
    has_nothing(&tray, now + GRACE * 9);
}

#[test]
fn failures_are_tried_ever_more_seldom() {
    let (tray, now) = tray();
    tray.approved(&csr("1", &["Approved"]), now);
    let mut order = signs(&tray, now);
    let mut at = now;
    for pause in [500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000] {
        tray.failed(&order, at);
        let due = at + Duration::from_millis(pause);
        has_nothing(&tray, due - MOMENT);
        assert!(matches!(tray.next(due), Next::Look(_)), "{pause}");
        at = due;
        tray.looked("one", Some(&csr("1", &["Approved"])), at);
        order = signs(&tray, at);
    }
}

#[test]
fn only_what_is_approved_and_not_over_is_taken() {
    let (tray, now) = tray();
    for conditions in [
        &[][..],
        &["Denied"],
        &["Failed"],
        &["Approved", "Failed"],
        &["Approved", "Denied"],
    ] {
        tray.approved(&csr("1", conditions), now);
        has_nothing(&tray, now + GRACE);
    }
    let mut other = csr("1", &["Approved"]);
    other.spec.signer_name = Signer::Serving.name().to_owned();
    tray.approved(&other, now);
    other.spec.signer_name = "kubernetes.io/kube-apiserver-client".to_owned();
    tray.approved(&other, now);
    let mut going = csr("1", &["Approved"]);
    going.metadata.deletion_timestamp = Some(
        k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(jiff::Timestamp::UNIX_EPOCH),
    );
    tray.approved(&going, now);
    has_nothing(&tray, now + GRACE);
    // Approved, then failed, before it was begun.
    tray.approved(&csr("1", &["Approved"]), now);
    tray.see(&csr("2", &["Approved", "Failed"]), now);
    has_nothing(&tray, now + GRACE);
}

#[test]
fn another_request_of_the_same_name_is_another() {
    let (tray, now) = tray();
    tray.approved(&csr("1", &["Approved"]), now);
    let order = signs(&tray, now);
    tray.done(&order, now + GRACE);
    let mut next = csr("9", &["Approved"]);
    next.metadata.uid = Some("v".to_owned());
    tray.approved(&next, now);
    assert_eq!(signs(&tray, now).uid, "v");
}
