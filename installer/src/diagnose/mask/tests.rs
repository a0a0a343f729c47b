//! Planted secrets, in each form that is known.

use super::*;

fn text(text: &str) -> String {
    Mask::new().unwrap().text(text)
}

const PLANTED: &str = "Hunter2Hunter2";

/// What is around a secret is read on.
fn gone(rows: &[(String, Vec<&str>)]) {
    for (planted, stays) in rows {
        let masked = text(planted);
        assert!(!masked.contains(PLANTED), "{planted}\n{masked}");
        for one in stays {
            assert!(masked.contains(one), "{one:?} of {planted}\n{masked}");
        }
    }
}

/// Each place in which a secret may stand that has a form of its own.
#[test]
fn planted_secrets_are_gone_and_what_is_around_them_stays() {
    let jwt = format!("eyJhbGciOiJSUzI1NiJ9.{PLANTED}.{PLANTED}");
    gone(&[
        (
            format!(
                "a\n-----BEGIN EC PRIVATE KEY-----\n{PLANTED}\n-----END EC PRIVATE KEY-----\nb"
            ),
            vec!["a\n", "\nb"],
        ),
        // In JSON, on one line.
        (
            format!(
                "{{\"x\": \"-----BEGIN PRIVATE KEY-----\\n{PLANTED}\\n-----END PRIVATE KEY-----\\n\", \"y\": 1}}"
            ),
            vec!["\"y\": 1"],
        ),
        // Cut in front, and behind.
        (
            format!("{PLANTED}\n-----END PRIVATE KEY-----\nb"),
            vec!["\nb"],
        ),
        (
            format!("a\n-----BEGIN RSA PRIVATE KEY-----\n{PLANTED}"),
            vec!["a\n"],
        ),
        (
            format!("error: token {jwt} is old"),
            vec!["error", "is old"],
        ),
        (
            format!("GET / Authorization: Bearer {PLANTED} x"),
            vec!["GET /", " x"],
        ),
        (format!("curl -u Basic {PLANTED}"), vec!["curl"]),
        (
            format!("dial https://admin:{PLANTED}@host:6443/x"),
            vec!["dial https://", "@host:6443/x"],
        ),
    ]);
}

/// And those that a name gives away.
#[test]
fn what_a_name_calls_a_secret_is_gone() {
    gone(&[
        (
            format!("  authPass: {PLANTED}\n  vrid: 51"),
            vec!["authPass:", "vrid: 51"],
        ),
        (
            format!("password: |\n  {PLANTED}\n  {PLANTED}\nnext: 1"),
            vec!["next: 1"],
        ),
        (
            format!("password: \"{PLANTED} with words\"\nnext: 1"),
            vec!["password: \"", "next: 1"],
        ),
        (
            format!("DB_PASSWORD={PLANTED} other=1"),
            vec!["DB_PASSWORD=", "other=1"],
        ),
        (format!("--token={PLANTED} --v=2"), vec!["--v=2"]),
        (
            format!("{{\"clientSecret\":\"{PLANTED}\",\"a\":1}}"),
            vec!["\"a\": 1"],
        ),
        (
            format!("client-key-data: {PLANTED}\nuser: x"),
            vec!["user: x"],
        ),
        (
            format!("secretbox:\n  keys:\n  - name: a\n    secret: {PLANTED}\n"),
            vec!["- name: a"],
        ),
        (
            format!(
                "apiVersion: v1\nkind: Secret\nmetadata: {{name: a}}\ndata:\n  x: {PLANTED}\n  y: |\n    {PLANTED}\ntype: Opaque\n---\nkind: ConfigMap\ndata:\n  open: yes\n"
            ),
            vec!["metadata: {name: a}", "type: Opaque", "open: yes"],
        ),
        (
            format!(
                "{{\"kind\":\"List\",\"items\":[{{\"kind\":\"Secret\",\"data\":{{\"x\":\"{PLANTED}\"}},\"type\":\"Opaque\"}}]}}"
            ),
            vec!["Opaque"],
        ),
        (
            format!(
                "{{\"spec\":{{\"containers\":[{{\"name\":\"a\",\"env\":[{{\"name\":\"KEY\",\"value\":\"{PLANTED}\"}}]}}]}}}}"
            ),
            vec!["\"name\": \"KEY\""],
        ),
        (
            format!(
                "{{\"metadata\":{{\"name\":\"a\",\"annotations\":{{\"{APPLIED}\":\"{PLANTED}\"}}}}}}"
            ),
            vec!["\"name\": \"a\""],
        ),
    ]);
}

/// In command lines, lists of their words, addresses, and JSON within JSON.
#[test]
fn a_secret_is_found_however_it_is_written() {
    gone(&[
        (format!("etcd --token {PLANTED} --v 2"), vec!["--v 2"]),
        (format!("login -u root -p {PLANTED} host"), vec!["host"]),
        (
            format!("curl -u root:{PLANTED} https://h/x"),
            vec!["https://h/x"],
        ),
        (
            format!("{{\"args\":[\"--password\",\"{PLANTED} too\",\"--v=2\"]}}"),
            vec!["\"--v=2\""],
        ),
        (
            format!("run [\"--password\", \"{PLANTED}\", \"-p\", \"{PLANTED}\"] next"),
            vec!["] next"],
        ),
        (
            format!("args:\n- --password\n- {PLANTED}\n- --v=2\n"),
            vec!["- --v=2"],
        ),
        (
            format!("{{\"args\":[\"--password=a {PLANTED}\",\"--v=2\"]}}"),
            vec!["\"--v=2\""],
        ),
        (
            format!("{{\"m\":\"{{\\\"token\\\":\\\"{PLANTED}\\\",\\\"a\\\":1}}\"}}"),
            vec!["\\\"a\\\":1"],
        ),
        (
            format!(
                "m1 x[1]: {{\\\"token\\\": \\\"a\\\\\\\"{PLANTED}\\\", \\\"a\\\": 1}}"
            ),
            vec!["\\\"a\\\": 1"],
        ),
        (
            format!("{{\"password\":\"a\\\"{PLANTED}\",\"a\":1}}"),
            vec!["\"a\": 1"],
        ),
        (format!("password: \"a\\\"{PLANTED}\" # b"), vec!["# b"]),
        (
            format!("redis://:{PLANTED}@h:1/x"),
            vec!["redis://", "@h:1/x"],
        ),
        (
            format!("git https://{PLANTED}@h/x"),
            vec!["https://", "@h/x"],
        ),
        (format!("tokens: [a, {PLANTED}]\nb: 1"), vec!["b: 1"]),
    ]);
}

#[test]
fn a_bootstrap_token_keeps_its_id() {
    let masked = text("token 07401b.f395accd246ae52d of m1.example.org");
    assert_eq!(masked, "token 07401b.(masked) of m1.example.org\n");
}

#[test]
fn what_is_no_secret_stays_as_it_is() {
    let plain = "Nov 21 m1 etcd[7]: {\"level\":\"warn\",\"msg\":\"slow fdatasync\"}\n\
                 --enable-bootstrap-token-auth=true\n\
                 -----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n\
                 -A INPUT -p tcp -m tcp --dport 22 -j ACCEPT\n\
                 -A INPUT -p 112 -j ACCEPT\n\
                 ssh -p 2222 m1 mkdir -p /var/lib/x\n\
                 --token --v=2\n\
                 https://192.0.2.1:2379 is healthy\n";
    assert_eq!(text(plain), plain);
}

/// Wherever a text is cut: nothing of the key is left.
#[test]
fn a_key_that_is_cut_anywhere_is_gone() {
    let body = "Hunter2\n".repeat(8);
    let key = format!("-----BEGIN PRIVATE KEY-----\n{body}-----END PRIVATE KEY-----\n");
    for cut in 0..key.len() - 30 {
        let (front, back) = key.split_at(cut);
        for one in [back, front] {
            let masked = text(one);
            assert!(!masked.contains("Hunter2\n"), "{cut}: {masked}");
        }
    }
}
