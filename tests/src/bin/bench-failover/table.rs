//! All rounds, kept as they were measured, and the table that is made of them.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use lab::bench::{self, Circumstances, Kept, Spread};
use serde::{Deserialize, Serialize};

use crate::cycle::Figures;
use crate::group::Peer;
use crate::row::{Event, Row};
use crate::timeline;

/// Its place in the page.
pub(crate) const PLACE: &str = "bench-failover";

/// A whole run of the bench.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Record {
    /// What was measured, and where.
    #[serde(flatten)]
    pub(crate) circumstances: Circumstances,
    /// Every cycle, in the order in which they ran.
    pub(crate) rounds: Vec<Round>,
}

/// One cycle of one row with one peer.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Round {
    /// What happened.
    pub(crate) row: Row,
    /// To whom.
    pub(crate) peer: Peer,
    /// From 0: cycles with the same number ran next to each other.
    pub(crate) round: u32,
    /// Load average of the machine when it began.
    pub(crate) load: f64,
    /// What came of it.
    pub(crate) figures: Figures,
    /// The commit, where it is another than the record's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) commit: Option<String>,
}

impl Kept for Round {
    type Kind = Row;

    fn kind(&self) -> Row {
        self.row
    }

    fn commit(&mut self) -> &mut Option<String> {
        &mut self.commit
    }
}

impl Record {
    /// An earlier record with these rounds in the place of its own of the same rows.
    pub(crate) fn within(self, mut earlier: Self) -> Self {
        let commit = &self.circumstances.commit;
        earlier.rounds = bench::within(earlier.rounds, self.rounds, commit);
        earlier
    }

    /// The table, for its place in the page.
    pub(crate) fn table(&self) -> String {
        let mut text = self.circumstances.to_string();
        for (peer, version) in &self.circumstances.versions {
            let _ = write!(text, " {peer}: {version}.");
        }
        text += "\n\n| what happens to the owner | peer | cycles (void) | outage, ms | two holders, ms | moves | another answers after, ms |\n\
                 |---|---|---|---|---|---|---|\n";
        for row in Row::ALL {
            for &peer in row.peers() {
                self.line(&mut text, row, peer);
            }
        }
        self.later(&mut text);
        self.voided(&mut text);
        self.warnings(&mut text);
        self.footprint(&mut text);
        self.timelines(&mut text);
        text
    }

    fn of(&self, row: Row, peer: Peer) -> impl Iterator<Item = &Figures> {
        let rounds = self.rounds.iter();
        let mine = rounds.filter(move |round| round.row == row && round.peer == peer);
        mine.map(|round| &round.figures)
    }

    fn line(&self, text: &mut String, row: Row, peer: Peer) {
        let all = self.of(row, peer).count();
        let sound: Vec<_> = self.of(row, peer).filter(|it| !it.void(row)).collect();
        if sound.is_empty() || row.event() == Event::Nothing {
            return;
        }
        let spread = |value: fn(&Figures) -> f64| {
            written(spread(sound.iter().map(|it| value(it))))
        };
        let moves = |it: &&&Figures| it.moves;
        let most = sound.iter().max_by_key(moves).map_or(0, |it| it.moves);
        let least = sound.iter().min_by_key(moves).map_or(0, |it| it.moves);
        let moves = match least == most {
            true => most.to_string(),
            false => format!("{least}–{most}"),
        };
        let elsewhere = Spread::of(sound.iter().filter_map(|it| it.elsewhere));
        let elsewhere = elsewhere.map_or_else(|| "–".to_owned(), written);
        let _ = writeln!(
            text,
            "| {} | {} | {all} ({}) | {} | {} | {moves} | {elsewhere} |",
            row.title(),
            peer.name(),
            all - sound.len(),
            spread(|it| it.outage),
            spread(|it| it.overlap),
        );
    }

    /// Which rows are of another commit than the others.
    fn later(&self, text: &mut String) {
        let commits: BTreeSet<&String> = self
            .rounds
            .iter()
            .filter_map(|it| it.commit.as_ref())
            .collect();
        for commit in commits {
            let is_of = |row: &Row| {
                let mut rounds = self.rounds.iter();
                rounds.any(|it| it.row == *row && it.commit.as_ref() == Some(commit))
            };
            let rows = Row::ALL.into_iter().filter(is_of);
            let rows: Vec<_> = rows.map(Row::title).collect();
            let _ = writeln!(
                text,
                "\nMeasured later, commit {commit}: {}.",
                rows.join("; ")
            );
        }
    }

    /// The cycles in the middle of each row, as the client saw them.
    fn timelines(&self, text: &mut String) {
        let rows = Row::ALL.into_iter().map(|row| {
            let middle = row.peers().iter().map(|&peer| {
                let sound = self.of(row, peer).filter(|it| !it.void(row));
                let mut sound: Vec<_> = sound.collect();
                sound.sort_by(|one, other| one.outage.total_cmp(&other.outage));
                sound.get(sound.len() / 2).map(|it| (peer, *it))
            });
            let middle: Vec<_> = middle.flatten().collect();
            timeline::drawn(row, &middle)
        });
        let rows: Vec<_> = rows.filter(|row| !row.is_empty()).collect();
        if !rows.is_empty() {
            let _ = write!(
                text,
                "\nWho answered the client (a letter for the host, a dot for nobody), from the event \
                 on, in the middle cycle of each row:\n\n```text\n{}```\n",
                rows.join("\n")
            );
        }
    }

    fn warnings(&self, text: &mut String) {
        let said = |row| self.of(row, Peer::Ours).filter_map(|it| it.warned);
        for (row, how) in [
            (Row::Overload, "Without real time"),
            (Row::OverloadRealtime, "With real time"),
        ] {
            let (all, warned) = (said(row).count(), said(row).filter(|it| *it).count());
            if all > 0 {
                let _ = writeln!(
                    text,
                    "\n{how} ours said in {warned} of {all} cycles that 10 ms is not safe."
                );
            }
        }
    }

    /// What the owner takes of its host, and the machine of a daemon's part in it.
    fn footprint(&self, text: &mut String) {
        for &peer in Row::Steady.peers() {
            let steady = || self.of(Row::Steady, peer);
            #[expect(clippy::cast_precision_loss, reason = "megabytes with one decimal")]
            let memory = steady().filter_map(|it| Some(it.memory? as f64 / 1e6));
            let memory = Spread::of(memory);
            let Some(cpu) = Spread::of(steady().filter_map(|it| it.cpu)) else {
                continue;
            };
            let memory = memory.map_or_else(String::new, |memory| {
                format!("{} MB resident in all its processes, ", written(memory))
            });
            let Spread { low, median, high } = cpu;
            let _ = writeln!(
                text,
                "\nOwner at adverts every 10 ms, {}: {memory}{low:.2} / {median:.2} / {high:.2} % \
                 of one core.",
                peer.name(),
            );
        }
    }

    /// What the machine has disturbed, and in whose cycles; 5 % of ours is what it may.
    fn voided(&self, text: &mut String) {
        let all = self.rounds.len();
        let of = |peer: Peer| {
            let its = self.rounds.iter().filter(move |it| it.peer == peer);
            let void = its.clone().filter(|it| it.figures.void(it.row)).count();
            (void, its.count())
        };
        let peers = [Peer::Ours, Peer::Keepalived, Peer::Bare];
        let each = peers.map(|peer| {
            let (void, its) = of(peer);
            format!("{} {void} of {its}", peer.name())
        });
        let void: usize = peers.map(|peer| of(peer).0).iter().sum();
        let share = (100 * void).div_ceil(all.max(1));
        let each = each.join(", ");
        let _ = writeln!(text, "\nVoid: {void} of {all} cycles ({share} %); {each}.");
    }
}

fn written(Spread { low, median, high }: Spread) -> String {
    format!("{low:.1} / {median:.1} / {high:.1}")
}

/// Of no figures a line of zeros.
fn spread(values: impl Iterator<Item = f64>) -> Spread {
    Spread::of(values).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use lab::bench::replaced;

    use super::*;

    /// Cycles of a row and peer that no disturbance of the machine has a part in.
    const SOUND: usize = 5;
    /// Parts of a hundred of our cycles that may be void.
    const VOID: usize = 5;

    fn committed() -> Record {
        let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
        let json = std::fs::read_to_string(docs.join("failover.json")).unwrap();
        serde_json::from_str(&json).unwrap()
    }

    #[test]
    fn what_was_measured_is_enough_to_say_something() {
        let record = committed();
        for row in Row::ALL {
            let least = if row.event() == Event::Overload {
                2
            } else {
                SOUND
            };
            for &peer in row.peers() {
                let sound = record.of(row, peer).filter(|it| !it.void(row)).count();
                assert!(sound >= least, "{}, {}: {sound}", row.title(), peer.name());
            }
        }
        let ours = record.rounds.iter().filter(|it| it.peer == Peer::Ours);
        let (void, all): (Vec<_>, Vec<_>) = ours.partition(|it| it.figures.void(it.row));
        let (void, all) = (void.len(), void.len() + all.len());
        assert!(100 * void <= VOID * all, "{void} of {all} void");
    }

    #[test]
    fn the_page_says_what_was_measured() {
        let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
        let page = std::fs::read_to_string(docs.join("failover.md")).unwrap();
        let drawn = replaced(&page, PLACE, &committed().table()).unwrap();
        assert!(
            drawn == page,
            "draw it anew: bench-failover --from docs/failover.json --page docs/failover.md"
        );
    }

    #[test]
    fn a_row_that_is_measured_again_takes_the_place_of_its_earlier_rounds() {
        let (earlier, mut again) = (committed(), committed());
        again.circumstances.commit = "abc1234".to_owned();
        again
            .rounds
            .retain(|it| it.row == Row::Steady && it.round == 0);
        let (all, new) = (earlier.rounds.len(), again.rounds.len());
        let old = earlier.rounds.iter().filter(|it| it.row == Row::Steady);
        let old = old.count();
        let merged = again.within(earlier);
        assert!(old > new && new > 0);
        assert_eq!(merged.rounds.len(), all - old + new);
        assert_eq!(
            merged.circumstances.commit,
            committed().circumstances.commit
        );
        let said = format!("Measured later, commit abc1234: {}.", Row::Steady.title());
        assert!(merged.table().contains(&said), "{}", merged.table());
    }
}
