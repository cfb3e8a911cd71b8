//! Every lesson, played whole by keys in a terminal as a reader does it, by what
//! stands on the screen: wrong and right answers and open questions; exercises
//! with all hints, too early, in the shell, by a second terminal, by the solution;
//! back, again, to a step; stopped and taken up again. Whenever a step's end is
//! reached once more, the machine is as it was the first time, and in the end it is
//! as it was before the lesson.
//!
//! `screen` knows prompts, `reader` what is typed at them, `plan` what is true of
//! each lesson's questions, and which lesson is played how.

mod answers;
mod exercises;
mod plan;
mod reader;
mod screen;

use crate::harness::Uth;
use plan::{PLANS, Plan};
use reader::Playing;

fn plays(number: &str) {
    let plan: &Plan = PLANS.iter().find(|plan| plan.lesson == number).unwrap();
    if crate::skip::root().is_ok() {
        crate::backwards::private_world();
    }
    let uth = Uth::new();
    uth.run(["image", "base"]).ok();
    // What is made once and stays, as the directories of the store, is there.
    uth.run(["run", "base", "true"]).ok();
    let untested = Playing::new(&uth, plan).plays();
    // An ordinary user cannot do what needs root, and root plays it; but root can do all.
    if !untested.is_empty() && crate::skip::root().is_ok() {
        need!(sh & format!("what these claims need: {}", untested.join(", ")), "false");
    }
}

macro_rules! lessons {
    ($($name:ident $lesson:literal)*) => {
        $(#[test]
        fn $name() {
            need!(tool "ip");
            need!(tool "busybox");
            if crate::skip::root().is_err() {
                need!(user_namespace);
            }
            plays($lesson);
        })*
    };
}

lessons! {
    lesson_0_by_keys "0"
    lesson_1_by_keys "1"
    lesson_2_by_keys "2"
    lesson_3_by_keys "3"
    lesson_4_by_keys "4"
    lesson_5_by_keys "5"
    lesson_6_by_keys "6"
    lesson_7_by_keys "7"
}
