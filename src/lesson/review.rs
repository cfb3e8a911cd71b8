//! What can be wrong with a lesson whose blocks all read well: a command that
//! does not parse, a name that nothing has bound, an id used twice, a step
//! that fits no screen.

use std::collections::HashSet;

use crate::ui::markdown;

use super::Grammar;
use super::check::{CPU, DIRECTORY, ID, IMAGE, PORT, Test};
use super::fault::Fault;
use super::looks;
use super::model::{Article, Block, Claim, Fence, Kind, Leaves, Lesson, Opposite, Picture, Try};
use super::pipes;
use super::words::{Line, shell_names};

/// What a lesson calls this program.
pub const PROGRAM: &str = "under-the-hood";
/// More steps than this do not fit half an hour; further ones are `(more)`.
const MOST_STEPS: usize = 12;
/// The terminal that every block must fit, with room for the prompt.
const COLUMNS: usize = 80;
const ROWS: usize = 22;
/// Of them, what is said of a picture.
const CAPTION: usize = 3;

/// Everything that is wrong with it.
pub fn review(lesson: &Lesson, grammar: &dyn Grammar) -> Vec<Fault> {
    let mut review =
        Review { grammar, faults: Vec::new(), bound: HashSet::new(), image: false, asked: None };
    let steps: Vec<_> = lesson.steps.iter().filter(|step| !step.more).collect();
    match steps.get(MOST_STEPS) {
        Some(step) => review.fault(
            step.line,
            format!("step {} of a lesson", MOST_STEPS + 1),
            &format!("at most {MOST_STEPS}; head the further ones with `(more)`"),
        ),
        None if steps.is_empty() => review.fault(1, "there is no step".into(), "## Title {#id}"),
        None => {}
    }
    review.once("step", lesson.steps.iter().map(|step| (step.line, step.id.as_str())));
    let claims = lesson.claims().map(|(step, claim)| {
        (claim.checks.first().map_or(step.line, |check| check.line), claim.id.as_str())
    });
    review.once("claim", claims);
    for block in lesson.intro.iter().chain(lesson.steps.iter().flat_map(|step| &step.blocks)) {
        review.block(block);
    }
    review.answered();
    review.faults.sort();
    review.faults
}

struct Review<'a> {
    grammar: &'a dyn Grammar,
    faults: Vec<Fault>,
    /// The containers named so far.
    bound: HashSet<String>,
    /// Whether an image was fetched, whose name `$image` is.
    image: bool,
    /// The measure of an open question: it is taken after the next block that performs something.
    asked: Option<Test>,
}

impl Review<'_> {
    fn fault(&mut self, line: usize, what: String, allowed: &str) {
        self.faults.push(Fault::new(line, what).allowed(allowed));
    }

    fn once<'a>(&mut self, kind: &str, ids: impl Iterator<Item = (usize, &'a str)>) {
        let mut seen = HashSet::new();
        for (line, id) in ids.filter(|(_, id)| !id.is_empty()) {
            if !seen.insert(id) {
                self.fault(line, format!("a second {kind} with the id `{id}`"), "each id once");
            }
        }
    }

    fn block(&mut self, block: &Block) {
        if matches!(block.kind, Kind::Predict(_) | Kind::Claim(_) | Kind::Try(_)) {
            self.answered();
        }
        self.one(block);
        if matches!(block.kind, Kind::Run(_) | Kind::Shell(_) | Kind::Article(_)) {
            self.answered();
        }
    }

    fn answered(&mut self) {
        if let Some(measure) = self.asked.take() {
            self.test(&measure);
        }
    }

    fn one(&mut self, block: &Block) {
        match &block.kind {
            Kind::Prose(text) | Kind::Aside(_, text) => self.fits(block.line, text),
            Kind::Run(fence) => self.run(fence),
            Kind::Shell(fence) => {
                for (line, text) in &fence.lines {
                    self.names(*line, shell_names(text));
                    self.only_looks(*line, text);
                }
            }
            Kind::Article(Article { parts, .. }) => {
                for (command, _) in parts {
                    self.names(block.line, shell_names(command));
                }
            }
            Kind::Predict(predict) => {
                self.fits(block.line, &predict.question);
                self.asked = Some(predict.measure.clone());
            }
            Kind::Claim(claim) => self.claim(block.line, claim),
            Kind::Picture(picture) => self.picture(block.line, picture),
            Kind::Try(exercise) => self.exercise(block.line, exercise),
            Kind::Engine(..) | Kind::Notes(_) => {}
        }
    }

    fn only_looks(&mut self, line: usize, text: &str) {
        // The run's own directory may be changed: it is a new one each time.
        if let Some(what) = looks::changes(text).filter(|_| !text.contains("$lesson_dir")) {
            self.fault(
                line,
                format!("a `sh shell` line only looks, and this changes something: `{what}`"),
                "use `sh run` with a command of this program, which is undone, or make it a **Try**",
            );
        }
    }

    fn fits(&mut self, line: usize, text: &str) {
        let rows = markdown::render(text, COLUMNS, false).lines().count();
        if rows > ROWS {
            self.fault(
                line,
                format!("{rows} lines at one go"),
                &format!("{ROWS}, so that it fits 80x24"),
            );
        }
    }

    fn run(&mut self, fence: &Fence) {
        for (line, text) in &fence.lines {
            self.own_command(*line, text);
        }
    }

    /// A command line of ours: the same clap types read it that will perform it.
    fn own_command(&mut self, line: usize, text: &str) {
        let parsed = match Line::parse(text) {
            Ok(parsed) => parsed,
            Err(what) => return self.faults.push(Fault::new(line, what)),
        };
        self.names(line, parsed.names().map(str::to_owned).collect());
        let words = parsed.words(|_| Some("1".to_owned()));
        match words.split_first() {
            Some((program, rest)) if program == PROGRAM => {
                if let Err(error) = self.grammar.parse(rest) {
                    let what = format!("`{text}` does not parse: {}", error.tried);
                    let help = "`under-the-hood --help` and `under-the-hood COMMAND --help` list what there is";
                    let allowed = error.hint.unwrap_or_else(|| help.to_owned());
                    self.bound.extend(named(rest));
                    return self.fault(line, what, &allowed);
                }
                let name = container_named(rest);
                let stays = rest.iter().any(|word| word == "-d" || word == "--detach");
                if stays && name.is_none() && rest.first().is_some_and(|word| word == "run") {
                    let what = format!("`{text}` leaves a container that nothing can find again");
                    self.fault(line, what, "give it a name: --name box");
                }
                self.bound.extend(name);
                self.image |= fetches(rest);
            }
            other => {
                // What it would have been called is not told as a second mistake.
                self.bound.extend(other.and_then(|(_, rest)| named(rest)));
                self.fault(
                line,
                format!("`{}` is not this program", words.first().map_or("", String::as_str)),
                "a `sh run` line starts with `under-the-hood`; the machine's programs stand in `sh shell`",
            );
            }
        }
    }

    fn names(&mut self, line: usize, names: Vec<String>) {
        for name in names {
            let known = [DIRECTORY, ID, PORT, CPU].contains(&&*name)
                || (self.image && name == IMAGE)
                || self.bound.iter().any(|container| {
                    let container = container.replace('-', "_");
                    ["pid", "id", "shim"].iter().any(|of| name == format!("{container}_{of}"))
                });
            if !known {
                self.fault(
                    line,
                    format!("`${name}` is not bound here"),
                    "`--name box` in an earlier step binds $box_pid, $box_id and $box_shim, `image pull` binds $image; $lesson_dir, $lesson_id, $lesson_port and $lesson_cpu are always there",
                );
            }
        }
    }

    fn targets(&mut self, line: usize, targets: Vec<&str>) {
        for target in targets {
            if !["self", "host"].contains(&target) && !self.bound.contains(target) {
                let mut allowed: Vec<&str> = self.bound.iter().map(String::as_str).collect();
                allowed.sort_unstable();
                allowed.extend(["self", "host"]);
                self.faults.push(Fault::unknown(line, "container", target, &allowed));
            }
        }
    }

    /// The picture itself takes most of a screen.
    fn picture(&mut self, line: usize, picture: &Picture) {
        let rows = markdown::render(&picture.caption, COLUMNS, false).lines().count();
        if rows > CAPTION {
            let what = format!("{rows} lines below a picture");
            self.fault(line, what, &format!("{CAPTION}, so that both fit 80x24"));
        }
        self.targets(picture.draw.line, picture.draw.targets());
        self.names(picture.draw.line, shell_names(&picture.draw.text()));
    }

    fn test(&mut self, test: &Test) {
        self.targets(test.line, test.targets());
        if let super::check::Probe::Shell(line) = &test.probe {
            self.names(test.line, shell_names(line));
        }
    }

    fn claim(&mut self, line: usize, claim: &Claim) {
        self.fits(line, &claim.text);
        for check in &claim.checks {
            self.test(check);
            if let super::check::Probe::Shell(line) = &check.probe
                && let Some(filter) = pipes::content_filter(line)
            {
                let what =
                    format!("this check holds always: `{filter}` exits with 0 whatever it reads");
                self.fault(
                    check.line,
                    what,
                    "end it in `| grep .` or the like, which fails where nothing is left",
                );
            }
        }
        if let Opposite::Command(command) = &claim.opposite
            && command.starts_with(PROGRAM)
        {
            self.own_command(line, command);
        }
    }

    fn exercise(&mut self, line: usize, exercise: &Try) {
        for solution in &exercise.solution {
            self.names(line, shell_names(solution));
            if solution.starts_with(&format!("{PROGRAM} ")) {
                self.own_command(line, solution);
            }
        }
        for leaves in &exercise.leaves {
            let (Leaves::Path(text) | Leaves::Process { command: text, .. }) = leaves;
            self.names(line, shell_names(text));
            if let Leaves::Path(path) = leaves
                && let Some(why) = looks::not_to_be_left(path)
            {
                self.fault(
                    line,
                    format!("this **Try** cannot leave `{path}`: {why}"),
                    looks::MAY_LEAVE,
                );
            }
            if let Leaves::Process { name: Some(name), .. } = leaves {
                self.bound.insert(name.clone());
            }
        }
        self.claim(line, &exercise.claim);
    }
}

/// The name that a command line of ours gives a container.
pub fn container_named(words: &[String]) -> Option<String> {
    words.first().filter(|word| *word == "run").and_then(|_| named(words))
}

/// What stands after `--name`.
fn named(words: &[String]) -> Option<String> {
    let at = words.iter().position(|word| word == "--name" || word.starts_with("--name="))?;
    match words[at].strip_prefix("--name=") {
        Some(name) => Some(name.to_owned()),
        None => words.get(at + 1).cloned(),
    }
}

/// Whether a command line of ours only looks: it leaves everything as it was, so that
/// whoever has seen it need not wait for it again.
pub fn only_looks(words: &[String]) -> bool {
    const LOOKS: [(&str, &[&str]); 6] = [
        ("inspect", &[]),
        ("doctor", &[]),
        ("netns", &["list", "addr", "ports"]),
        ("sched", &["ps", "race", "rt"]),
        ("cgroup", &["ls", "tree", "show", "watch"]),
        ("image", &["ls", "history", "dissect", "diff", "share"]),
    ];
    let Some(first) = words.first() else { return false };
    let second = words.get(1).map_or("", String::as_str);
    let known = LOOKS.iter().find(|(name, _)| name == first);
    known.is_some_and(|(_, seconds)| seconds.is_empty() || seconds.contains(&second))
}

/// Whether a command line of ours fetches an image.
pub fn fetches(words: &[String]) -> bool {
    words.first().is_some_and(|word| word == "image")
        && words.get(1).is_some_and(|word| word == "pull")
}
