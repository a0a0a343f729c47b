//! What may stand in `defaults`, `frontend`, `backend` and `listen`.

use std::time::Duration;

use super::super::times::{Bare, fit, time};
use super::super::{Surroundings, draft};
use super::Kind;
use super::bind::{self, Bind};
use super::check::{self, Plan};
use super::counting::{self, Counting};
use super::plain::{http, no, plain};
use super::routes::{self, Route};
use super::rules::{self, Admission, Rules};
use super::server::{self, Parameters, Server};
use super::stats::{self, Stats};
use super::words::Line;
use config::Report;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Mode {
    #[default]
    Tcp,
    Http,
}

/// All that holds for a proxy; a section begins with those of its defaults.
#[derive(Clone, Debug, Default)]
pub(super) struct Settings {
    pub(super) mode: Mode,
    pub(super) connect: Option<Duration>,
    pub(super) client: Option<(usize, Duration)>,
    pub(super) server: Option<(usize, Duration)>,
    pub(super) tunnel: Option<(usize, Duration)>,
    pub(super) queue: Option<Duration>,
    pub(super) check_timeout: Option<Duration>,
    pub(super) balance: Option<&'static str>,
    pub(super) plan: Plan,
    pub(super) default_server: Parameters,
    pub(super) binds: Vec<Bind>,
    pub(super) servers: Vec<Server>,
    pub(super) default_backend: Option<(usize, String)>,
    /// Where names lead.
    pub(super) routes: Vec<Route>,
    /// New connections a second.
    pub(super) max_rate: Option<u32>,
    /// Backends that another condition leads to.
    pub(super) conditional: Vec<String>,
    pub(super) stats: Stats,
    /// Answers requests itself: `monitor-uri`.
    pub(super) is_monitor: bool,
    /// Who is let in.
    pub(super) admission: Admission,
    pub(super) max_connections: Option<u32>,
    rules: Rules,
}

/// Where a line stands.
pub(super) struct Scene<'a> {
    pub(super) kind: Kind,
    /// It is of HTTP; for defaults: some proxy that inherits them is.
    pub(super) is_http: bool,
    /// Some line says where to log.
    pub(super) has_log: bool,
    pub(super) lines: &'a [Line],
    /// What is counted by source in the file.
    pub(super) counting: &'a Counting,
    pub(super) around: &'a Surroundings<'a>,
}

const OF_FRONTENDS: &str = "haproxy ignores it in a backend: it is a matter of frontends";

/// Reads all lines of a section.
pub(super) fn read(
    mut settings: Settings,
    scene: &Scene<'_>,
    report: &mut Report,
) -> Settings {
    for line in scene.lines {
        if !line.unset.is_empty() {
            let names = line.unset.join(", ");
            let way = format!(
                "the environment variable {names} is not set here; set it and import again"
            );
            report.unsupported(line.number, &line.text(), way);
        } else if !settings.directive(line, scene, report) {
            unknown(line, report);
        }
    }
    match scene.kind {
        // Rules of defaults are read again with each proxy, in which they count.
        Kind::Defaults | Kind::Global | Kind::Other => {}
        Kind::Backend => Rules::out_of_place(scene, report),
        Kind::Frontend | Kind::Listen => {
            settings.admission = settings.rules.decide(scene, &settings.routes, report);
        }
    }
    settings
}

fn unknown(line: &Line, report: &mut Report) {
    report.unsupported(line.number, &line.text(), "api-lb does not know it");
}

impl Settings {
    /// Whether it is known.
    fn directive(&mut self, line: &Line, scene: &Scene<'_>, report: &mut Report) -> bool {
        let (number, text) = (line.number, line.text());
        let words = line.words();
        match words[..] {
            ["mode", "tcp"] => {
                self.mode = Mode::Tcp;
                report.honoured(number, &text, "");
            }
            ["mode", mode] => self.mode(number, &text, mode, scene, report),
            ["bind", ..] => self.binds.extend(bind::read(line, scene.around, report)),
            ["balance", ref how @ ..] => self.balance(number, &text, how, report),
            ["default_backend", name] | ["use_backend", name] => {
                self.default_backend = Some((number, name.to_owned()));
                report.honoured(number, &text, "");
            }
            ["use_backend" | "use-server", name, ..] => {
                if let Some(route) = Route::read(line, scene.lines) {
                    // Its verdict is known when its backend is.
                    self.routes.push(route);
                    return true;
                }
                self.conditional.push(name.to_owned());
                let what = "every connection goes to the default backend";
                report.unsupported(number, &text, what);
            }
            ["server", ..] => {
                let server = server::read(line, &self.default_server, report);
                self.servers.extend(server);
            }
            ["default-server", ref rest @ ..] => {
                server::parameters(line, rest, &mut self.default_server, report);
            }
            ["server-template", ..] => report.unsupported(
                number,
                &text,
                "servers have addresses; write each of them",
            ),
            ["timeout", which, value] => self.timeout(line, which, value, scene, report),
            ["stats", ..] => stats::directive(line, self, scene.around, report),
            ["monitor-uri", ..] => {
                self.is_monitor = true;
                report.not_needed(number, &text, "/livez and /readyz on admin.address answer whether to send traffic here");
            }
            ["http-check", ..] => check::http_check(line, &mut self.plan, report),
            ["tcp-check", ..] => check::tcp_check(line, &mut self.plan, report),
            ["option", ..] => return self.option(line, scene, report),
            ["no", ..] => return no(line, report),
            ["tcp-request", ..] => self.rules.add(line, report),
            ["maxconn" | "rate-limit", ..] if scene.kind == Kind::Backend => {
                report.not_needed(number, &text, OF_FRONTENDS);
            }
            ["maxconn", most] => self.maxconn(line, most, report),
            ["rate-limit", "sessions", most] => self.max_rate(line, most, report),
            ["acl", name, ..] => Self::acl(line, name, scene, report),
            ["stick-table", ..] if scene.counting.tell(line, report) => {}
            _ => return plain(line, scene, report),
        }
        true
    }

    fn mode(
        &mut self,
        number: usize,
        text: &str,
        mode: &str,
        scene: &Scene<'_>,
        report: &mut Report,
    ) {
        let has = |word: &str| {
            scene
                .lines
                .iter()
                .any(|line| line.words().first() == Some(&word))
        };
        if mode != "http" {
            report.unsupported(number, text, "api-lb carries TCP and nothing else");
            return;
        }
        self.mode = Mode::Http;
        if scene.kind == Kind::Defaults && !scene.is_http {
            let why = "every proxy below that carries connections says `mode tcp`";
            report.not_needed(number, text, why);
        } else if has("stats") || has("monitor-uri") {
            report.not_needed(number, text, "the admin listener speaks HTTP");
        } else {
            report.unsupported(
                number,
                text,
                "its connections are carried as TCP, and what they ask for is not looked at",
            );
        }
    }

    fn balance(&mut self, number: usize, text: &str, how: &[&str], report: &mut Report) {
        self.balance = match how.first().copied().unwrap_or("roundrobin") {
            "roundrobin" | "static-rr" => None,
            "leastconn" => Some("leastconn"),
            "source" => Some("source"),
            _ => {
                let what = "balance roundrobin is written instead";
                return report.unsupported(number, text, what);
            }
        };
        let how = self.balance.unwrap_or("roundrobin");
        report.honoured(number, text, format!("balance: {how}"));
    }

    fn timeout(
        &mut self,
        line: &Line,
        which: &str,
        value: &str,
        scene: &Scene<'_>,
        report: &mut Report,
    ) {
        let (number, text) = (line.number, line.text());
        let Some(time) = time(value, Bare::Milliseconds) else {
            report.unsupported(number, &text, "it is not a time");
            return;
        };
        if let Some(why) = ignored(scene.kind, which) {
            return report.not_needed(number, &text, why);
        }
        let idle = "timeouts.idle of the backend, together with those of the other side";
        match which {
            "connect" => {
                self.connect = Some(time);
                report.honoured(number, &text, "timeouts.connect");
            }
            "client" => {
                self.client = Some((number, time));
                report.honoured(number, &text, idle);
            }
            "server" => {
                self.server = Some((number, time));
                report.honoured(number, &text, idle);
            }
            "tunnel" => {
                self.tunnel = Some((number, time));
                report.honoured(number, &text, "timeouts.idle, instead of client and server");
            }
            "check" => {
                self.check_timeout = Some(time);
                report.honoured(number, &text, "check.timeout");
            }
            "queue" => {
                let (time, shown) = fit(time, &draft::QUEUE);
                self.queue = Some(time);
                report.honoured(number, &text, format!("queue.timeout: {shown}"));
            }
            "http-request" | "http-keep-alive" | "tarpit" => http(line, scene, report),
            "client-fin" | "server-fin" => report.not_needed(
                number,
                &text,
                "keepalive and TCP_USER_TIMEOUT end a side that is gone, whichever half is open",
            ),
            _ => unknown(line, report),
        }
    }

    fn maxconn(&mut self, line: &Line, most: &str, report: &mut Report) {
        let (number, text) = (line.number, line.text());
        match most.parse::<u32>().ok().filter(|most| *most > 0) {
            Some(most) => {
                let most = most.min(draft::MOST_CONNECTIONS);
                self.max_connections = Some(most);
                let how = format!("maxConnections: {most} of each frontend; more wait");
                report.honoured(number, &text, how);
            }
            None => report.unsupported(number, &text, "its value is not one"),
        }
    }

    fn max_rate(&mut self, line: &Line, most: &str, report: &mut Report) {
        let (number, text) = (line.number, line.text());
        match most.parse::<u32>().ok().filter(|most| *most > 0) {
            Some(most) => {
                let most = most.min(draft::MOST_RATE);
                self.max_rate = Some(most);
                let how = format!("maxRate: {most} of each frontend; more wait");
                report.honoured(number, &text, how);
            }
            None => report.unsupported(number, &text, "its value is not one"),
        }
    }

    /// An ACL is a condition; alone it does nothing.
    fn acl(line: &Line, name: &str, scene: &Scene<'_>, report: &mut Report) {
        let (number, text) = (line.number, line.text());
        let uses = |line: &&Line| {
            let words = line.words();
            let condition = words.iter().position(|w| matches!(*w, "if" | "unless"));
            let rest = condition.and_then(|at| words.get(at..)).unwrap_or_default();
            words.first() != Some(&"acl")
                && rest.iter().any(|word| word.trim_start_matches('!') == name)
        };
        let used: Vec<&Line> = scene.lines.iter().filter(uses).collect();
        let is_list = rules::acl(name, scene.lines).is_some()
            || counting::is_counted(name, scene.lines);
        let is_name = routes::acl(name, scene.lines).is_some();
        let is_rule = |line: &&Line| line.words().first() == Some(&"tcp-request");
        let is_route = |line: &&Line| Route::read(line, scene.lines).is_some();
        if used.is_empty() {
            report.not_needed(number, &text, "no rule uses it: alone it does nothing");
        } else if is_list && used.iter().all(is_rule) {
            report.honoured(number, &text, "as the rules that use it");
        } else if is_name && used.iter().all(is_route) {
            report.honoured(number, &text, "as the routes that use it");
        } else {
            report.unsupported(
                number,
                &text,
                "not every rule that uses it has an effect here",
            );
        }
    }
}

/// Why haproxy passes over a time where it stands, if it does.
fn ignored(kind: Kind, which: &str) -> Option<&'static str> {
    match (kind, which) {
        (Kind::Backend, "client") => Some(OF_FRONTENDS),
        (Kind::Frontend, "connect" | "server" | "tunnel" | "check" | "queue") => {
            Some("haproxy ignores it in a frontend: it is a matter of backends")
        }
        _ => None,
    }
}
