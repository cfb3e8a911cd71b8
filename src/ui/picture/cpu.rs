//! Who had how much of a CPU, by the clocks of the processes themselves.

use super::{Drawing, Ink, Role};

/// The picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Cpu {
    /// For how long they were watched.
    pub seconds: f64,
    /// Who.
    pub runners: Vec<Runner>,
}

/// A process, or all those of a container.
#[derive(Debug, Clone, PartialEq)]
pub struct Runner {
    /// What it is called.
    pub name: String,
    /// What weighs for it: `nice 10`, `1024 shares`.
    pub about: String,
    /// What it had, of one CPU.
    pub share: f64,
    /// What it may have at most, of one CPU.
    pub allowed: Option<f64>,
}

impl Cpu {
    pub(super) fn title(&self) -> String {
        format!("CPU time, measured for {:.1} s", self.seconds)
    }

    pub(super) fn words(&self) -> String {
        let said = |runner: &Runner| {
            let allowed = match runner.allowed {
                Some(allowed) => format!(", and {:.0} % are allowed", allowed * 100.0),
                None => String::new(),
            };
            let about = match runner.about.as_str() {
                "" => String::new(),
                about => format!(" ({about})"),
            };
            format!("{}{about} had {:.0} % of one CPU{allowed}", runner.name, runner.share * 100.0)
        };
        let runners: Vec<_> = self.runners.iter().map(said).collect();
        format!("Measured for {:.1} s: {}.", self.seconds, runners.join("; "))
    }

    pub(super) fn draw(&self, width: usize) -> Drawing {
        let mut drawing = Drawing::new(width);
        let most = self.runners.iter().flat_map(|r| [r.share, r.allowed.unwrap_or(0.0)]);
        let whole = most.fold(1.0, f64::max).ceil();
        let bar = width - 8;
        for (n, runner) in self.runners.iter().enumerate() {
            let y = n * 3;
            let taken = drawing.text((0, y), width, &runner.name, Ink::Strong);
            let about = match runner.allowed {
                Some(allowed) => format!("{} · at most {:.0} %", runner.about, allowed * 100.0),
                None => runner.about.clone(),
            };
            let about = about.trim_start_matches(" · ");
            let room = width.saturating_sub(taken + 2);
            drawing.text((taken + 2, y), room, about, Ink::Dim);
            let mark = runner.allowed.map(|allowed| allowed / whole);
            drawing.bar((0, y + 1), bar, runner.share / whole, mark, Role::Own);
            let percent = format!("{:.0} %", runner.share * 100.0);
            drawing.text_to((width, y + 1), 7, &percent, Ink::Strong);
        }
        let y = (self.runners.len() * 3).saturating_sub(1);
        drawing.text((0, y), 4, "0", Ink::Dim);
        let full = if whole > 1.0 { format!("{whole:.0} CPUs") } else { "one CPU".to_owned() };
        drawing.text_to((bar, y), bar - 4, &full, Ink::Dim);
        drawing
    }
}
