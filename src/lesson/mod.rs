//! Lessons: Markdown files that perform what they tell and check what they
//! claim.
//!
//! | file | what it is for |
//! | --- | --- |
//! | `model` | what a lesson is made of |
//! | `parse` | from Markdown to that |
//! | `review` | what can be wrong with a lesson that reads well |
//! | `library` | the lessons that come with the program, found by number, name or heading |
//! | `check` | is it true on this machine? |
//! | `perform` | a lesson's lines, performed |
//! | `driving` | the same with another engine |
//! | `stage` | what a lesson has started, and the way back |
//! | `play` | the player |
//! | `progress` | how far the reader has come |
//! | `trial` | every check both ways |

pub mod check;
pub mod driving;
pub mod fault;
pub mod library;
pub mod model;
pub mod parse;
pub mod perform;
pub mod play;
pub mod progress;
pub mod review;
pub mod stage;
pub mod trial;
pub mod words;

use crate::error::Result;
use crate::kernel::probe::Need;

/// What one lesson needs of a machine, for `doctor`.
pub struct Needs {
    /// Its number.
    pub number: Option<u32>,
    /// Its title.
    pub title: String,
    /// Without these it cannot be played.
    pub lesson: Vec<Need>,
    /// What each claim needs besides: its id and its needs.
    pub claims: Vec<(String, Vec<Need>)>,
}

/// What every lesson that comes with the program needs.
pub fn needs() -> Vec<Needs> {
    let claims = |lesson: &model::Lesson| {
        lesson.claims().map(|(_, claim)| (claim.id.clone(), claim.needs.clone())).collect()
    };
    let of = |lesson: model::Lesson| Needs {
        number: lesson.number,
        claims: claims(&lesson),
        title: lesson.front.title,
        lesson: lesson.front.needs,
    };
    library::embedded().into_iter().map(of).collect()
}

/// What lessons are handed by the floor above: the grammar of our own command line.
pub trait Grammar {
    /// Whether the words after the program's name are one of our command lines.
    fn parse(&self, words: &[String]) -> Result<()>;
}
