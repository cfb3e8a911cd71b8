//! Progress of long work: on a terminal a bar for each piece of it, with bytes,
//! rate and the time that is left; elsewhere a line now and then.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use indicatif::{HumanBytes, MultiProgress, ProgressBar, ProgressStyle};

/// How often a line is written where nothing can be written over.
const NOW_AND_THEN: Duration = Duration::from_secs(5);

/// A bar; labels are cut, so that it fits beside them. And where no total is known.
const KNOWN: &str = "{msg:!22} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}";
const UNKNOWN: &str = "{msg:!22} {bytes}";

/// All that is going on, by label.
#[derive(Default)]
pub struct Progress {
    bars: MultiProgress,
    going_on: BTreeMap<String, Piece>,
}

/// One piece of work.
struct Piece {
    bar: Option<ProgressBar>,
    /// Where it was when we first heard of it: a download that is taken up again
    /// does not begin at nothing, and its rate is not to count what was there.
    first: (Instant, u64),
    said: Instant,
}

impl Progress {
    /// It has come so far; what is to be written of it where there are no bars.
    pub fn set(&mut self, label: &str, done: u64, total: u64, bars: bool) -> Option<String> {
        let now = Instant::now();
        let all = &self.bars;
        let piece = self.going_on.entry(label.to_owned()).or_insert_with(|| Piece {
            bar: bars.then(|| bar(all, label, done, total)),
            first: (now, done),
            said: now,
        });
        if let Some(bar) = &piece.bar {
            bar.set_position(done);
            return None;
        }
        if now.duration_since(piece.said) < NOW_AND_THEN {
            return None;
        }
        piece.said = now;
        Some(line(label, done, total, now.duration_since(piece.first.0), piece.first.1))
    }

    /// It goes on no longer.
    pub fn over(&mut self, label: &str) {
        if let Some(Piece { bar: Some(bar), .. }) = self.going_on.remove(label) {
            bar.finish_and_clear();
            self.bars.remove(&bar);
        }
    }

    /// Writes something else, above the bars.
    pub fn beside(&self, write: impl FnOnce()) {
        match self.going_on.is_empty() {
            true => write(),
            false => self.bars.suspend(write),
        }
    }
}

fn bar(all: &MultiProgress, label: &str, done: u64, total: u64) -> ProgressBar {
    let template = if total > 0 { KNOWN } else { UNKNOWN };
    let style = ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("█░");
    let bar = all.add(ProgressBar::new(total).with_position(done).with_style(style));
    bar.set_message(label.to_owned());
    bar.reset_eta();
    bar
}

/// `Alpine 3.21.3: 1.2 MiB of 3.5 MiB (34 %), 512 KiB/s`
fn line(label: &str, done: u64, total: u64, took: Duration, first: u64) -> String {
    let rate = (done.saturating_sub(first)) as f64 / took.as_secs_f64().max(0.001);
    let rate = HumanBytes(rate as u64);
    match (u128::from(done) * 100).checked_div(u128::from(total)) {
        Some(percent) => {
            let (done, total) = (HumanBytes(done), HumanBytes(total));
            format!("{label}: {done} of {total} ({percent} %), {rate}/s")
        }
        None => format!("{label}: {}, {rate}/s", HumanBytes(done)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_counts_what_came_since_it_was_taken_up() {
        let two = Duration::from_secs(2);
        let mib = 1 << 20;
        assert_eq!(
            line("x", 3 * mib, 4 * mib, two, mib),
            "x: 3.00 MiB of 4.00 MiB (75 %), 1.00 MiB/s"
        );
        assert_eq!(line("x", mib, 0, two, 0), "x: 1.00 MiB, 512.00 KiB/s");
    }

    #[test]
    fn without_a_terminal_little_is_said_and_nothing_when_it_is_over() {
        let mut progress = Progress::default();
        assert_eq!(progress.set("x", 1, 2, false), None, "it has only begun");
        progress.going_on.get_mut("x").unwrap().said -= NOW_AND_THEN;
        assert!(progress.set("x", 2, 2, false).is_some_and(|line| line.contains("(100 %)")));
        assert_eq!(progress.set("x", 2, 2, false), None, "it was just said");
        progress.over("x");
        assert!(progress.going_on.is_empty());
    }
}
