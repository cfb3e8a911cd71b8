//! Control groups below each other, and how much each may use.

use super::{Drawing, Ink, Role, width_of};

/// The picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Cgroups {
    /// Every group, after the one that it is in.
    pub groups: Vec<Group>,
}

/// A group.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// Its name in the group above it.
    pub name: String,
    /// Who is in it: `box`, `your shell`.
    pub who: Option<String>,
    /// The place of the group that it is in.
    pub parent: Option<usize>,
    /// What it uses, and of how much.
    pub meters: Vec<Meter>,
}

/// One thing that is counted.
#[derive(Debug, Clone, PartialEq)]
pub struct Meter {
    /// `memory`
    pub what: String,
    /// `12 MiB of 64 MiB`
    pub text: String,
    /// How much of the limit is used; none without a limit.
    pub share: Option<f64>,
}

/// Columns for what is measured, and for the bar.
const WHAT: usize = 8;
const BAR: usize = 10;

impl Cgroups {
    pub(super) fn title(&self) -> String {
        "Control groups and their limits".to_owned()
    }

    pub(super) fn words(&self) -> String {
        let said = |group: &Group| {
            let below = group.parent.map(|above| format!(", below {}", self.groups[above].name));
            let who = group.who.as_ref().map(|who| format!("{who} in ")).unwrap_or_default();
            let meters: Vec<_> =
                group.meters.iter().map(|meter| format!("{} {}", meter.what, meter.text)).collect();
            let limits = match meters.is_empty() {
                true => "no limit".to_owned(),
                false => meters.join(", "),
            };
            format!("{who}{}{}: {limits}.", group.name, below.unwrap_or_default())
        };
        self.groups.iter().map(said).collect::<Vec<_>>().join(" ")
    }

    fn depth(&self, at: usize) -> usize {
        self.groups[at].parent.filter(|above| *above < at).map_or(0, |above| self.depth(above) + 1)
    }

    pub(super) fn draw(&self, width: usize) -> Drawing {
        let mut drawing = Drawing::new(width);
        let beside = (width >= 70).then_some(width * 2 / 5);
        let mut rows: Vec<usize> = Vec::new();
        let mut y = 0;
        for (at, group) in self.groups.iter().enumerate() {
            let x = self.depth(at) * 3;
            rows.push(y);
            if let Some(above) = group.parent.filter(|above| *above < at) {
                drawing.branch((self.depth(above) * 3, rows[above]), (x - 2, y));
            }
            let role = if group.who.is_some() { Role::Own } else { Role::Host };
            // Beside nothing there is more room for the name.
            let room = beside.filter(|_| !group.meters.is_empty()).unwrap_or(width);
            let room = room.saturating_sub(x + 1);
            let (name, beside_it) = match &group.who {
                Some(who) => (who.as_str(), format!("· {}", group.name)),
                None => (group.name.as_str(), String::new()),
            };
            let taken = drawing.text((x, y), room, name, Ink::Strong);
            drawing.text((x + taken + 1, y), room.saturating_sub(taken + 1), &beside_it, Ink::Dim);
            let (left, first) = beside.map_or((x + 2, y + 1), |column| (column, y));
            let mut row = first;
            for meter in &group.meters {
                drawing.text((left, row), WHAT, &meter.what, Ink::Dim);
                let mut column = left + WHAT;
                if let Some(share) = meter.share {
                    drawing.bar((column, row), BAR, share, None, role);
                    column += BAR + 1;
                    // Below the bar rather than cut: a limit without its number is none.
                    if column + width_of(&meter.text) > width {
                        (column, row) = (left, row + 1);
                    }
                }
                drawing.text((column, row), width.saturating_sub(column), &meter.text, Ink::Plain);
                row += 1;
            }
            y = row.max(y + 1);
        }
        drawing
    }
}
