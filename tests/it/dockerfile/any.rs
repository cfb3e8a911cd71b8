//! Whatever the bytes are: never a panic. Whatever the Dockerfile is: written in
//! any style, it is the same.

use proptest::prelude::*;
use under_the_hood::build::dockerfile::ast::{Command, Dockerfile};
use under_the_hood::build::dockerfile::{expand, ignore::Patterns, parse, print};
use under_the_hood::error::Error;

/// Pieces that a Dockerfile is made of, and what does not belong into one.
fn piece() -> impl Strategy<Value = String> {
    let known: Vec<&'static str> = vec![
        "FROM ",
        "scratch",
        " AS x",
        "\n",
        "\\\n",
        "`\n",
        "RUN ",
        "COPY ",
        "ADD ",
        "ENV ",
        "ARG ",
        "LABEL ",
        "CMD ",
        "ENTRYPOINT ",
        "HEALTHCHECK ",
        "ONBUILD ",
        "SHELL ",
        "EXPOSE ",
        "VOLUME ",
        "USER ",
        "WORKDIR ",
        "STOPSIGNAL ",
        "MAINTAINER ",
        "--from=",
        "--chown=",
        "--interval=",
        "--",
        "=",
        "[",
        "]",
        "\"",
        "'",
        ",",
        "$",
        "${",
        "}",
        ":-",
        ":?",
        "#",
        "%",
        "/",
        "*",
        "?",
        "<<",
        "<<-",
        "EOF",
        "\nEOF\n",
        " ",
        "\t",
        "\r\n",
        "# escape=`\n",
        "\u{feff}",
        "é",
        "漢",
        "\u{1b}",
        "\0",
        "80",
        "-",
        ".",
        "!",
        "**",
        "\\",
        "a",
    ];
    prop_oneof![9 => proptest::sample::select(known).prop_map(str::to_owned), 1 => "\\PC{0,4}"]
}

fn text() -> impl Strategy<Value = String> {
    proptest::collection::vec(piece(), 0..40).prop_map(|pieces| pieces.concat())
}

/// Instructions without here-documents, each on one line.
fn instruction() -> impl Strategy<Value = String> {
    let word = "[a-z][a-z0-9/._]{0,8}";
    let value = "[a-zA-Z0-9$\"{}' ]{0,12}";
    prop_oneof![
        value.prop_map(|rest| format!("RUN x {}", rest.trim())),
        (word, word).prop_map(|(a, b)| format!("COPY --chown=1 {a} /{b}")),
        (word, word).prop_map(|(a, b)| format!("ENV {a}=\"{b} x\" y=$HOME")),
        word.prop_map(|a| format!("WORKDIR /{a}")),
        word.prop_map(|a| format!("CMD [\"{a}\", \"b c\"]")),
        word.prop_map(|a| format!("LABEL l.{a}='x y'")),
        (1_u16..).prop_map(|port| format!("EXPOSE {port} {port}/udp")),
        word.prop_map(|a| format!("HEALTHCHECK --interval=1s CMD {a}")),
        word.prop_map(|a| format!("ONBUILD RUN {a}")),
    ]
}

/// Only what is said, not where.
fn said(file: &Dockerfile) -> Vec<(String, Vec<Command>)> {
    let commands = |it: &under_the_hood::build::dockerfile::ast::Stage| {
        it.instructions.iter().map(|instruction| instruction.command.clone()).collect()
    };
    file.stages.iter().map(|stage| (stage.base.clone(), commands(stage))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse("x", &bytes).map_err(Error::from);
        let _ = Patterns::parse("x", &bytes).map_err(Error::from);
    }

    #[test]
    fn no_text_makes_it_panic(text in text()) {
        for start in ["", "FROM scratch\n", "# escape=`\nFROM scratch\n"] {
            let text = format!("{start}{text}");
            match parse("x", text.as_bytes()) {
                Ok(file) => {
                    let lines = text.split('\n').count();
                    for it in file.stages.iter().flat_map(|stage| &stage.instructions) {
                        prop_assert!(it.source.first <= it.source.last && it.source.last <= lines);
                        let _ = expand::command(&it.command, &|_| Some("a b".to_owned()), file.directives.escape);
                    }
                    let one_line = print::steps(&file).iter().all(|step| !step.text().contains('\n'));
                    prop_assert!(one_line, "a step of several lines");
                }
                Err(error) => {
                    prop_assert!(error.line <= text.split('\n').count());
                    let said = Error::from(error).said.unwrap_or_default();
                    let control = ['\u{1b}', '\r', '\0'];
                    prop_assert!(!said.contains(control), "{said:?}");
                }
            }
        }
        for escape in ['\\', '`'] {
            let _ = expand::word(&text, &|_| Some("x".to_owned()), escape);
            let _ = expand::words(&text, &|_| None, escape);
        }
        if let Ok(patterns) = Patterns::parse("x", text.as_bytes()) {
            let (out, may) = (patterns.excluded("a/b/EOF"), patterns.may_return("a/b"));
            // What is brought back lies in a directory that is read.
            prop_assert!(out || !patterns.excluded("a/b") || may, "{text:?}");
        }
    }

    #[test]
    fn the_style_does_not_matter(
        instructions in proptest::collection::vec(instruction(), 0..8),
        breaks in proptest::collection::vec(0_u8..6, 64),
    ) {
        let plain = format!("FROM scratch\n{}", instructions.join("\n"));
        let file = parse("x", plain.as_bytes()).unwrap();
        // As printed, it is the same again.
        let printed: Vec<_> = print::steps(&file).iter().map(|step| step.text()).collect();
        let again = parse("x", printed.join("\n").as_bytes()).unwrap();
        prop_assert_eq!(said(&file), said(&again));
        let printed_again: Vec<_> = print::steps(&again).iter().map(|step| step.text()).collect();
        prop_assert_eq!(printed, printed_again);
        // With lines continued, comments between, other breaks of lines.
        let mut styled = String::from("\u{feff}# a comment\r\nfrom   scratch\r\n");
        for (index, instruction) in instructions.iter().enumerate() {
            let (keyword, rest) = instruction.split_once(' ').unwrap();
            styled.push_str(match breaks[index] {
                0 => "\n\n",
                1 => "  # RUN no\n\t",
                _ => " ",
            });
            styled.push_str(&keyword.to_lowercase());
            styled.push_str(match breaks[index + 16] {
                0 => " \\\n  ",
                1 => " \\\n# between\n \\ \t\n",
                2 => "\t",
                _ => " ",
            });
            styled.push_str(rest);
            styled.push_str(if breaks[index + 32] == 0 { " \\\r\n\r\n" } else { "\r\n" });
            if breaks[index + 32] == 0 {
                styled.push_str("   \n# the end of it\n  \\\n\n#\n");
                styled.push_str("\n\n");
                // The continued line takes what comes next: an instruction would be part of it.
                styled.push_str("  \n");
                break;
            }
        }
        let other = parse("x", styled.as_bytes()).unwrap();
        let (wanted, found) = (said(&file), said(&other));
        prop_assert_eq!(&wanted[0].1[..found[0].1.len()], &found[0].1[..]);
    }
}
