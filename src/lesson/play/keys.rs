//! Which keys mean what, and where: one table, from which the player acts and
//! `?` is answered.

use crate::ui::keys::Key;
use crate::ui::plain;

/// Where the player waits for the reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The screen is full, and the step goes on.
    More,
    /// Between two steps.
    Step,
    /// After the last step.
    Last,
    /// A question is open, with so many choices.
    Question(usize),
    /// An exercise is open.
    Exercise,
    /// An exercise is done, and the reader has been told so.
    Solved,
    /// On a stage: something is shown.
    Slide,
    /// On a stage: a command stands there, not performed yet.
    Typed,
    /// On a stage: it did not go as it should, and what may be done instead.
    Failed(Instead),
}

/// What may be done instead of what has failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Instead {
    /// It was recorded before.
    pub recorded: bool,
    /// Another engine's containers are used, so ours can be.
    pub builtin: bool,
}

/// What the reader wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// Go on; in an exercise: look whether it is done; at a question: leave it.
    Next,
    /// This choice, counted from 0.
    Choose(usize),
    /// Undo this step, and show the one before.
    Back,
    /// Undo this step, and show it again.
    Again,
    /// The next hint.
    Hint,
    /// A way to do it.
    Solution,
    /// Check what has been claimed, or is to be done.
    Check,
    /// All kernel operations of the last commands.
    Operations,
    /// A shell outside every container.
    Shell,
    /// Go to a step that is named.
    Goto,
    /// Do what has failed once more.
    Retry,
    /// Pass over what has failed.
    Skip,
    /// Show what was recorded of it.
    Recorded,
    /// Go on with the built-in engine.
    Builtin,
    /// How other engines do what this step does.
    Engines,
    /// Which keys there are.
    Keys,
    /// Stop, and keep the place.
    Quit,
}

/// One line of what `?` shows.
struct Entry {
    key: char,
    act: Act,
    meaning: &'static str,
    places: fn(Place) -> bool,
}

/// Enter, as a character.
const ENTER: char = '\n';

const TABLE: [Entry; 19] = [
    Entry {
        key: ENTER,
        act: Act::Next,
        meaning: "go on (so does the space bar)",
        places: |place| !matches!(place, Place::Exercise | Place::Question(_) | Place::Failed(_)),
    },
    Entry {
        key: ENTER,
        act: Act::Next,
        meaning: "look now whether it is done, and what is missing",
        places: |place| place == Place::Exercise,
    },
    Entry {
        key: ENTER,
        act: Act::Next,
        meaning: "leave the question unanswered",
        places: |place| matches!(place, Place::Question(_)),
    },
    Entry {
        key: 'h',
        act: Act::Hint,
        meaning: "a hint for what is missing now; each says more",
        places: |place| place == Place::Exercise,
    },
    Entry {
        key: 's',
        act: Act::Solution,
        meaning: "one way to do it; once more: have it done for you",
        places: |place| place == Place::Exercise,
    },
    Entry {
        key: 'c',
        act: Act::Check,
        meaning: "check again what this step claims, or asks for",
        places: |place| !matches!(place, Place::Question(_)),
    },
    Entry {
        key: 'b',
        act: Act::Back,
        meaning: "back: undo this step, show the one before",
        places: |_| true,
    },
    Entry {
        key: 'r',
        act: Act::Again,
        meaning: "again: undo this step, show it once more",
        places: |_| true,
    },
    Entry {
        key: 'x',
        act: Act::Operations,
        meaning: "all kernel operations of the last commands",
        places: |_| true,
    },
    Entry {
        key: 'e',
        act: Act::Engines,
        meaning: "how other engines do this step's commands",
        places: |_| true,
    },
    Entry {
        key: '!',
        act: Act::Shell,
        meaning: "a shell of yours, outside every container; `exit` returns",
        places: |_| true,
    },
    Entry {
        key: 'g',
        act: Act::Goto,
        meaning: "go to a step, by its number or id",
        places: |_| true,
    },
    Entry {
        key: 'a',
        act: Act::Retry,
        meaning: "do it again",
        places: |place| matches!(place, Place::Failed(_)),
    },
    Entry {
        key: 'k',
        act: Act::Skip,
        meaning: "skip it; that is marked",
        places: |place| matches!(place, Place::Failed(_)),
    },
    Entry {
        key: 'o',
        act: Act::Recorded,
        meaning: "the rehearsal's output, labelled as recorded",
        places: |place| matches!(place, Place::Failed(instead) if instead.recorded),
    },
    Entry {
        key: 'u',
        act: Act::Builtin,
        meaning: "this step again, and all after it, with the built-in engine",
        places: |place| matches!(place, Place::Failed(instead) if instead.builtin),
    },
    Entry { key: '?', act: Act::Keys, meaning: "these keys", places: |_| true },
    Entry {
        key: 'q',
        act: Act::Quit,
        meaning: "stop and keep the place (so do Ctrl-C and Ctrl-D)",
        places: |_| true,
    },
    Entry {
        key: ' ',
        act: Act::Next,
        meaning: "",
        places: |place| !matches!(place, Place::Exercise | Place::Question(_) | Place::Failed(_)),
    },
];

/// What a key means here; `None` for one that means nothing here.
pub fn meaning(key: Key, place: Place) -> Option<Act> {
    let typed = match key {
        Key::Enter => ENTER,
        Key::Quit => return Some(Act::Quit),
        Key::Char(c) => c,
        Key::Other | Key::Resumed | Key::News => return None,
    };
    if let (Place::Question(most), Some(digit)) = (place, typed.to_digit(10))
        && (1..=most).contains(&(digit as usize))
    {
        return Some(Act::Choose(digit as usize - 1));
    }
    TABLE.iter().find(|entry| entry.key == typed && (entry.places)(place)).map(|entry| entry.act)
}

/// Whether it means something in another place: then it is worth a word.
pub fn known_elsewhere(key: Key) -> bool {
    matches!(key, Key::Char(c) if TABLE.iter().any(|entry| entry.key == c))
}

/// The keys of a place, one a line.
pub fn help(place: Place) -> String {
    let mut lines = Vec::new();
    if let Place::Question(most) = place {
        lines.push(format!("  1 to {most}  your answer"));
    }
    for entry in TABLE.iter().filter(|entry| entry.key != ' ' && (entry.places)(place)) {
        let key = if entry.key == ENTER { "Enter".to_owned() } else { entry.key.to_string() };
        lines.push(format!("  {key:<6}  {}", entry.meaning));
    }
    lines.join("\n")
}

/// What stands where the player waits.
pub fn prompt(place: Place) -> String {
    match place {
        Place::More => "Enter for more · ? keys".to_owned(),
        Place::Step => "Enter for the next step · b back · ! shell · q stop · ? keys".to_owned(),
        Place::Last => "Enter to finish · b back · ! shell · q stop · ? keys".to_owned(),
        Place::Question(most) => {
            format!("What do you think? 1 to {most} · Enter leaves it open · ? keys")
        }
        Place::Exercise => {
            "Enter when it is done · h hint · s solution · ! shell · q stop · ? keys".to_owned()
        }
        Place::Solved => "Enter goes on · b back · r again · ! shell · q stop · ? keys".to_owned(),
        Place::Slide => "Enter · ? keys".to_owned(),
        Place::Typed => "Enter performs it · ? keys".to_owned(),
        Place::Failed(instead) => {
            let recorded = if instead.recorded { " · o recorded output" } else { "" };
            let builtin = if instead.builtin { " · u built-in engine" } else { "" };
            format!("a again · k skip{recorded}{builtin} · ! shell · ? keys")
        }
    }
}

/// A prompt or a help text where answers are letters: `b` is one of them then, not the way back.
pub fn lettered(text: &str, place: Place, plain: bool) -> String {
    match (place, plain) {
        (Place::Question(most), true) => {
            let last = plain::choice(most.saturating_sub(1), true);
            let text = text.replace(&format!("1 to {most}"), &format!("a to {last}"));
            let other = |line: &&str| !line.starts_with("  b ");
            text.lines().filter(other).collect::<Vec<_>>().join("\n")
        }
        _ => text.to_owned(),
    }
}

/// The number that a letter stands for at a question, where answers are letters.
pub fn numbered(key: Key, place: Place, plain: bool) -> Key {
    let (Key::Char(typed), Place::Question(most), true) = (key, place, plain) else { return key };
    match plain::chosen(typed, most, true) {
        Some(choice) => plain::choice(choice, false).chars().next().map_or(Key::Other, Key::Char),
        None if typed.is_ascii_digit() => Key::Other,
        None => key,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACES: [Place; 10] = [
        Place::More,
        Place::Step,
        Place::Last,
        Place::Question(3),
        Place::Exercise,
        Place::Solved,
        Place::Slide,
        Place::Typed,
        Place::Failed(Instead { recorded: true, builtin: true }),
        Place::Failed(Instead { recorded: false, builtin: false }),
    ];

    #[test]
    fn a_key_means_one_thing_in_a_place() {
        for place in PLACES {
            for entry in &TABLE {
                let same = TABLE.iter().filter(|e| e.key == entry.key && (e.places)(place)).count();
                assert!(same <= 1, "{:?} in {place:?}", entry.key);
            }
            assert_eq!(meaning(Key::Quit, place), Some(Act::Quit));
            assert_eq!(meaning(Key::Char('?'), place), Some(Act::Keys));
            assert_eq!(meaning(Key::Other, place), None, "an arrow in {place:?}");
        }
        assert_eq!(meaning(Key::Char('h'), Place::Step), None);
        // Whoever is done needs no hint; a key that was meant for one goes nowhere.
        assert_eq!(meaning(Key::Char('h'), Place::Solved), None);
        assert_eq!(meaning(Key::Enter, Place::Solved), Some(Act::Next));
        assert!(known_elsewhere(Key::Char('h')) && !known_elsewhere(Key::Char('z')));
        assert_eq!(meaning(Key::Char('3'), Place::Question(3)), Some(Act::Choose(2)));
        assert_eq!(meaning(Key::Char('4'), Place::Question(3)), None);
    }

    #[test]
    fn letters_stand_for_numbers_where_nothing_is_drawn() {
        let place = Place::Question(2);
        assert_eq!(numbered(Key::Char('b'), place, true), Key::Char('2'));
        assert_eq!(numbered(Key::Char('2'), place, true), Key::Other);
        assert_eq!(numbered(Key::Char('q'), place, true), Key::Char('q'));
        assert_eq!(numbered(Key::Char('b'), Place::Step, true), Key::Char('b'));
        assert!(lettered(&prompt(place), place, true).contains("a to b"));
        assert!(!lettered(&help(place), place, true).contains("back"));
    }

    #[test]
    fn a_prompt_and_its_help_fit_80_columns_and_name_only_keys_that_work() {
        for place in PLACES {
            assert!(prompt(place).chars().count() < 79, "{}", prompt(place));
            assert!(help(place).lines().all(|line| line.chars().count() < 79));
            for word in prompt(place)
                .split(" · ")
                .filter(|part| !part.contains("What do"))
                .skip(usize::from(!matches!(place, Place::Failed(_))))
                .filter_map(|part| part.split(' ').next())
            {
                let key = if word == "Enter" {
                    Key::Enter
                } else {
                    Key::Char(word.chars().next().unwrap_or(' '))
                };
                assert!(meaning(key, place).is_some(), "{word} at {place:?}");
            }
        }
    }
}
