//! What a root file system is stacked of: an image's layers, and above them, in a
//! container, the one that may be written.

use super::{Drawing, Ink, Role, fit};

/// The picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Layers {
    /// The container whose root it is, and what it has written so far; none: only an image.
    pub container: Option<(String, String)>,
    /// What the image is called.
    pub image: String,
    /// Its layers, the lowest first.
    pub layers: Vec<Layer>,
}

/// A layer of an image.
#[derive(Debug, Clone, PartialEq)]
pub struct Layer {
    /// What made it.
    pub about: String,
    /// Its size in words.
    pub size: String,
    /// The same in bytes.
    pub bytes: u64,
}

/// More than this do not fit a screen.
const MOST: usize = 6;
/// So much of what made a layer is told in words.
const SAID: usize = 40;
/// Columns for the size and for its bar.
const SIZE: usize = 9;
const BAR: usize = 14;

impl Layers {
    pub(super) fn title(&self) -> String {
        match &self.container {
            Some((name, _)) => format!("What the root of {name} is stacked of"),
            None => format!("The layers of {}", self.image),
        }
    }

    pub(super) fn words(&self) -> String {
        let said = |n: usize| {
            let Layer { about, size, .. } = &self.layers[n];
            format!("{}: {size}, {}", n + 1, fit(about, SAID))
        };
        let count = self.layers.len();
        let hidden = count.saturating_sub(MOST);
        let mut layers: Vec<_> =
            (0..count).rev().filter(|n| !(1..=hidden).contains(n)).map(said).collect();
        if hidden > 0 {
            layers.insert(layers.len() - 1, format!("{hidden} more"));
        }
        let image = format!(
            "the image {} with {} read-only {}, from the top {}",
            self.image,
            self.layers.len(),
            if self.layers.len() == 1 { "layer" } else { "layers" },
            layers.join("; ")
        );
        match &self.container {
            Some((name, written)) => {
                format!(
                    "{name} sees, from above: a layer of its own that it may write ({written}); {image}."
                )
            }
            None => format!("From above: {image}."),
        }
    }

    pub(super) fn draw(&self, width: usize) -> Drawing {
        let mut drawing = Drawing::new(width);
        let mut y = 0;
        if let Some((name, written)) = &self.container {
            drawing.text(
                (2, 0),
                width - 2,
                &format!("{name} sees all of it, from above"),
                Ink::Dim,
            );
            drawing.text((0, 0), 1, "▼", Ink::Dim);
            drawing.frame((0, 1), (width, 3), Role::Own);
            let taken = drawing.text((2, 2), width - 4, "writable", Ink::Strong);
            let room = width - taken - 6;
            drawing.text_to((width - 2, 2), room, written, Ink::Plain);
            y = 4;
        }
        drawing.text((2, y), width - 2, &format!("read-only: {}", self.image), Ink::Dim);
        y += 1;
        let most = self.layers.iter().map(|layer| layer.bytes).max().unwrap_or(0).max(1);
        let hidden = self.layers.len().saturating_sub(MOST);
        for (n, layer) in self.layers.iter().enumerate().rev() {
            if hidden > 0 && (1..=hidden).contains(&n) {
                if n == hidden {
                    drawing.frame((0, y), (width, 3), Role::Shared);
                    let more = format!("… {hidden} more …");
                    drawing.text((2, y + 1), width - 4, &more, Ink::Dim);
                    y += 2;
                }
                continue;
            }
            self.slab(&mut drawing, y, n, layer, most);
            y += 2;
        }
        drawing
    }

    fn slab(&self, drawing: &mut Drawing, y: usize, n: usize, layer: &Layer, most: u64) {
        let width = drawing.width;
        drawing.frame((0, y), (width, 3), Role::Shared);
        let bar = if width >= 60 { BAR } else { 0 };
        drawing.text((2, y + 1), 3, &(n + 1).to_string(), Ink::Strong);
        let room = width - 5 - SIZE - bar - 4;
        drawing.text((5, y + 1), room, &layer.about, Ink::Plain);
        drawing.text_to((width - 2 - bar, y + 1), SIZE, &layer.size, Ink::Plain);
        if bar > 0 {
            let share = layer.bytes as f64 / most as f64;
            drawing.bar((width - 1 - bar, y + 1), bar - 1, share, None, Role::Shared);
        }
    }
}
