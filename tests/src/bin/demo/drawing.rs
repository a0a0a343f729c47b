//! The timeline while it runs: a block of lanes that moves on at the foot of a terminal, or
//! plain lines where the output is no terminal.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use lab::client::Outcome;
use lab::holders::{self, Event, What};
use lab::timeline::Timeline;
use lab::{LabError, error::Doing, prober, wait};

use crate::masters::MASTERS;
use crate::row::Row;
use crate::stage::{Instruments, Stage};
use crate::table;

/// What one column stands for.
const COLUMN: Duration = Duration::from_millis(200);
/// How far the drawing stays behind: answers to the last probes must have come.
const BEHIND: Duration = Duration::from_millis(200);
/// Columns that are kept and shown.
const WIDTH: usize = 64;
/// Masters, probes, requests, and the line with the time.
const LINES: usize = MASTERS.len() + 3;
/// From good to bad, for times up to 5, 20, 100, 300 ms and beyond.
const HEIGHTS: [char; 5] = ['▁', '▂', '▄', '▆', '█'];

/// A running drawing; dropping it leaves what was drawn.
pub(crate) struct Drawing {
    canvas: Arc<Mutex<Canvas>>,
    ending: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

struct Canvas {
    begun: Instant,
    /// The output is a terminal that can be drawn on.
    live: bool,
    shown: bool,
    title: String,
    columns: Vec<[char; MASTERS.len() + 2]>,
}

struct Eyes {
    instruments: Arc<Instruments>,
    timeline: Arc<Timeline>,
}

impl Drawing {
    /// Begins to draw what happens on `stage`.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub(crate) fn start(stage: &Stage, live: bool) -> Result<Self, LabError> {
        let canvas = Canvas {
            begun: Instant::now(),
            live,
            shown: false,
            title: String::new(),
            columns: Vec::new(),
        };
        let canvas = Arc::new(Mutex::new(canvas));
        let ending = Arc::new(AtomicBool::new(false));
        let eyes = Eyes {
            instruments: stage.instruments.clone(),
            timeline: stage.masters.timeline().clone(),
        };
        let (on, end) = (canvas.clone(), ending.clone());
        let paint = move || {
            while live && !end.load(Ordering::Relaxed) {
                wait::pass(COLUMN, || false);
                let column = eyes.column(Instant::now() - BEHIND);
                lock(&on).add(column);
            }
        };
        let thread = thread::Builder::new().name("drawing".into()).spawn(paint);
        Ok(Self {
            canvas,
            ending,
            thread: Some(thread.doing("start a thread")?),
        })
    }

    /// Something is done to the group at this moment.
    pub(crate) fn mark(&self, title: &str) {
        let mut canvas = lock(&self.canvas);
        title.clone_into(&mut canvas.title);
        if !canvas.live {
            let line = format!("{:6.1} s  {title}", canvas.begun.elapsed().as_secs_f64());
            canvas.print(&line);
        }
    }

    /// A stretch is over and measured.
    pub(crate) fn done(&self, row: &Row) {
        self.say(&table::line(row));
    }

    /// Prints a line above the drawing.
    pub(crate) fn say(&self, line: &str) {
        lock(&self.canvas).print(line);
    }
}

impl Drop for Drawing {
    fn drop(&mut self) {
        self.ending.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

fn lock(canvas: &Mutex<Canvas>) -> std::sync::MutexGuard<'_, Canvas> {
    canvas.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Canvas {
    fn add(&mut self, column: [char; MASTERS.len() + 2]) {
        self.columns.push(column);
        let surplus = self.columns.len().saturating_sub(WIDTH);
        self.columns.drain(..surplus);
        self.clear();
        self.draw();
    }

    fn print(&mut self, line: &str) {
        self.clear();
        println!("{line}");
        if self.live {
            self.draw();
        }
    }

    fn clear(&mut self) {
        if self.shown {
            // Up to the first line of the block, and away with everything below.
            print!("\x1b[{LINES}A\x1b[J");
            self.shown = false;
        }
    }

    fn draw(&mut self) {
        let mut text = String::new();
        let begun = self.begun.elapsed().as_secs_f64();
        let _ = writeln!(text, "{begun:6.1} s  {}", self.title);
        let names = MASTERS.into_iter().chain(["probes", "requests"]);
        for (lane, name) in names.enumerate() {
            let cells: String = self
                .columns
                .iter()
                .filter_map(|column| column.get(lane))
                .collect();
            let _ = writeln!(text, "{name:>8}  {cells}");
        }
        print!("{text}");
        self.shown = true;
    }
}

impl Eyes {
    fn column(&self, to: Instant) -> [char; MASTERS.len() + 2] {
        let from = to - COLUMN;
        let events: Vec<Event> = self
            .timeline
            .events()
            .into_iter()
            .filter(|e| e.at < to)
            .collect();
        let holders = holders::current(&events);
        let [m1, m2, m3] = MASTERS.map(|name| host_cell(name, &events, &holders));
        let gap = prober::outage(&self.instruments.prober.probes(from, to));
        [m1, m2, m3, height(gap), self.requests(from, to)]
    }

    fn requests(&self, from: Instant, to: Instant) -> char {
        let requests = self.instruments.requests.requests(from, to);
        let failed = requests
            .iter()
            .any(|r| matches!(r.outcome, Outcome::Failed(_)));
        let took = requests.iter().map(|r| match r.ended {
            Some(ended) => ended - r.opened,
            None => r.opened.elapsed(),
        });
        if failed {
            '✗'
        } else {
            height(took.max().unwrap_or_default())
        }
    }
}

fn host_cell(host: &str, events: &[Event], holders: &BTreeSet<String>) -> char {
    let reach = events
        .iter()
        .rev()
        .find(|e| e.host == host && matches!(e.what, What::Cut | What::Healed));
    match reach.map(|event| event.what) {
        Some(What::Cut) => '×',
        _ if holders.contains(host) => '█',
        _ => '·',
    }
}

fn height(time: Duration) -> char {
    let steps = [5, 20, 100, 300].map(Duration::from_millis);
    let place = steps.iter().take_while(|step| time >= **step).count();
    HEIGHTS.get(place).copied().unwrap_or('█')
}
