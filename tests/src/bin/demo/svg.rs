//! The timeline as SVG: a lane per master, one for the probes, one for the requests.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use lab::client::{Outcome, Request};
use lab::holders::{self, Event, What};

use crate::masters::MASTERS;
use crate::report::escaped;
use crate::row::Row;
use crate::stage::Stage;

const WIDTH: f64 = 1160.0;
/// Room for the names of the lanes and the scales of the plots.
const LEFT: f64 = 104.0;
/// Room for the numbers of the faults.
const TOP: f64 = 24.0;
const LANE: f64 = 22.0;
const PLOT: f64 = 90.0;
/// The scales of the plots: from 1 ms to 3 s.
const DECADES: f64 = 3.477;
/// One mark in a plot stands for so much time: more would not be seen.
const BUCKET: Duration = Duration::from_millis(50);

struct Paper {
    from: Instant,
    length: f64,
    text: String,
}

/// The whole drawing.
pub(crate) fn timeline(
    rows: &[Row],
    stage: &Stage,
    from: Instant,
    to: Instant,
) -> String {
    let length = (to - from).as_secs_f64();
    let mut paper = Paper {
        from,
        length,
        text: String::new(),
    };
    let events = stage.masters.timeline().events();
    let probes_top = TOP + LANE * 3.0 + 12.0;
    let requests_top = probes_top + PLOT + 12.0;
    let bottom = requests_top + PLOT;
    paper.axis(bottom);
    for (lane, top) in MASTERS.iter().zip([0.0, 1.0, 2.0]) {
        paper.master(lane, TOP + LANE * top, &events, to);
    }
    paper.plot("probes", probes_top);
    paper.probes(stage, to, probes_top + PLOT);
    paper.plot("requests", requests_top);
    paper.requests(
        &stage.instruments.requests.requests(from, to),
        to,
        requests_top + PLOT,
    );
    for (number, row) in (1_u32..).zip(rows.iter().filter(|row| row.outage.is_some())) {
        paper.mark(number, row, bottom);
    }
    let height = bottom + 24.0;
    format!(
        "<svg viewBox='0 0 {WIDTH} {height}' font-size=11 fill='currentColor' role=img \
         aria-label='timeline'>{}</svg>",
        paper.text
    )
}

impl Paper {
    fn x(&self, at: Instant) -> f64 {
        let seconds = at.saturating_duration_since(self.from).as_secs_f64();
        LEFT + (WIDTH - LEFT - 8.0) * (seconds / self.length).min(1.0)
    }

    fn axis(&mut self, bottom: f64) {
        let mut at = self.from;
        let mut seconds = 0;
        while (at - self.from).as_secs_f64() <= self.length {
            let x = self.x(at);
            let y = bottom + 16.0;
            let _ = write!(
                self.text,
                "<text x={x:.1} y={y} fill='var(--soft)'>{seconds} s</text>"
            );
            at += Duration::from_secs(10);
            seconds += 10;
        }
    }

    fn bar(&mut self, [from, to]: [Instant; 2], top: f64, colour: &str, title: &str) {
        let (x, end) = (self.x(from), self.x(to));
        let width = (end - x).max(0.5);
        let height = LANE - 8.0;
        let _ = write!(
            self.text,
            "<rect x={x:.1} y={top} width={width:.1} height={height} rx=2 \
             fill='var(--{colour})'><title>{}</title></rect>",
            escaped(title)
        );
    }

    fn master(&mut self, name: &str, top: f64, events: &[Event], end: Instant) {
        let y = top + 11.0;
        let _ = write!(self.text, "<text x=4 y={y}>{name}</text>");
        for span in holders::spans(events) {
            if span.holders.contains(name) {
                let to = span.to.unwrap_or(end).min(end);
                self.bar(
                    [span.from, to],
                    top,
                    "hold",
                    &format!("{name} holds the address"),
                );
            }
        }
        let mut cut = None;
        for event in events.iter().filter(|event| event.host == name) {
            match event.what {
                What::Cut => cut = Some(event.at),
                What::Healed => {
                    if let Some(from) = cut.take() {
                        self.bar(
                            [from, event.at],
                            top,
                            "cut",
                            &format!("{name} is cut off"),
                        );
                    }
                }
                What::Holds | What::LetsGo => {}
            }
        }
    }

    fn plot(&mut self, name: &str, top: f64) {
        let y = top + PLOT / 2.0;
        let _ = write!(self.text, "<text x=4 y={y}>{name}</text>");
        let scale = [(1, "1 ms"), (10, "10 ms"), (100, "100 ms"), (1000, "1 s")];
        for (ms, label) in scale {
            let y = top + PLOT - height(Duration::from_millis(ms));
            let right = WIDTH - 8.0;
            let _ = write!(
                self.text,
                "<line x1={LEFT} x2={right} y1={y:.1} y2={y:.1} stroke='var(--line)'/>\
                 <text x={scale} y={low:.1} font-size=9 text-anchor=end \
                 fill='var(--soft)'>{label}</text>",
                scale = LEFT - 5.0,
                low = y + 3.0,
            );
        }
    }

    fn probes(&mut self, stage: &Stage, to: Instant, bottom: f64) {
        let probes = stage.instruments.prober.probes(self.from, to);
        let answered: Vec<_> = probes
            .iter()
            .filter(|p| p.answered.is_some())
            .map(|p| p.sent)
            .collect();
        for pair in answered.windows(2) {
            let [one, next] = pair else { continue };
            let gap = *next - *one;
            // What is shorter than this is the prober's own rhythm.
            if gap >= Duration::from_millis(3) {
                let (x, top) = (self.x(*one), bottom - height(gap));
                let width = (self.x(*next) - x).max(1.0);
                let tall = height(gap);
                let _ = write!(
                    self.text,
                    "<rect x={x:.1} y={top:.1} width={width:.1} height={tall:.1} \
                     fill='var(--bad)'><title>{gap:.1?}</title></rect>"
                );
            }
        }
    }

    fn requests(&mut self, requests: &[Request], to: Instant, bottom: f64) {
        let mut path = String::new();
        let (mut bucket, mut slowest) = (self.from, Duration::ZERO);
        for request in requests {
            let took = request
                .ended
                .unwrap_or(to)
                .saturating_duration_since(request.opened);
            if let Outcome::Failed(why) = &request.outcome {
                let (x, y) = (self.x(request.opened), bottom - height(took));
                let why = escaped(why).replace('\'', "");
                let _ = write!(
                    self.text,
                    "<circle cx={x:.1} cy={y:.1} r=3 fill='var(--bad)'>\
                     <title>{why}</title></circle>"
                );
            }
            slowest = slowest.max(took);
            if request.opened >= bucket + BUCKET {
                let (x, y) = (self.x(bucket), bottom - height(slowest));
                let _ = write!(
                    path,
                    "{}{x:.1} {y:.1}",
                    if path.is_empty() { 'M' } else { 'L' }
                );
                (bucket, slowest) = (request.opened, Duration::ZERO);
            }
        }
        let _ = write!(
            self.text,
            "<path d='{path}' fill=none stroke='var(--hold)'/>"
        );
    }

    fn mark(&mut self, number: u32, row: &Row, bottom: f64) {
        let x = self.x(row.at);
        let title = escaped(&row.title);
        let _ = write!(
            self.text,
            "<g><title>{title}</title><line x1={x:.1} x2={x:.1} y1=16 y2={bottom} \
             stroke='var(--soft)' stroke-dasharray='2 3'/>\
             <text x={x:.1} y=12 text-anchor=middle>{number}</text></g>"
        );
    }
}

/// How high a time stands in a plot.
fn height(time: Duration) -> f64 {
    let ms = time.as_secs_f64() * 1000.0;
    PLOT * (ms.max(1.0).log10() / DECADES).min(1.0)
}
