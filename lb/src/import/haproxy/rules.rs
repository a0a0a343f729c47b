//! `tcp-request`: who is let in. Lists of addresses and the wait for a ClientHello become
//! keys of a frontend; anything else has no equal.

use std::time::Duration;

use super::super::times::{Bare, fit, time};
use super::bind;
use super::proxy::Scene;
use super::routes::Route;
use super::words::Line;
use config::Report;

/// How long a ClientHello may take, as ours may say.
const HELLO: std::ops::RangeInclusive<Duration> =
    Duration::from_millis(10)..=Duration::from_secs(60);

/// What of them can be written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Admission {
    pub(super) allow: Vec<String>,
    pub(super) deny: Vec<String>,
    /// Whose PROXY headers are believed; everybody's, when nothing is said.
    pub(super) proxies: Vec<String>,
    /// Only clients that speak TLS, with the time they have.
    pub(super) tls_only: Option<Duration>,
    /// How long the routes wait for a ClientHello, where other clients come in too.
    pub(super) hello: Option<Duration>,
}

/// The rules of a section, in their order.
#[derive(Clone, Debug, Default)]
pub(super) struct Rules {
    delay: Option<(Line, Duration)>,
    rules: Vec<Line>,
}

/// A rule as far as it is understood.
enum Rule {
    AcceptHello,
    RejectOthers,
    RejectAllButHello,
    Accept(Vec<String>),
    Reject(Vec<String>),
    RejectAllBut(Vec<String>),
    Odd,
}

impl Rules {
    /// Takes one in.
    pub(super) fn add(&mut self, line: &Line, report: &mut Report) {
        match line.words()[..] {
            ["tcp-request", "inspect-delay", delay] => {
                match time(delay, Bare::Milliseconds) {
                    Some(time) => self.delay = Some((line.clone(), time)),
                    None => {
                        report.unsupported(line.number, &line.text(), "it is not a time");
                    }
                }
            }
            _ => self.rules.push(line.clone()),
        }
    }

    /// Those of a backend: ours are of frontends, of which several may lead to it.
    pub(super) fn out_of_place(scene: &Scene<'_>, report: &mut Report) {
        let is_rule = |line: &&Line| line.words().first() == Some(&"tcp-request");
        for line in scene.lines.iter().filter(is_rule) {
            report.unsupported(line.number, &line.text(), OF_A_BACKEND);
        }
    }

    /// What they come to, each with its verdict. `routes` are what waits for a ClientHello.
    pub(super) fn decide(
        &self,
        scene: &Scene<'_>,
        routes: &[Route],
        report: &mut Report,
    ) -> Admission {
        let (of_proxies, rules): (Vec<_>, Vec<_>) = self
            .rules
            .iter()
            // What is counted by source has its verdict already.
            .filter(|line| !scene.counting.tell(line, report))
            .map(|line| (line, Rule::of(line, scene.lines)))
            .partition(|(line, _)| bind::sees_proxies(line, scene.lines));
        let mut admission = Admission::default();
        for (line, rule) in of_proxies {
            rule.settle_of_proxies(line, &mut admission, report);
        }
        let has = |is_it: fn(&Rule) -> bool| rules.iter().any(|(_, rule)| is_it(rule));
        let is_strict = has(|rule| matches!(rule, Rule::RejectAllButHello));
        let is_closed = is_strict || has(|rule| matches!(rule, Rule::RejectOthers));
        let waits = is_strict || has(|rule| matches!(rule, Rule::AcceptHello));
        let accepts = has(|rule| matches!(rule, Rule::Accept(_)));
        if waits && is_closed && !accepts {
            let time = self
                .delay
                .as_ref()
                .map_or(Duration::from_secs(5), |(_, time)| *time);
            admission.tls_only = Some(fit(time, &HELLO).0);
        }
        if let Some((line, time)) = &self.delay {
            if admission.tls_only.is_none() && waits && !routes.is_empty() {
                admission.hello = Some(fit(*time, &HELLO).0);
            }
            wait_verdict(line, &admission, waits, report);
        }
        for (line, rule) in rules {
            rule.settle(line, &mut admission, (waits, is_closed), report);
        }
        admission
    }
}

fn wait_verdict(line: &Line, admission: &Admission, waits: bool, report: &mut Report) {
    let (number, text) = (line.number, line.text());
    if admission.tls_only.is_some() || admission.hello.is_some() {
        report.honoured(number, &text, "tls.helloTimeout");
    } else if waits {
        report.not_needed(number, &text, NOBODY);
    } else {
        report.not_needed(number, &text, "no rule looks at what a client says");
    }
}

const NOBODY: &str =
    "without a `tcp-request content reject` it turns nobody away in haproxy either";
const TRAP: &str = "this looks like \"TLS only\" and is not: without `tcp-request content reject` haproxy passes everything on after the delay, plain HTTP at once; `tls: {only: on}` of the frontend does what it says";
const OF_A_BACKEND: &str = "who is let in is a matter of frontends: a client that this turns away is let in; write it at those that lead here";
const EXEMPT: &str = "no client passes the rules below it: write the networks that may come as allow of the frontend, and what none of them may as deny";
const OF_PROXIES: &str = "before the PROXY header it looks at the proxy, and allow and deny look at the client that the header names: write who may send headers as acceptProxy of the frontend, or use a packet filter";
const LOST: &str = "a client that this turns away is let in; write allow or deny of the frontend, or use a packet filter";

impl Rule {
    fn of(line: &Line, lines: &[Line]) -> Self {
        let words = line.words();
        let is_hello = line.text().contains("ssl_hello_type 1");
        let condition = words.iter().position(|w| matches!(*w, "if" | "unless"));
        let test = condition
            .and_then(|at| words.get(at + 1..))
            .unwrap_or_default();
        let is_unless = condition.and_then(|at| words.get(at)) == Some(&"unless");
        match (words.get(2), condition, sources(test, lines)) {
            (Some(&"accept"), _, _) if is_hello && !is_unless => Self::AcceptHello,
            (Some(&"reject"), None, _) => Self::RejectOthers,
            (Some(&"reject"), _, _) if is_hello => {
                let is_not = matches!(test.first(), Some(&"!" | &"!{"));
                if is_not == is_unless {
                    // Who speaks TLS is turned away.
                    Self::Odd
                } else {
                    Self::RejectAllButHello
                }
            }
            (Some(&"accept"), _, Some((false, from))) if !is_unless => Self::Accept(from),
            (Some(&"reject"), _, Some((is_not, from))) => {
                if is_not == is_unless {
                    Self::Reject(from)
                } else {
                    Self::RejectAllBut(from)
                }
            }
            _ => Self::Odd,
        }
    }

    /// A rule that looks at who brings clients, which `allow` and `deny` never do.
    fn settle_of_proxies(
        self,
        line: &Line,
        admission: &mut Admission,
        report: &mut Report,
    ) {
        let (number, text) = (line.number, line.text());
        match self {
            Self::RejectAllBut(from) if admission.proxies.is_empty() => {
                let proxies = from.join(", ");
                let what = format!(
                    "it lets in proxies alone, whose headers acceptProxy believes here ({proxies}); a client that comes without one is let in as itself: use a packet filter"
                );
                report.unsupported(number, &text, what);
                admission.proxies = from;
            }
            Self::AcceptHello
            | Self::RejectOthers
            | Self::RejectAllButHello
            | Self::Accept(_)
            | Self::Reject(_)
            | Self::RejectAllBut(_)
            | Self::Odd => report.unsupported(number, &text, OF_PROXIES),
        }
    }

    fn settle(
        self,
        line: &Line,
        admission: &mut Admission,
        (waits, is_closed): (bool, bool),
        report: &mut Report,
    ) {
        let (number, text) = (line.number, line.text());
        match self {
            Self::AcceptHello if admission.tls_only.is_some() => {
                report.honoured(number, &text, "tls.only: on");
            }
            Self::AcceptHello if admission.hello.is_some() => {
                report.honoured(number, &text, "routes wait for the ClientHello");
            }
            Self::AcceptHello => {
                report.not_needed(number, &text, NOBODY);
                report.trap_once(number, TRAP);
            }
            Self::RejectOthers | Self::RejectAllButHello
                if admission.tls_only.is_some() =>
            {
                report.honoured(number, &text, "tls.only: on");
            }
            Self::RejectOthers if !waits && !admission.allow.is_empty() => {
                report.honoured(number, &text, "allow names all who come in");
            }
            Self::Accept(from) if is_closed && !waits && admission.deny.is_empty() => {
                report.honoured(number, &text, format!("allow: {}", from.join(", ")));
                admission.allow.extend(from);
            }
            Self::Reject(from) if admission.allow.is_empty() || !is_closed => {
                report.honoured(number, &text, format!("deny: {}", from.join(", ")));
                admission.deny.extend(from);
            }
            Self::RejectAllBut(from) if admission.allow.is_empty() => {
                report.honoured(number, &text, format!("allow: {}", from.join(", ")));
                admission.allow = from;
            }
            Self::Accept(_) => report.unsupported(number, &text, EXEMPT),
            Self::RejectOthers
            | Self::RejectAllButHello
            | Self::Reject(_)
            | Self::RejectAllBut(_)
            | Self::Odd => report.unsupported(number, &text, LOST),
        }
    }
}

/// The networks that a condition names, and whether it is turned around: `{ src NET … }`,
/// or an ACL that is `src NET …` wherever it is defined.
fn sources(test: &[&str], lines: &[Line]) -> Option<(bool, Vec<String>)> {
    let (is_not, test) = match test {
        ["!", rest @ ..] => (true, rest),
        _ => (false, test),
    };
    match test {
        ["{", "src", nets @ .., "}"] => networks(nets).map(|nets| (is_not, nets)),
        ["!{", "src", nets @ .., "}"] => networks(nets).map(|nets| (!is_not, nets)),
        [name] => {
            let (is_not, name) = match name.strip_prefix('!') {
                Some(name) => (!is_not, name),
                None => (is_not, *name),
            };
            acl(name, lines).map(|nets| (is_not, nets))
        }
        _ => None,
    }
}

/// The networks of an ACL, when it is of sources alone; lines of one name add up.
pub(super) fn acl(name: &str, lines: &[Line]) -> Option<Vec<String>> {
    let mut all = Vec::new();
    for line in lines {
        match line.words()[..] {
            ["acl", known, "src", ref nets @ ..] if known == name => {
                all.extend(networks(nets)?);
            }
            ["acl", known, ..] if known == name => return None,
            _ => {}
        }
    }
    (!all.is_empty()).then_some(all)
}

/// Addresses and networks, and nothing else (a `-f FILE` is none).
pub(in crate::import) fn networks(words: &[&str]) -> Option<Vec<String>> {
    let is_network = |word: &&str| {
        let (address, bits) = word.split_once('/').unwrap_or((word, "0"));
        address.parse::<std::net::IpAddr>().is_ok() && bits.parse::<u8>().is_ok()
    };
    let all = !words.is_empty() && words.iter().all(is_network);
    all.then(|| words.iter().map(|&word| word.to_owned()).collect())
}
