//! Containers as places of their own, and the cables between them and the machine.

use super::{Drawing, Ink, Role, listed};

/// The picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Network {
    /// The machine's own: its interfaces, without those that are the ends of cables.
    pub host: Place,
    /// Which of the host's interfaces is the bridge that cables end at.
    pub bridge: Option<Interface>,
    /// The containers.
    pub containers: Vec<Place>,
}

/// A network namespace.
#[derive(Debug, Clone, PartialEq)]
pub struct Place {
    /// What it is called.
    pub name: String,
    /// Its number.
    pub namespace: u64,
    /// What is in it.
    pub interfaces: Vec<Interface>,
    /// The cable that leads to the host.
    pub cable: Option<Cable>,
    /// What is to be said where there is none.
    pub note: String,
}

/// An interface.
#[derive(Debug, Clone, PartialEq)]
pub struct Interface {
    /// `eth0`
    pub name: String,
    /// `10.213.0.2/24`
    pub address: Option<String>,
}

impl Interface {
    fn text(&self) -> String {
        match &self.address {
            Some(address) => format!("{} {address}", self.name),
            None => self.name.clone(),
        }
    }
}

/// A pair of interfaces, one in here and one out there.
#[derive(Debug, Clone, PartialEq)]
pub struct Cable {
    /// The near end.
    pub near: String,
    /// The end on the host.
    pub far: String,
    /// Whether that is plugged into the bridge.
    pub bridged: bool,
}

/// A container needs so many columns beside others.
const NARROWEST: usize = 24;

impl Network {
    pub(super) fn title(&self) -> String {
        let names: Vec<_> = self.containers.iter().map(|place| place.name.clone()).collect();
        format!("Networks: {} and {}", self.host.name, listed(&names))
    }

    pub(super) fn words(&self) -> String {
        let all = |place: &Place| {
            listed(&place.interfaces.iter().map(Interface::text).collect::<Vec<_>>())
        };
        let mut said = vec![format!(
            "{} has network namespace {}, with {}",
            self.host.name,
            self.host.namespace,
            all(&self.host)
        )];
        if let Some(bridge) = &self.bridge {
            said.push(format!("in it is the bridge {}", bridge.text()));
        }
        for place in &self.containers {
            let cable = match &place.cable {
                None => place.note.clone(),
                Some(Cable { near, far, bridged }) => format!(
                    "a cable leads from its {near} to {far} out here{}",
                    if *bridged { ", and so to the bridge" } else { "" }
                ),
            };
            let (name, number) = (&place.name, place.namespace);
            said.push(format!("{name} has {number}, with {}: {cable}", all(place)));
        }
        format!("{}.", said.join("; "))
    }

    pub(super) fn draw(&self, width: usize) -> Drawing {
        let mut drawing = Drawing::new(width);
        let columns = self.containers.len().max(1);
        let beside = width / columns >= NARROWEST;
        let cables = self.containers.iter().any(|place| place.cable.is_some());
        // The machine: its name, its interfaces, the bridge, and the ends of cables.
        let bridge = usize::from(self.bridge.is_some()) * 3;
        let ends = usize::from(cables && beside) * 2;
        let high = 4 + bridge + ends;
        drawing.frame((0, 0), (width, high), Role::Host);
        head(&mut drawing, (2, 1), width - 4, &self.host);
        let all: Vec<_> = self.host.interfaces.iter().map(Interface::text).collect();
        drawing.text((2, 2), width - 4, &all.join(" · "), Ink::Plain);
        if let Some(bridge) = &self.bridge {
            drawing.frame((2, 3), (width - 4, 3), Role::Shared);
            let taken = drawing.text((4, 4), width - 8, &bridge.name, Ink::Strong);
            let address = bridge.address.as_deref().unwrap_or_default();
            let address = format!("{address}  bridge");
            drawing.text((5 + taken, 4), width - 9 - taken, address.trim(), Ink::Plain);
        }
        match beside {
            true => self.below(&mut drawing, high),
            false => self.listed(&mut drawing, high),
        }
        drawing
    }

    /// Each below the machine, on a cable of its own.
    fn below(&self, drawing: &mut Drawing, high: usize) {
        let columns = self.containers.len().max(1);
        let wide = ((drawing.width + 2) / columns - 2).min(36);
        let rows = |place: &Place| place.interfaces.len() + usize::from(place.cable.is_none());
        let tall = self.containers.iter().map(rows).max().unwrap_or(0) + 3;
        for (n, place) in self.containers.iter().enumerate() {
            let x = n * (wide + 2);
            let top = high + 1;
            container(drawing, (x, top), (wide, tall), place);
            let Some(cable) = &place.cable else { continue };
            let column = x + wide / 2;
            let from = if cable.bridged && self.bridge.is_some() { 5 } else { high - 3 };
            let end = high - 2;
            if from < end {
                drawing.line(&[(column, from), (column, end)]);
            }
            drawing.line(&[(column, end), (column, top)]);
            drawing.text((column + 2, end), wide / 2 - 1, &cable.far, Ink::Dim);
        }
    }

    /// One after the other, on a line at the left that the cables leave from.
    fn listed(&self, drawing: &mut Drawing, high: usize) {
        let wide = drawing.width - 4;
        let mut y = high;
        let from = if self.bridge.is_some() { 5 } else { high - 1 };
        // The bridge's left wall is at column 2.
        let trunk = if self.bridge.is_some() { 3 } else { 2 };
        for place in &self.containers {
            let tall = place.interfaces.len() + 4;
            container(drawing, (4, y), (wide, tall), place);
            if let Some(cable) = &place.cable {
                let end = y + tall - 2;
                drawing.line(&[(trunk - 1, from), (trunk - 1, end), (4, end)]);
                drawing.text((6, end), wide - 4, &format!("at {} outside", cable.far), Ink::Dim);
            }
            y += tall;
        }
    }
}

fn head(drawing: &mut Drawing, (x, y): (usize, usize), room: usize, place: &Place) {
    let taken = drawing.text((x, y), room, &place.name, Ink::Strong);
    let number = format!("net {}", place.namespace);
    if taken + 2 + number.len() <= room {
        drawing.text_to((x + room, y), room, &number, Ink::Dim);
    }
}

fn container(drawing: &mut Drawing, at: (usize, usize), size: (usize, usize), place: &Place) {
    let ((x, y), (wide, _)) = (at, size);
    drawing.frame(at, size, Role::Own);
    head(drawing, (x + 2, y + 1), wide - 4, place);
    for (n, interface) in place.interfaces.iter().enumerate() {
        drawing.text((x + 2, y + 2 + n), wide - 4, &interface.text(), Ink::Plain);
    }
    if place.cable.is_none() {
        let y = y + 2 + place.interfaces.len();
        drawing.text((x + 2, y), wide - 4, &place.note, Ink::Dim);
    }
}
