//! The face for a page: an inline SVG that names no colour (the page's style sheet
//! gives them to classes, by day and by night) and loads nothing.

use maud::{Markup, html};

use super::super::wrap::width_of;
use super::{Drawing, Ink, Picture, Role, Shape};

/// A column and a row, in units of the drawing. A row is as high as text needs room.
const COLUMN: usize = 8;
const ROW: usize = 20;

/// The picture on so many columns. `id` is unique on the page; `class` says when it is shown.
pub fn svg(picture: &Picture, width: usize, id: &str, class: &str) -> Markup {
    let drawing = picture.draw(width);
    let (title, description) = (format!("{id}-title"), format!("{id}-words"));
    let (w, h) = (drawing.width * COLUMN, drawing.height * ROW);
    html! {
        svg class={ "drawing " (class) } role="img" aria-labelledby={ (title) " " (description) }
            viewBox={ "0 0 " (w) " " (h) } width=(w) height=(h) {
            title id=(title) { (picture.title()) }
            desc id=(description) { (picture.words()) }
            @for shape in &drawing.shapes { (drawn(shape, &drawing)) }
        }
    }
}

fn drawn(shape: &Shape, drawing: &Drawing) -> Markup {
    match shape {
        Shape::Frame { x, y, w, h, role } => html! {
            rect class={ "frame " (class(*role)) } x=(middle(*x, COLUMN)) y=(middle(*y, ROW))
                width=((w - 1) * COLUMN) height=((h - 1) * ROW) rx="7" {}
        },
        Shape::Line(points) => {
            let point =
                |(x, y): &(usize, usize)| format!("{},{}", middle(*x, COLUMN), middle(*y, ROW));
            let points: Vec<_> = points.iter().map(point).collect();
            html! { polyline class="line" points=(points.join(" ")) {} }
        }
        Shape::Branch { x, from, y, to } => {
            let (left, low) = (middle(*x, COLUMN), middle(*y, ROW));
            let (top, right) = ((from + 1) * ROW, middle(*to, COLUMN));
            html! { polyline class="line" points={ (left) "," (top) " " (left) "," (low) " " (right) "," (low) } {} }
        }
        Shape::Text { x, y, text, ink } => {
            let ink = match ink {
                Ink::Strong => "strong",
                Ink::Plain => "plain",
                Ink::Dim => "dim",
            };
            // Whatever font there is: it takes the columns that it was given.
            let length = width_of(text).min(drawing.width - x) * COLUMN;
            html! {
                text class=(ink) x=(x * COLUMN) y=(y * ROW + 15) textLength=(length)
                    lengthAdjust="spacingAndGlyphs" { (text) }
            }
        }
        Shape::Bar { x, y, w, share, mark, role } => {
            let whole = (w * COLUMN) as f64;
            let part = |share: f64| format!("{:.1}", share.clamp(0.0, 1.0) * whole);
            let filled = (share.clamp(0.0, 1.0) * whole).max(if *share > 0.0 { 2.0 } else { 0.0 });
            let (left, top) = (x * COLUMN, y * ROW + 4);
            html! {
                rect class="track" x=(left) y=(top) width=(whole) height="12" rx="3" {}
                rect class={ "bar " (class(*role)) } x=(left) y=(top) width=(format!("{filled:.1}"))
                    height="12" rx="3" {}
                @if let Some(mark) = mark {
                    rect class="mark" x=(left as f64 + part(*mark).parse::<f64>().unwrap_or(0.0))
                        y=(top - 3) width="2" height="18" {}
                }
            }
        }
    }
}

fn class(role: Role) -> &'static str {
    match role {
        Role::Host => "host",
        Role::Own => "own",
        Role::Shared => "shared",
    }
}

fn middle(at: usize, unit: usize) -> usize {
    at * unit + unit / 2
}
