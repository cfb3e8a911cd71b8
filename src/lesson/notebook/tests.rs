use super::*;
use crate::lesson::check::Finding;
use crate::lesson::record::{Command, Machine, Output};

fn record() -> Record {
    let output = Output { head: "</pre><script>x</script>```".to_owned(), ..Output::default() };
    Record {
        number: Some(1),
        title: "T".to_owned(),
        chapter: "C".to_owned(),
        steps: 3,
        began: 0,
        machine: Machine { facts: vec![("Kernel".to_owned(), "Linux 6.18".to_owned())] },
        entries: vec![
            Entry::Step { place: 1, id: "one".to_owned(), title: "One".to_owned(), more: false },
            Entry::Asked {
                question: "Which?".to_owned(),
                choices: vec!["this".to_owned(), "that".to_owned()],
                choice: Some(1),
            },
            Entry::Command(Command {
                line: "echo".to_owned(),
                exit: Some(0),
                output,
                ..Command::default()
            }),
            Entry::Measured {
                right: Some("this".to_owned()),
                hit: Some(false),
                value: Ok(Finding::new("1", "evidence <i>")),
                typed: "see".to_owned(),
            },
            Entry::Picture {
                caption: "What".to_owned(),
                drawn: Err("it is closed to you".to_owned()),
            },
        ],
        end: End::Stopped(2),
    }
}

#[test]
fn both_forms_say_the_same_and_let_nothing_out() {
    for form in [Form::Html, Form::Markdown] {
        let text = form.render(&record());
        for said in [
            "1970-01-01 00:00 UTC",
            "Stopped at step 2 of 3",
            "Not as predicted",
            "← the prediction",
            "Not drawn",
            "Linux 6.18",
            MARK,
        ] {
            assert!(text.contains(said), "{said} in {text}");
        }
        assert!(form == Form::Markdown || !text.contains("<script"), "{text}");
        assert!(form == Form::Html || text.contains("````text\n"), "a longer fence: {text}");
    }
}

/// Whoever goes back and answers again has not predicted better.
#[test]
fn the_first_answer_to_a_question_counts() {
    let mut record = record();
    let again: Vec<_> = record.entries[1..4].to_vec();
    record.entries.extend(again);
    if let Some(Entry::Measured { hit, .. }) = record.entries.last_mut() {
        *hit = Some(true);
    }
    let text = Form::Markdown.render(&record);
    assert!(text.contains("0 of 1 predictions were right"), "{text}");
}
