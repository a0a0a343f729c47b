//! Nothing secret gets into a collection: every text goes through here, whatever it was
//! collected from. What might be a secret is taken for one.

use regex::{Captures, Regex};
use serde_json::Value;

/// What stands for a secret.
const MASK: &str = "(masked)";
/// A private key, whole; or its end, or its beginning, when a text was cut.
const KEY: &str = concat!(
    r"(?s)(?:\A[^\n]*|-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----)",
    r"(?:[^-]|-{1,4}[^-])*?-----END [A-Z0-9 ]*PRIVATE KEY-----",
    r"|-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----.*\z",
);
/// A bootstrap token: its id is no secret, and says which it is.
const BOOTSTRAP: &str = r"\b([a-z0-9]{6})\.[a-z0-9]{16}\b";
/// A token of a service account, or of a provider of identities (RFC 7519).
const JWT: &str = r"\beyJ[A-Za-z0-9_-]{4,}\.[A-Za-z0-9_-]+\.?[A-Za-z0-9_-]*";
/// What a client shows (RFC 9110, 11.6.2).
const BEARER: &str = r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{6,}";
/// Whoever dials with a password (RFC 3986, 3.2.1).
const USER: &str = r"://[^/\s:@]+:[^/\s@]+@";
/// A name whose value is a secret.
const NAME: &str = concat!(
    "(?i)[a-z0-9_.-]*(?:pass(?:word|wd|phrase)?|secret|token|credential|api[_-]?key",
    "|private[_-]?key|client-key-data|encryption[_-]?key)[a-z0-9_.-]*",
);
/// What follows the name, in YAML, JSON, a flag or a variable.
const VALUE: &str = concat!(
    "[\"']?[ \t]*[:=][ \t]*",
    "(\"[^\"\n]*\"|'[^'\n]*'|[^ \t\n,}\\]]+)",
);
/// A Secret, in YAML.
const SECRET: &str = "(?m)^\\s*\"?kind\"?:\\s*\"?Secret(?:List)?\"?\\s*,?\\s*$";
/// Values that are none, and where one goes on in the next line.
const NONE: [&str; 7] = ["", "true", "false", "null", "{", "[", "}"];
/// A text of several lines follows (YAML 1.2.2, 8.1).
const BLOCK: [char; 2] = ['|', '>'];

/// What tells secrets.
pub struct Mask {
    key: Regex,
    bootstrap: Regex,
    jwt: Regex,
    bearer: Regex,
    user: Regex,
    name: Regex,
    named: Regex,
    secret: Regex,
}

impl Mask {
    /// One for every kind of secret that is known here.
    ///
    /// # Errors
    /// When one of its patterns is none, which every test would find.
    pub fn new() -> Result<Self, regex::Error> {
        Ok(Self {
            key: Regex::new(KEY)?,
            bootstrap: Regex::new(BOOTSTRAP)?,
            jwt: Regex::new(JWT)?,
            bearer: Regex::new(BEARER)?,
            user: Regex::new(USER)?,
            name: Regex::new(NAME)?,
            named: Regex::new(&format!("({NAME}){VALUE}"))?,
            secret: Regex::new(SECRET)?,
        })
    }

    /// A text without secrets.
    #[must_use]
    pub fn text(&self, text: &str) -> String {
        let text = match serde_json::from_str::<Value>(text) {
            Ok(mut whole) if whole.is_object() || whole.is_array() => {
                value(&mut whole);
                format!("{whole:#}\n")
            }
            Ok(_) | Err(_) => self.documents(text),
        };
        let text = self.key.replace_all(&text, MASK);
        let text = self.bootstrap.replace_all(&text, format!("$1.{MASK}"));
        let text = self.jwt.replace_all(&text, MASK);
        let text = self.bearer.replace_all(&text, format!("$1 {MASK}"));
        let text = self.user.replace_all(&text, format!("://{MASK}@"));
        let named = self.named.replace_all(&text, |found: &Captures<'_>| {
            let whole = found.get(0).map_or("", |one| one.as_str());
            let value = found.get(2).map_or("", |one| one.as_str());
            let before = whole.strip_suffix(value).unwrap_or_default();
            let bare = value.trim_matches(['"', '\'']);
            if NONE.contains(&bare) || bare.starts_with(BLOCK) {
                return whole.to_owned();
            }
            match value.chars().next() {
                Some(quote @ ('"' | '\'')) => format!("{before}{quote}{MASK}{quote}"),
                Some(_) | None => format!("{before}{MASK}"),
            }
        });
        named.into_owned()
    }

    /// Documents of YAML one after another.
    fn documents(&self, text: &str) -> String {
        let mut all = String::new();
        let mut document = String::new();
        for line in text.lines() {
            if line == "---" || line.starts_with("--- ") {
                all.push_str(&self.document(&document));
                document.clear();
            }
            document.push_str(line);
            document.push('\n');
        }
        all.push_str(&self.document(&document));
        all
    }

    /// Of a Secret the lines below its data go, of anything those of a secret text.
    fn document(&self, text: &str) -> String {
        let secret = self.secret.is_match(text);
        let mut all = String::new();
        let mut below: Option<usize> = None;
        for line in text.lines() {
            let depth = line.len() - line.trim_start().len();
            if below.is_some_and(|above| depth > above || line.trim().is_empty()) {
                continue;
            }
            let (name, value) = line.split_once(':').unwrap_or((line, ""));
            let name = name.trim().trim_start_matches("- ").trim_matches('"');
            let open = secret && OPEN.contains(&name);
            let block = value.trim_start().starts_with(BLOCK) && self.name.is_match(name);
            below = (open || block).then_some(depth);
            match below {
                Some(_) => {
                    let indent = " ".repeat(depth);
                    all.push_str(&format!("{indent}{name}: {MASK}\n"));
                }
                None => all.push_str(&format!("{line}\n")),
            }
        }
        all
    }
}

/// Keys of objects whose values may be anything.
const OPEN: [&str; 3] = ["data", "stringData", "binaryData"];
/// What kubectl has noted of an object as it was applied, with all that was in it.
const APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// An object of the API without secrets: what is in Secrets, in variables of containers, and
/// in notes of how something was applied.
pub(super) fn value(all: &mut Value) {
    match all {
        Value::Array(items) => items.iter_mut().for_each(value),
        Value::Object(map) => {
            let kind = map.get("kind").and_then(Value::as_str);
            if kind == Some("Secret") {
                for key in OPEN {
                    map.entry(key).and_modify(|inside| *inside = MASK.into());
                }
            }
            if let Some(Value::Array(variables)) = map.get_mut("env") {
                for one in variables.iter_mut().filter_map(Value::as_object_mut) {
                    one.entry("value").and_modify(|text| *text = MASK.into());
                }
            }
            map.remove(APPLIED);
            map.values_mut().for_each(value);
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
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
                     https://192.0.2.1:2379 is healthy\n";
        assert_eq!(text(plain), plain);
    }

    /// Wherever a text is cut: nothing of the key is left.
    #[test]
    fn a_key_that_is_cut_anywhere_is_gone() {
        let body = "Hunter2\n".repeat(8);
        let key =
            format!("-----BEGIN PRIVATE KEY-----\n{body}-----END PRIVATE KEY-----\n");
        for cut in 0..key.len() - 30 {
            let (front, back) = key.split_at(cut);
            for one in [back, front] {
                let masked = text(one);
                assert!(!masked.contains("Hunter2\n"), "{cut}: {masked}");
            }
        }
    }
}
