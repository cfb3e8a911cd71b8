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
//! | `stage` | what a lesson has started, and the way back |
//! | `play` | the player |

pub mod check;
pub mod fault;
pub mod library;
pub mod model;
pub mod parse;
pub mod perform;
pub mod play;
pub mod review;
pub mod stage;
pub mod words;

use crate::error::Result;

/// What lessons are handed by the floor above: the grammar of our own command line.
pub trait Grammar {
    /// Whether the words after the program's name are one of our command lines.
    fn parse(&self, words: &[String]) -> Result<()>;
}
