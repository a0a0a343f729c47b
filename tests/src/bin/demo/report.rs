//! `target/demo/report.html`: the timeline as a drawing, the table, how to read them. One
//! file that needs no other.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::time::Instant;

use lab::error::Doing;
use lab::{LabError, binaries};

use crate::ground::Ground;
use crate::row::Row;
use crate::stage::Stage;
use crate::{svg, table};

const STYLE: &str = "
:root{color-scheme:light dark;--ink:#1b1f24;--soft:#667;--paper:#fff;--line:#d5d8dd;
--hold:#2563eb;--cut:#d97706;--bad:#dc2626;--good:#15803d}
@media(prefers-color-scheme:dark){:root{--ink:#e6e8eb;--soft:#9aa3ad;--paper:#14171a;
--line:#333a41;--hold:#60a5fa;--cut:#fbbf24;--bad:#f87171;--good:#4ade80}}
body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);
max-width:1180px;margin:2rem auto;padding:0 1rem}
h1{font-size:1.4rem}.soft{color:var(--soft)}svg{width:100%;height:auto}
table{border-collapse:collapse;width:100%;font-size:.9rem;font-variant-numeric:tabular-nums}
th,td{text-align:left;padding:.35rem .6rem;border-bottom:1px solid var(--line);
vertical-align:top}td:not(.what):not(.bounds){white-space:nowrap}
td.bounds span{display:inline-block;margin-right:.8em}
.key{display:inline-block;width:.9em;height:.7em;border-radius:2px}.met{color:var(--good)}.missed{color:var(--bad);font-weight:600}
";

/// Writes it, and says where.
///
/// # Errors
/// When the folder cannot be written.
pub(crate) fn write(
    (ground, what): (Ground, &str),
    rows: &[Row],
    stage: &Stage,
    from: Instant,
    to: Instant,
) -> Result<PathBuf, LabError> {
    let folder = binaries::output("demo");
    fs::create_dir_all(&folder).doing(folder.display())?;
    let path = folder.join("report.html");
    let timeline = svg::timeline(rows, stage, from, to);
    fs::write(&path, page((ground, what), rows, &timeline)).doing(path.display())?;
    Ok(path)
}

fn page((ground, what): (Ground, &str), rows: &[Row], timeline: &str) -> String {
    let name = ground.name();
    let table = body(rows);
    let head: String = table::head()
        .iter()
        .map(|cell| format!("<th>{cell}</th>"))
        .collect();
    format!(
        "<!doctype html><html lang=en><meta charset=utf-8>\
         <meta name=viewport content='width=device-width'><title>Sternpost: {name}</title>\
         <style>{STYLE}</style><h1>One address in front of three masters — {name}</h1>\
         <p>{what}.</p>{timeline}\
         <p class=soft><i class=key style='background:var(--hold)'></i> holds the address \
         &ensp;<i class=key style='background:var(--cut)'></i> cut off &ensp;\
         <i class=key style='background:var(--bad)'></i> nobody answers; a request that \
         failed. Below the bars: gaps between answered 1 ms probes, and the slowest request \
         of each 50 ms (one new TLS connection each 10 ms); both scales are logarithmic. \
         Dotted lines: faults and healings, numbered as in the table.</p>\
         <table><thead><tr><th></th>{head}</tr></thead><tbody>{table}</tbody></table>\
         <p class=soft>failed: opened after the fault and not answered. slow: answered later \
         than 300 ms. in flight: open at the fault or when the address moved, and lost by it. \
         cut: long-lived connections that had to be opened again. A row marked void was \
         disturbed by the machine.</p></html>\n"
    )
}

fn body(rows: &[Row]) -> String {
    let mut text = String::new();
    for (number, row) in (1..).zip(rows) {
        let class = if row.met() { "met" } else { "missed" };
        let _ = write!(text, "<tr><td>{number}</td>");
        let [what, cells @ .., bounds] = &table::cells(row);
        let _ = write!(text, "<td class=what>{}</td>", escaped(what));
        for cell in cells {
            let _ = write!(text, "<td>{}</td>", escaped(cell));
        }
        // Each bound in one piece, so that no line ends in the middle of one.
        let bounds = escaped(bounds).replace(", ✓", "</span> <span>✓");
        let bounds = bounds.replace(", ✗", "</span> <span>✗");
        let _ = write!(
            text,
            "<td class='bounds {class}'><span>{bounds}</span></td></tr>"
        );
    }
    text
}

/// Text as HTML.
pub(crate) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
