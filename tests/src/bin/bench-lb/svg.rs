//! The picture: what one CPU-second of each proxy carries, against haproxy's.

use std::fmt::Write as _;

use crate::peer::{Cores, Peer};
use crate::row::Row;
use crate::table::Record;

const ROWS: [Row; 8] = [
    Row::Connections,
    Row::ConnectionsLogged,
    Row::ConnectionsTls,
    Row::KeepAlive,
    Row::Down1,
    Row::Down16,
    Row::Up1,
    Row::Up16,
];
const PEERS: [(Peer, &str); 4] = [
    (Peer::Haproxy, "#9aa5b1"),
    (Peer::HaproxySplice, "#627d98"),
    (Peer::Nginx, "#d9b44a"),
    (Peer::Ours, "#2f855a"),
];
/// Room for the names of the rows.
const LEFT: f64 = 150.0;
/// Pixels for the ratio 1.
const ONE: f64 = 80.0;
const BAR: f64 = 14.0;
const GAP: f64 = 12.0;

impl Record {
    /// The picture, as SVG.
    pub(crate) fn picture(&self) -> String {
        let (mut bars, mut y) = (String::new(), 30.0);
        legend(&mut bars);
        for row in ROWS {
            let ratios: Vec<_> = PEERS
                .into_iter()
                .filter_map(|(peer, colour)| {
                    Some((self.ratio_of(row, peer, Cores::One)?, colour))
                })
                .collect();
            if ratios.is_empty() {
                continue;
            }
            let _ = writeln!(
                bars,
                "<text x='4' y='{:.0}'>{}</text>",
                y + 11.0,
                row.name()
            );
            for (ratio, colour) in ratios {
                let width = ratio * ONE;
                let _ = writeln!(
                    bars,
                    "<rect x='{LEFT:.0}' y='{y:.0}' width='{width:.1}' height='12' fill='{colour}'/>\
                     <text x='{:.1}' y='{:.0}'>{ratio:.2}</text>",
                    LEFT + width + 4.0,
                    y + 10.0
                );
                y += BAR;
            }
            y += GAP;
        }
        format!(
            "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 860 {y:.0}' \
             font-family='sans-serif' font-size='11' role='img' \
             aria-label='what one CPU-second of each proxy carries, against haproxy'>\n{bars}</svg>\n"
        )
    }
}

fn legend(bars: &mut String) {
    for (n, (peer, colour)) in (0u8..).zip(PEERS) {
        let x = LEFT + f64::from(n) * 120.0;
        let _ = writeln!(
            bars,
            "<rect x='{x:.0}' y='6' width='10' height='10' fill='{colour}'/>\
             <text x='{:.0}' y='15'>{}</text>",
            x + 14.0,
            peer.name()
        );
    }
}
