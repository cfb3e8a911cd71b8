//! The language: each file of `corpus/` is read, and what comes of it (or the
//! error) is as in `tests/snapshots/dockerfile/`. Those in `builds.txt` are built,
//! too, by this program and by buildah (interop.rs).

mod any;
pub mod interop;

use std::fmt::Write;
use std::path::{Path, PathBuf};

use under_the_hood::build::dockerfile::{self, Dockerfile, print};
use under_the_hood::error::Error;

use crate::harness::snapshot;

/// The files of the corpus, by name.
fn corpus() -> Vec<(String, PathBuf)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/dockerfile/corpus");
    let name =
        |path: &Path| Some(path.file_name()?.to_str()?.strip_suffix(".dockerfile")?.to_owned());
    let entries = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = entries.filter_map(|path| Some((name(&path)?, path))).collect();
    files.sort();
    files
}

/// All that a Dockerfile says, an instruction a line.
fn told(file: &Dockerfile) -> String {
    let mut text = format!("{:?}\n", file.directives);
    for (arg, printed) in file.args.iter().zip(print::steps(file)) {
        writeln!(text, "{}\n    {:?}", printed.text(), arg.args).unwrap();
    }
    for (index, stage) in file.stages.iter().enumerate() {
        let (first, last) = (stage.source.first, stage.source.last);
        writeln!(text, "--- stage {index}, lines {first}-{last}: {:?}", stage.source.line).unwrap();
        writeln!(text, "    {:?} {:?} {:?}", stage.base, stage.name, stage.platform).unwrap();
        for it in &stage.instructions {
            let (first, last) = (it.source.first, it.source.last);
            writeln!(text, "{first}-{last}: {:?}\n    {:?}", it.source.line, it.command).unwrap();
        }
    }
    for warning in &file.warnings {
        writeln!(text, "warning, line {}: {}", warning.line, warning.text).unwrap();
    }
    text
}

#[test]
fn every_file_of_the_corpus_is_read_or_refused_as_written_down() {
    let files = corpus();
    assert!(files.len() >= 60, "{}", files.len());
    for (name, path) in files {
        let text = match dockerfile::parse("Dockerfile", &std::fs::read(path).unwrap()) {
            Ok(file) => told(&file),
            Err(error) => {
                assert!(
                    error.line > 0 || ["from-none", "from-empty-file"].contains(&name.as_str())
                );
                let error = Error::from(error);
                let line = |start: &str, text: Option<String>| {
                    text.map(|text| format!("{start}{text}\n")).unwrap_or_default()
                };
                let said = line("Caused by:", error.said);
                format!("Error: {}\n{said}{}", error.tried, line("Hint: ", error.hint))
            }
        };
        snapshot(&format!("dockerfile/{name}"), text);
    }
}

/// What is built is read without an error, and every file is either.
#[test]
fn what_is_to_be_built_is_in_the_corpus() {
    let files = corpus();
    for line in interop::builds() {
        let (_, path) = files.iter().find(|(name, _)| *name == line.name).unwrap();
        dockerfile::parse("Dockerfile", &std::fs::read(path).unwrap()).unwrap();
    }
}

#[test]
fn a_step_is_a_line_that_begins_with_its_keyword() {
    let text = "ARG A=1\nFROM alpine AS x\n  RUN echo \\\n # no\n  hi\nCOPY <<EOF /x\nEOF\nonbuild RUN <<E\nE\n";
    let steps = print::steps(&dockerfile::parse("Dockerfile", text.as_bytes()).unwrap());
    let lines: Vec<_> = steps.iter().map(|step| step.text()).collect();
    let wanted =
        ["arg A=1", "from alpine AS x", "run echo   hi", "copy <<EOF /x", "onbuild RUN <<E"];
    assert_eq!(lines, wanted);
    let of: Vec<_> = steps.iter().map(|step| (step.line, step.stage)).collect();
    assert_eq!(of, [(1, None), (2, Some(0)), (3, Some(0)), (6, Some(0)), (8, Some(0))]);
    assert_eq!(
        (steps[3].heredocs.as_slice(), steps[4].heredocs.len()),
        (&["EOF".to_owned()][..], 1)
    );
}

#[test]
fn a_stage_is_found_by_its_name_and_by_its_index() {
    use under_the_hood::build::dockerfile::ast::Base;
    let text = "FROM scratch AS One\nFROM one\nFROM scratch AS 3x\n".replace("3x", "two");
    let file = dockerfile::parse("Dockerfile", text.as_bytes()).unwrap();
    assert_eq!(
        (file.stage("ONE"), file.stage("2"), file.stage("3"), file.stage("x")),
        (Some(0), Some(2), None, None)
    );
    assert_eq!(file.base(1, "one"), Base::Stage(0));
    assert_eq!(file.base(0, "one"), Base::Image("one".to_owned()));
    assert_eq!(file.base(2, "0"), Base::Image("0".to_owned()));
    assert_eq!(file.base(2, "scratch"), Base::Scratch);
    assert_eq!(file.from(2, "1"), Base::Stage(1));
    assert_eq!(file.from(1, "two"), Base::Image("two".to_owned()));
}

#[test]
fn here_documents_become_scripts_as_docker_has_them() {
    use under_the_hood::build::dockerfile::ast::{Command, Script};
    let script = |run: &str| {
        let text = format!("FROM scratch\n{run}");
        let file = dockerfile::parse("Dockerfile", text.as_bytes()).unwrap();
        match &file.stages[0].instructions[0].command {
            Command::Run(run) => run.script(),
            other => panic!("{other:?}"),
        }
    };
    let shell = |text: &str| Script::Shell(text.to_owned());
    assert_eq!(script("RUN a && b"), shell("a && b"));
    assert_eq!(script("RUN <<EOF\na\n\tb\nEOF"), shell("a\n\tb\n"));
    assert_eq!(script("RUN <<-EOF\n\ta\n\t\tb\n\tEOF"), shell("a\nb\n"));
    assert_eq!(script("RUN cat <<-A <<B\n\ta\nA\nb\nB"), shell("cat <<-A <<B\n\ta\nA\nb\nB"));
    let file = Script::File { name: "py".to_owned(), text: "#!/bin/python\nx\n".to_owned() };
    assert_eq!(script("RUN <<py\n#!/bin/python\nx\npy"), file);
    assert_eq!(
        script(r#"RUN ["a", "<<EOF"]"#),
        Script::Exec(vec!["a".to_owned(), "<<EOF".to_owned()])
    );
}

#[test]
fn a_trigger_is_one_instruction() {
    let of = |text: &str| dockerfile::trigger("app:1", text).map(|it| it.command.keyword());
    assert_eq!(of("COPY . /app"), Ok("COPY"));
    assert_eq!(of("RUN <<EOF\nx\nEOF"), Ok("RUN"));
    let text = "FROM scratch\nONBUILD RUN <<E\nx\nE\n";
    let file = dockerfile::parse("Dockerfile", text.as_bytes()).unwrap();
    match &file.stages[0].instructions[0].command {
        dockerfile::ast::Command::Onbuild(on) => assert_eq!(of(&on.trigger), Ok("RUN")),
        other => panic!("{other:?}"),
    }
    for wrong in ["", "FROM x", "RUN a\nRUN b", "NO"] {
        assert!(of(wrong).is_err(), "{wrong}");
    }
}
