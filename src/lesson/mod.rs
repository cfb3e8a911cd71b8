//! Lessons: Markdown files that perform what they tell and check what they
//! claim.
//!
//! | file | what it is for |
//! | --- | --- |
//! | `model` | what a lesson is made of |
//! | `parse` | from Markdown to that |
//! | `rehearsal` | a lesson played beforehand, and what was recorded of it |
//! | `review` | what can be wrong with a lesson that reads well |
//! | `looks` | whether a line only looks, and where an exercise may leave something |
//! | `pipes` | whether a check can fail |
//! | `library` | the lessons that come with the program, found by number, name or heading |
//! | `source`, `shelf` | lessons of others: read from a file; installed by name |
//! | `translation` | the same lesson in another language |
//! | `check` | is it true on this machine? |
//! | `own` | what is one run's alone: its names, its port |
//! | `perform` | a lesson's lines, performed |
//! | `driving` | the same with another engine |
//! | `session` | what a second terminal is told of a player |
//! | `built` | the images that a run has built |
//! | `stage` | what a lesson has started, and the way back |
//! | `play` | the player |
//! | `picture` | what is there, gathered to be drawn |
//! | `record` | what a run showed and found |
//! | `notebook` | that as a page of one's own |
//! | `progress` | how far the reader has come |
//! | `score` | the predictions that were right |
//! | `search` | where lessons speak of something |
//! | `report` | what a run came to, for an instructor |
//! | `invoker` | whoever typed `sudo`, and what is written as them |
//! | `trial` | every check both ways |

mod built;
pub mod check;
pub mod driving;
pub mod fault;
mod invoker;
pub mod library;
pub mod looks;
mod met;
pub mod model;
pub mod notebook;
pub mod own;
pub mod parse;
pub mod perform;
pub mod picture;
mod pipes;
pub mod play;
pub mod progress;
pub mod record;
pub mod rehearsal;
pub mod report;
pub mod review;
pub mod score;
pub mod search;
pub mod session;
pub mod shelf;
pub mod source;
pub mod stage;
pub mod translation;
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
