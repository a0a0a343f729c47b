//! Nothing secret gets into a collection: every text goes through here, whatever it was
//! collected from. What might be a secret is taken for one.

use regex::{Match, Regex};
use serde_json::Value;

use super::value::{BLOCK, masked};

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
/// Whoever dials with a password or a token (RFC 3986, 3.2.1).
const USER: &str = r#"://[^/?\#\s"']+@"#;
/// And whom curl is told.
const CURL: &str = r#"(\s(?:-u|--user)[ \t=]+["']?)[^\s"':]*:[^\s"']+"#;
/// A name whose value is a secret.
const NAME: &str = concat!(
    "(?i)[a-z0-9_.-]*(?:pass(?:word|wd|phrase)?|secret|token|credential|api[_-]?key",
    "|private[_-]?key|client-key-data|encryption[_-]?key)[a-z0-9_.-]*",
);
/// What leads from the name to its value in YAML, JSON, JSON within JSON, a flag or a variable.
const LEADS: &str = "\\\\*[\"']?[ \t]*[:=][ \t]*";
/// The same from a flag to the next word of a command line, or of a list of words.
const NEXT: &str = "\\\\*[\"']?(?:[ \t]+|[ \t]*,\\s*|[ \t]*\n[ \t]*-[ \t]+)";
/// A flag of one letter that may be for a password.
const SHORT: &str = "(?m:^|[\\s\"'])-p";
/// What it is for in iptables.
const PROTOCOLS: [&str; 12] = [
    "tcp",
    "udp",
    "udplite",
    "icmp",
    "icmpv6",
    "ipv6-icmp",
    "sctp",
    "vrrp",
    "esp",
    "ah",
    "ip",
    "all",
];
/// A Secret, in YAML.
const SECRET: &str = "(?m)^\\s*\"?kind\"?:\\s*\"?Secret(?:List)?\"?\\s*,?\\s*$";
/// What tells secrets.
pub struct Mask {
    key: Regex,
    bootstrap: Regex,
    jwt: Regex,
    bearer: Regex,
    user: Regex,
    curl: Regex,
    name: Regex,
    named: Regex,
    flag: Regex,
    short: Regex,
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
            curl: Regex::new(CURL)?,
            name: Regex::new(NAME)?,
            named: Regex::new(&format!("{NAME}{LEADS}"))?,
            flag: Regex::new(&format!("--?{NAME}{NEXT}"))?,
            short: Regex::new(&format!("{SHORT}{NEXT}"))?,
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
        let text = self.curl.replace_all(&text, format!("${{1}}{MASK}"));
        let text = behind(&self.named, &text, |_| true);
        let text = behind(&self.flag, &text, |value| !value.starts_with("--"));
        behind(&self.short, &text, password)
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

/// A text without the values that stand behind what `names` finds, where they may be secrets.
fn behind(names: &Regex, text: &str, may_be: impl Fn(&str) -> bool) -> String {
    let mut all = String::new();
    let mut at = 0;
    while let Some(name) = names.find_at(text, at) {
        let (before, rest) = around(text, &name);
        all.push_str(text.get(at..name.end()).unwrap_or_default());
        at = name.end();
        if may_be(rest.trim_start_matches(['\\', '"', '\''])) {
            let (said, length) = masked(before, name.as_str(), rest, MASK);
            all.push_str(&said);
            at += length;
        }
    }
    all.push_str(text.get(at..).unwrap_or_default());
    all
}

fn around<'a>(text: &'a str, name: &Match<'_>) -> (&'a str, &'a str) {
    let before = text.get(..name.start()).unwrap_or_default();
    (before, text.get(name.end()..).unwrap_or_default())
}

/// Whether what follows `-p` may be a password: no port, no path, no protocol.
fn password(value: &str) -> bool {
    let end = value.find(|sign: char| sign.is_whitespace() || ",\"'\\".contains(sign));
    let word = value.get(..end.unwrap_or(value.len())).unwrap_or_default();
    let ports = |sign: char| sign.is_ascii_digit() || ":./-".contains(sign);
    !(word.starts_with(['/', '-'])
        || word.chars().all(ports) && word.len() < "65535:65535".len()
        || PROTOCOLS.contains(&word))
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
mod tests;
