//! The loop that measures a row, and how rows are asked for: the same for this library and, in
//! benches/peers/rust, for others.
//!
//! The rows are several hundred, and criterion takes seconds for one: this loop takes 0.1 s. It prints a JSON
//! object per row. Arguments choose the rows whose ids hold all of these words: `cargo bench --bench elementwise
//! -- exp f32`. With `--serve` what to measure comes line by line, a side, a space and an id, so that the sides
//! can take turns row by row without starting anew.

use std::io::stdin;
use std::time::{Duration, Instant};

const SECONDS: f64 = 0.08;
const SAMPLE_SECONDS: f64 = 5e-3;
const MIN_SAMPLES: usize = 3;
const SLOWEST_CALL_SECONDS: f64 = 2.0;

/// One iteration, for as often as it is called.
pub type Run = Box<dyn FnMut()>;

/// One line of what is measured.
pub struct Row {
    side: &'static str,
    id: String,
    /// Draws the operands when the row's turn comes, since those of all rows would not fit into memory.
    start: Box<dyn Fn() -> Run>,
}

impl Row {
    /// A row of this side; ids are `<group>/<row>/<f64|f32>/<forward|gradient>/<n>`.
    pub fn new(side: &'static str, id: String, start: impl Fn() -> Run + 'static) -> Self {
        Row { side, id, start: Box::new(start) }
    }

    fn name(&self) -> String {
        format!("{} {}", self.side, self.id)
    }

    /// What is printed of the row; null where one call takes seconds.
    fn measured(&self, seconds: f64) -> String {
        let Some((seconds, samples)) = measured(&mut *(self.start)(), seconds) else {
            return "null".to_string();
        };
        let Row { side, id, .. } = self;
        format!(r#"{{"id": "{id}", "peer": "{side}", "seconds": {seconds:e}, "samples": {samples}}}"#)
    }
}

/// Median seconds of one iteration and the number of samples, found as in benches/peers/peers.py.
fn measured(run: &mut dyn FnMut(), seconds: f64) -> Option<(f64, usize)> {
    let mut time = |count: usize| {
        let start = Instant::now();
        (0..count).for_each(|_| run());
        start.elapsed().as_secs_f64() / count as f64
    };
    let mut once = time(1);
    if once > SLOWEST_CALL_SECONDS {
        return None;
    }
    let warm = Instant::now() + Duration::from_secs_f64(seconds / 4.0);
    while Instant::now() < warm {
        once = once.min(time(1));
    }
    let count = (SAMPLE_SECONDS / once).ceil() as usize;
    let end = Instant::now() + Duration::from_secs_f64(seconds);
    let mut samples = Vec::new();
    while samples.len() < MIN_SAMPLES || Instant::now() < end {
        samples.push(time(count.max(1)));
    }
    samples.sort_by(f64::total_cmp);
    let (low, high) = (samples[(samples.len() - 1) / 2], samples[samples.len() / 2]);
    Some(((low + high) / 2.0, samples.len()))
}

/// Measures the rows that the arguments ask for, or, with `--serve`, those that are asked for line by line.
pub fn measure(rows: impl IntoIterator<Item = Vec<Row>>) {
    let rows: Vec<Row> = rows.into_iter().flatten().collect();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let seconds = arguments.iter().find_map(|a| a.strip_prefix("--seconds="));
    let seconds = seconds.map_or(SECONDS, |s| s.parse().expect("--seconds is a number"));
    if arguments.iter().any(|a| a == "--serve") {
        let names: Vec<String> = rows.iter().map(Row::name).collect();
        println!(r#"{{"rows": {names:?}}}"#);
        for line in stdin().lines().map(|line| line.expect("names are text")) {
            let row = rows.iter().find(|row| row.name() == line);
            println!("{}", row.unwrap_or_else(|| panic!("no row is {line}")).measured(seconds));
        }
    } else {
        // cargo's own are among the arguments.
        let words: Vec<&String> = arguments.iter().filter(|a| !a.starts_with("--")).collect();
        let chosen = rows.iter().filter(|row| words.iter().all(|&word| row.name().contains(word)));
        chosen.for_each(|row| println!("{}", row.measured(seconds)));
    }
}
