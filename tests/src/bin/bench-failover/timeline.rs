//! Who answered the client when, drawn from what was measured: a line for each peer, and in it
//! a letter for the host that answered, or a dot for nobody.

use std::fmt::Write as _;

use lab::prober::Probe;
use serde::{Deserialize, Serialize};

use crate::cycle::Figures;
use crate::group::{MASTERS, Peer};
use crate::row::Row;

/// Letters of a line.
const WIDTH: u32 = 60;
/// What is shown beyond the longest outage or the move, as a share of it.
const MARGIN: f64 = 1.25;
/// Below it a line would show the prober's own pace.
const SHORTEST: f64 = 10.0;

/// From then on the same host answered, or nobody.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Stretch {
    /// Milliseconds from the event.
    from: f64,
    /// Who answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<String>,
}

/// What the client saw, as stretches.
pub(crate) fn stretches(probes: &[Probe]) -> Vec<Stretch> {
    let Some(first) = probes.first() else {
        return Vec::new();
    };
    let mut all: Vec<Stretch> = Vec::new();
    for probe in probes {
        let host = probe.answered.and_then(|(_, place)| MASTERS.get(place));
        let host = host.map(|(name, ..)| (*name).to_owned());
        if all.last().is_none_or(|last| last.host != host) {
            let from = probe.sent.saturating_duration_since(first.sent);
            let from = (from.as_secs_f64() * 1e4).round() / 10.0;
            all.push(Stretch { from, host });
        }
    }
    all
}

/// The row's lines, one for each peer; nothing where nothing was recorded.
pub(crate) fn drawn(row: Row, cycles: &[(Peer, &Figures)]) -> String {
    let told: Vec<_> = cycles
        .iter()
        .filter(|(_, it)| !it.answers.is_empty())
        .collect();
    let length = |it: &Figures| it.outage.max(it.elsewhere.unwrap_or_default());
    let longest = told
        .iter()
        .map(|(_, it)| length(it))
        .fold(SHORTEST, f64::max);
    let span = longest * MARGIN;
    let mut text = String::new();
    for (peer, figures) in told {
        let line: String = (0..WIDTH)
            .map(|column| {
                letter(
                    &figures.answers,
                    span * f64::from(column) / f64::from(WIDTH),
                )
            })
            .collect();
        let _ = writeln!(text, "{:<11} {line} {:.1} ms", peer.name(), figures.outage);
    }
    match text.is_empty() {
        true => text,
        false => format!("{} (to {span:.0} ms)\n{text}", row.title()),
    }
}

fn letter(answers: &[Stretch], at: f64) -> char {
    let now = answers.iter().rev().find(|stretch| stretch.from <= at);
    let host = now.and_then(|stretch| stretch.host.as_deref());
    host.and_then(|host| host.chars().next()).unwrap_or('·')
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    fn probes(answers: &[Option<usize>]) -> Vec<Probe> {
        let zero = Instant::now();
        let sent = answers.iter().zip(0_u32..).map(|(place, millis)| {
            let sent = zero + Duration::from_millis(1) * millis;
            let answered = place.map(|place| (sent, place));
            let due = sent;
            Probe {
                due,
                sent,
                answered,
            }
        });
        sent.collect()
    }

    #[test]
    fn a_line_says_who_answered_when() {
        let mut answers = vec![Some(0); 10];
        answers.extend([None; 30]);
        answers.extend([Some(1); 20]);
        let answers = stretches(&probes(&answers));
        let starts: Vec<_> = answers
            .iter()
            .map(|it| (it.from, it.host.as_deref()))
            .collect();
        assert_eq!(starts, [(0.0, Some("a")), (10.0, None), (40.0, Some("b"))]);
        let figures = Figures {
            outage: 48.0,
            answers,
            ..Figures::default()
        };
        let drawn = drawn(Row::DeathV2, &[(Peer::Ours, &figures)]);
        let line = format!("{}{}{}", "a".repeat(10), "·".repeat(30), "b".repeat(20));
        assert!(drawn.contains(&line), "{drawn}");
        assert!(
            drawn.contains("(to 60 ms)") && drawn.contains("48.0 ms"),
            "{drawn}"
        );
    }

    #[test]
    fn without_a_record_nothing_is_drawn() {
        let figures = Figures::default();
        assert_eq!(drawn(Row::DeathV2, &[(Peer::Ours, &figures)]), "");
        assert!(stretches(&[]).is_empty());
    }
}
