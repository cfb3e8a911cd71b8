//! Gauges: one line on standard error that is written again and again while
//! something runs, and sparklines of what came before.

use std::io::{IsTerminal, Write};

use super::{Screen, wrap::width_of};

impl Screen {
    /// Whether a line can be written over: standard error is a terminal, and
    /// neither `--quiet` nor JSON was asked for.
    pub fn shows_gauges(&self) -> bool {
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        std::io::stderr().is_terminal()
            && !self.settings().quiet
            && !self.plain()
            && !self.json_wanted()
            && !dumb
    }

    /// Writes the line in place of the last one.
    pub fn gauge(&self, line: &str) {
        let mut line = line.to_owned();
        while width_of(&line) >= self.width() {
            line.pop();
        }
        let mut stderr = std::io::stderr().lock();
        let _ = write!(stderr, "\r\u{1b}[K{line}").and_then(|()| stderr.flush());
    }

    /// Writes several lines in place of the last ones, of which there were `before`.
    pub fn plot(&self, lines: &[String], before: usize) {
        let mut text = if before > 0 { format!("\u{1b}[{before}A") } else { String::new() };
        text.push_str("\r\u{1b}[J");
        for line in lines {
            text.extend(line.chars().take(self.width() - 1));
            text.push('\n');
        }
        let mut stderr = std::io::stderr().lock();
        let _ = stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush());
    }

    /// Takes the line away.
    pub fn gauge_end(&self) {
        self.gauge("");
        let _ = std::io::stderr().lock().write_all(b"\r");
    }
}

/// A bar of `width` characters, filled so far.
pub fn bar(share: f64, width: usize) -> String {
    let filled = (share.clamp(0.0, 1.0) * width as f64).round() as usize;
    "█".repeat(filled) + &"░".repeat(width - filled)
}

/// A bar in which the place of another value is marked.
pub fn marked_bar(share: f64, mark: f64, width: usize) -> String {
    let at = (mark.clamp(0.0, 1.0) * width as f64).round() as usize;
    let mark = |(index, c)| if index + 1 == at.max(1) { '┃' } else { c };
    bar(share, width).chars().enumerate().map(mark).collect()
}

/// Values as a row of blocks, the highest one full.
pub fn sparkline(values: &[f64]) -> String {
    const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let highest = values.iter().copied().fold(0.0, f64::max);
    let block = |value: &f64| {
        let share = if highest > 0.0 { value / highest } else { 0.0 };
        BLOCKS[((share * 7.0).round() as usize).min(7)]
    };
    values.iter().map(block).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_and_sparklines_stay_within_their_bounds() {
        assert_eq!(bar(0.5, 4), "██░░");
        assert_eq!(bar(7.0, 3), "███");
        assert_eq!(marked_bar(0.5, 0.25, 4), "┃█░░");
        assert_eq!(marked_bar(0.5, 0.0, 4), "┃█░░");
        assert_eq!(marked_bar(0.5, 1.0, 4), "██░┃");
        assert_eq!(sparkline(&[0.0, 1.0, 2.0]), "▁▅█");
        assert_eq!(sparkline(&[0.0, 0.0]), "▁▁");
    }
}
