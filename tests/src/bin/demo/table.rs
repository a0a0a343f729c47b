//! The rows as text: one line while it runs, a table at the end.

use std::fmt::Write as _;

use crate::row::{Row, ms};

const HEAD: [&str; 8] = [
    "fault",
    "outage",
    "failed",
    "slow",
    "in flight",
    "cut",
    "holders",
    "bounds",
];

/// Of many requests that failed alike, the first tell enough.
const REASONS: usize = 3;

/// One row on one line, and why requests failed.
pub(crate) fn line(row: &Row) -> String {
    let [_, outage, failed, slow, flight, cuts, holders, bounds] = cells(row);
    let title = &row.title;
    let mut text = format!(
        "          {title}: outage {outage}, {failed} failed, {slow} slow, {flight} in flight, \
         {cuts} streams cut, {holders}; {bounds}"
    );
    for reason in row.sum.reasons.iter().take(REASONS) {
        let _ = write!(text, "\n            failed {reason}");
    }
    text
}

/// The table.
pub(crate) fn render(rows: &[Row]) -> String {
    let lines: Vec<[String; 8]> = rows.iter().map(cells).collect();
    let mut widths = HEAD.map(str::len);
    for line in &lines {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::from("\n");
    write_line(&mut text, &HEAD.map(str::to_owned), &widths);
    write_line(&mut text, &widths.map(|width| "─".repeat(width)), &widths);
    for line in &lines {
        write_line(&mut text, line, &widths);
    }
    text.push_str(
        "\nfailed: opened after the fault and not answered. slow: later than 300 ms. in flight: \
         open at the fault\nor when the address moved, and lost by it. cut: long-lived \
         connections that had to be opened again.\n",
    );
    text
}

/// A row's cells, in the order of the head.
pub(crate) fn cells(row: &Row) -> [String; 8] {
    let bounds: Vec<_> = row
        .verdicts
        .iter()
        .map(|v| format!("{} {}", if v.met { "✓" } else { "✗" }, v.text))
        .collect();
    let mut bounds = bounds.join(", ");
    if let Some(late) = row.disturbed {
        let _ = write!(bounds, " (void: prober {} late)", ms(late));
    }
    let count = |n: usize| {
        if row.outage.is_some() {
            n.to_string()
        } else {
            String::new()
        }
    };
    [
        row.title.clone(),
        row.outage.map(ms).unwrap_or_default(),
        count(row.sum.failed),
        count(row.sum.slow),
        count(row.sum.in_flight),
        row.cuts.to_string(),
        row.holders.clone(),
        bounds,
    ]
}

/// The names of the columns.
pub(crate) fn head() -> [&'static str; 8] {
    HEAD
}

fn write_line(text: &mut String, cells: &[String; 8], widths: &[usize; 8]) {
    let mut line = String::new();
    for (cell, width) in cells.iter().zip(widths) {
        let pad = width.saturating_sub(cell.chars().count());
        let _ = write!(line, "{cell}{:pad$}  ", "");
    }
    text.push_str(line.trim_end());
    text.push('\n');
}
