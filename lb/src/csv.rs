//! The table of haproxy's `/stats;csv`, with its columns, so that what reads haproxy reads
//! this. A column that means nothing here stays empty, as haproxy leaves it.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use probe::{Outcome, Stage};

use crate::order::Mode;
use crate::pool::{Counters, Rank, State};
use crate::roster::{Back, Front, Member, View};
use crate::worker::End;

/// haproxy's columns (2.6), in its order.
const COLUMNS: &str = "pxname,svname,qcur,qmax,scur,smax,slim,stot,bin,bout,dreq,dresp,ereq,econ,eresp,wretr,wredis,status,weight,act,bck,chkfail,chkdown,lastchg,downtime,qlimit,pid,iid,sid,throttle,lbtot,tracked,type,rate,rate_lim,rate_max,check_status,check_code,check_duration,hrsp_1xx,hrsp_2xx,hrsp_3xx,hrsp_4xx,hrsp_5xx,hrsp_other,hanafail,req_rate,req_rate_max,req_tot,cli_abrt,srv_abrt,comp_in,comp_out,comp_byp,comp_rsp,lastsess,last_chk,last_agt,qtime,ctime,rtime,ttime,agent_status,agent_code,agent_duration,check_desc,agent_desc,check_rise,check_fall,check_health,agent_rise,agent_fall,agent_health,addr,cookie,mode,algo,conn_rate,conn_rate_max,conn_tot,intercepted,dcon,dses,wrew,connect,reuse,cache_lookups,cache_hits,srv_icur,src_ilim,qtime_max,ctime_max,rtime_max,ttime_max,eint,idle_conn_cur,safe_conn_cur,used_conn_cur,need_conn_est,uweight,agg_server_status,agg_server_check_status,agg_check_status,-,ssl_sess,ssl_reused_sess,ssl_failed_handshake,h2_headers_rcvd,h2_data_rcvd,h2_settings_rcvd,h2_rst_stream_rcvd,h2_goaway_rcvd,h2_detected_conn_protocol_errors,h2_detected_strm_protocol_errors,h2_rst_stream_resp,h2_goaway_resp,h2_open_connections,h2_backend_open_streams,h2_total_connections,h2_backend_total_streams,h1_open_connections,h1_open_streams,h1_total_connections,h1_total_streams,h1_bytes_in,h1_bytes_out,h1_spliced_bytes_in,h1_spliced_bytes_out";

/// One line of the table.
#[derive(Debug, Default)]
struct Row(HashMap<&'static str, String>);

/// The whole table.
#[must_use]
pub fn table(view: &View, now: SystemTime) -> String {
    let mut rows = Vec::new();
    for (id, front) in (1..).zip(&view.frontends) {
        rows.push(frontend(id, front));
    }
    for (id, back) in (view.frontends.len() + 1..).zip(&view.backends) {
        let members = (1..).zip(&back.members);
        rows.extend(
            members.map(|(number, member)| server(id, number, back, member, now)),
        );
        rows.push(backend(id, back, now));
    }
    let lines = rows.iter().map(Row::line);
    std::iter::once(format!("# {COLUMNS},\n"))
        .chain(lines)
        .collect()
}

fn frontend(id: usize, front: &Front) -> Row {
    let counters = &*front.counters;
    let mut row = Row::new(&front.meant.name, "FRONTEND", id, 0, "0");
    row.traffic(&[counters]);
    row.set("status", "OPEN");
    let rules = &front.meant.admission;
    row.limit("slim", rules.connections);
    row.limit("rate_lim", rules.rate);
    let turned_away = [
        End::Denied,
        End::SourceConnections,
        End::SourceRate,
        End::FrontendConnections,
        End::FrontendRate,
        End::ProcessConnections,
    ];
    row.ended("dcon", &[counters], &turned_away);
    let strangers = [
        End::BadProxyHeader,
        End::NoProxyHeader,
        End::NoHello,
        End::NotTls,
    ];
    row.ended("ereq", &[counters], &strangers);
    let rate = counters.recent.rate().connections;
    row.set("conn_rate", rate);
    row.set("conn_rate_max", counters.recent.most().1);
    row.set("conn_tot", get(&counters.connections));
    row
}

fn server(
    id: usize,
    number: usize,
    back: &Back,
    member: &Member,
    now: SystemTime,
) -> Row {
    let counters = &*member.server.counters;
    let is_backup = member.server.terms.rank == Rank::Backup;
    let mut row = Row::new(&back.meant.name, &member.server.name, id, number, "2");
    row.traffic(&[counters]);
    row.limit("slim", member.server.terms.max_connections);
    row.set("status", status(member));
    row.set("weight", member.server.weight);
    row.set("uweight", member.server.weight);
    row.set("act", u8::from(!is_backup));
    row.set("bck", u8::from(is_backup));
    let failed: u64 = member
        .checks
        .iter()
        .filter(|(name, _)| &***name != "passed")
        .map(|(_, n)| n)
        .sum();
    row.set("chkfail", failed);
    row.set("chkdown", member.downs);
    row.set("lastchg", seconds_since(member.since, now));
    row.set("lbtot", get(&counters.connections));
    row.set("econ", get(&counters.dial_failures));
    row.set("wredis", get(&counters.dial_failures));
    row.set("check_rise", back.meant.check.rise);
    row.set("check_fall", back.meant.check.fall);
    row.set("addr", member.server.address);
    if let Some(last) = member.last {
        let (word, description) = check(last.outcome, &back.meant.check.probe);
        row.set("check_status", word);
        row.set("check_desc", description);
        row.set("check_duration", last.took.as_millis());
        row.set("last_chk", last.outcome);
        if let Outcome::Status(code) = last.outcome {
            row.set("check_code", code);
        }
    }
    row
}

fn backend(id: usize, back: &Back, now: SystemTime) -> Row {
    let mut row = Row::new(&back.meant.name, "BACKEND", id, 0, "1");
    let servers: Vec<&Counters> = back
        .members
        .iter()
        .map(|member| &*member.server.counters)
        .collect();
    row.traffic(&servers);
    row.set("qcur", back.waiting());
    row.set("qlimit", back.meant.queue.length);
    let usable = |rank: Rank| {
        let members = back.members.iter();
        members
            .filter(|m| m.server.terms.rank == rank && m.state.is_usable())
            .count()
    };
    let (regular, backups) = (usable(Rank::Regular), usable(Rank::Backup));
    row.set("status", if regular + backups > 0 { "UP" } else { "DOWN" });
    row.set("act", regular);
    row.set("bck", backups);
    let weights = back.members.iter().filter(|m| m.state.is_usable());
    row.set(
        "weight",
        weights.map(|m| u32::from(m.server.weight)).sum::<u32>(),
    );
    let last = back.members.iter().map(|member| member.since).max();
    row.set("lastchg", last.map_or(0, |at| seconds_since(at, now)));
    row.set("lbtot", sum(&servers, |c| get(&c.connections)));
    row.set("econ", sum(&servers, |c| get(&c.dial_failures)));
    row.set("wredis", sum(&servers, |c| get(&c.dial_failures)));
    row.set("algo", back.meant.balance.name());
    row
}

impl Row {
    fn new(proxy: &str, name: &str, id: usize, number: usize, kind: &str) -> Self {
        let mut row = Self::default();
        row.set("pxname", proxy);
        row.set("svname", name);
        row.set("pid", 1);
        row.set("iid", id);
        row.set("sid", number);
        row.set("type", kind);
        row.set("mode", "tcp");
        row.set("-", "-");
        row
    }

    fn set(&mut self, column: &'static str, value: impl ToString) {
        self.0.insert(column, value.to_string());
    }

    fn limit(&mut self, column: &'static str, most: Option<NonZeroU32>) {
        if let Some(most) = most {
            self.set(column, most);
        }
    }

    fn ended(&mut self, column: &'static str, all: &[&Counters], ends: &[End]) {
        let count = sum(all, |c| ends.iter().map(|end| c.ended(*end)).sum());
        self.set(column, count);
    }

    fn traffic(&mut self, all: &[&Counters]) {
        self.set("scur", sum(all, |c| get(&c.open)));
        self.set("smax", sum(all, |c| c.recent.most().0));
        self.set("stot", sum(all, |c| get(&c.connections)));
        self.set("bin", sum(all, |c| get(&c.sent)));
        self.set("bout", sum(all, |c| get(&c.received)));
        self.set("rate", sum(all, |c| c.recent.rate().connections));
        self.set("rate_max", sum(all, |c| c.recent.most().1));
        let aborted = [End::ClientReset, End::ClientGone, End::ClientAborted];
        let broken = [
            End::ServerReset,
            End::ServerGone,
            End::ServerUnreachable,
            End::ServerHung,
        ];
        self.ended("cli_abrt", all, &aborted);
        self.ended("srv_abrt", all, &broken);
        self.ended("eint", all, &[End::NoResources]);
        // Nothing is refused by a rule of HTTP.
        for column in ["dreq", "dresp", "ereq", "wretr", "eresp"] {
            self.set(column, 0);
        }
    }

    fn line(&self) -> String {
        let cell = |column: &str| self.0.get(column).map(|text| quoted(text));
        let cells = COLUMNS
            .split(',')
            .map(|column| cell(column).unwrap_or_default());
        cells.map(|cell| cell + ",").collect::<String>() + "\n"
    }
}

/// As haproxy does it: in quotes where a comma or a quote stands in it.
fn quoted(text: &str) -> String {
    if text.contains([',', '"', '\n']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

/// haproxy's word. `NOLB` is its word for "answers, but is given nothing new", `DRAIN` for the
/// same by order.
fn status(member: &Member) -> &'static str {
    match member.state {
        State::Up => "UP",
        State::Draining if member.will.mode == Some(Mode::Drain) => "DRAIN",
        State::Draining => "NOLB",
        State::Hung | State::Unreachable | State::Unknown => "DOWN",
        State::Disabled => "MAINT",
    }
}

/// haproxy's code for how a check ended, and its phrase.
fn check(outcome: Outcome, probe: &probe::Check) -> (&'static str, &'static str) {
    match outcome {
        Outcome::Passed => match probe {
            probe::Check::Tcp => ("L4OK", "Layer4 check passed"),
            probe::Check::Tls(_) => ("L6OK", "Layer6 check passed"),
            probe::Check::Http(_) | probe::Check::Https(_) => {
                ("L7OK", "Layer7 check passed")
            }
        },
        Outcome::Local(_) => ("SOCKERR", "Socket error"),
        Outcome::Refused
        | Outcome::HostUnreachable
        | Outcome::NetworkUnreachable
        | Outcome::Reset(Stage::Connect, _)
        | Outcome::Closed(Stage::Connect, _) => ("L4CON", "Layer4 connection problem"),
        Outcome::ConnectTimeout => ("L4TOUT", "Layer4 timeout"),
        Outcome::HandshakeTimeout(_) => ("L6TOUT", "Layer6 timeout"),
        Outcome::Reset(Stage::Handshake, _)
        | Outcome::Closed(Stage::Handshake, _)
        | Outcome::TlsProtocol
        | Outcome::TlsRefused(_)
        | Outcome::TlsUntrusted(_)
        | Outcome::TlsExpired
        | Outcome::TlsNotYetValid => ("L6RSP", "Layer6 invalid response"),
        Outcome::NoResponse(_) | Outcome::BodyTimeout => ("L7TOUT", "Layer7 timeout"),
        Outcome::Reset(Stage::Request | Stage::Body, _)
        | Outcome::Closed(Stage::Request | Stage::Body, _)
        | Outcome::BadResponse
        | Outcome::BodyTooLarge
        | Outcome::BodyMismatch => ("L7RSP", "Layer7 invalid response"),
        Outcome::Status(_) => ("L7STS", "Layer7 wrong status"),
    }
}

fn sum(all: &[&Counters], count: impl Fn(&Counters) -> u64) -> u64 {
    all.iter()
        .map(|counters| count(counters))
        .fold(0, u64::saturating_add)
}

fn get(count: &AtomicU64) -> u64 {
    count.load(Ordering::Relaxed)
}

fn seconds_since(at: SystemTime, now: SystemTime) -> u64 {
    now.duration_since(at).unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_cells_as_columns_whatever_is_in_them() {
        let mut row = Row::new("a,b", "s\"1", 1, 1, "2");
        row.set("no_such_column", 1);
        let line = row.line();
        assert!(line.starts_with("\"a,b\",\"s\"\"1\","), "{line}");
        // One comma within quotes, and one behind each cell.
        let columns = COLUMNS.split(',').count();
        assert_eq!(line.matches(',').count(), columns + 1);
        assert!(!line.contains("no_such"));
    }

    /// A name set that is no column would be lost in silence.
    #[test]
    fn each_word_that_is_set_is_a_column() {
        let source = include_str!("csv.rs");
        let calls = [".set(\"", ".limit(\"", ".ended(\""];
        let set = calls.iter().flat_map(|call| source.split(call).skip(1));
        let words = set.filter_map(|rest| rest.split('"').next());
        let lost: Vec<&str> = words
            .filter(|word| *word != "no_such_column" && !word.contains(")"))
            .filter(|word| !COLUMNS.split(',').any(|column| column == *word))
            .collect();
        assert!(lost.is_empty(), "{lost:?}");
    }
}
