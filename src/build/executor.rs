//! A Dockerfile, carried out: stage by stage, those that are needed, and in each
//! instruction by instruction. An instruction is a question to the cache first.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Instant;

use serde_json::Value;

use crate::build::cache::{Made, Note, Past, Question};
use crate::build::clock::Clock;
use crate::build::dockerfile::ast::{Base, Command, Dockerfile, Instruction, Stage};
use crate::build::dockerfile::ignore::Patterns;
use crate::build::dockerfile::{expand, trigger};
use crate::build::layer::Written;
use crate::build::report::{Done, Heading, Outcome, Outside};
use crate::build::scope::{Scope, wrong};
use crate::build::settings;
use crate::build::state::State;
use crate::build::work::Work;
use crate::container::machine::Machine;
use crate::container::spec::Network;
use crate::error::{Error, Result};
use crate::image::oci::Platform;
use crate::image::store::{Lease, Store};
use crate::step::Step;

/// What somebody wants built.
#[derive(Debug)]
pub struct Asked {
    /// The Dockerfile.
    pub file: Dockerfile,
    /// The directory that COPY and ADD take from.
    pub context: PathBuf,
    /// What is left out of it.
    pub ignore: Patterns,
    /// `--build-arg`
    pub args: BTreeMap<String, String>,
    /// `--target`: the index of the stage.
    pub target: usize,
    /// `--no-cache`
    pub no_cache: bool,
    /// For which platform.
    pub platform: Platform,
    /// Which network commands have.
    pub network: Network,
    /// Whether what commands write is shown.
    pub shown: bool,
    /// Whether it is only planned.
    pub dry: bool,
    /// What time it is.
    pub clock: Clock,
    /// This machine, for commands that are run.
    pub machine: Machine,
}

/// A build that goes on.
pub struct Build<'a> {
    /// What is wanted.
    pub asked: &'a Asked,
    /// Where layers come.
    pub store: Store,
    /// What keeps them there; not for a plan.
    pub lease: Option<Lease>,
    /// Directories of it.
    pub work: Work,
    /// Variables.
    pub scope: Scope,
    /// Stages that are done.
    pub stages: BTreeMap<usize, State>,
    number: usize,
    total: usize,
}

/// Whether an instruction's result is known.
pub enum Answer {
    /// It is.
    Known(Box<Note>),
    /// It is not: why.
    Unknown(String),
}

impl<'a> Build<'a> {
    /// Nothing is done yet.
    pub fn new(asked: &'a Asked) -> Result<Self> {
        let (store, lease) = match asked.dry {
            true => (Store::find()?, None),
            false => {
                let store = Store::open()?;
                (store.clone(), Some(store.lease()?))
            }
        };
        let scope = Scope::new(&asked.file, &asked.args, &asked.platform)?;
        let (work, stages) = (Work::default(), BTreeMap::new());
        Ok(Self { asked, store, lease, work, scope, stages, number: 0, total: 0 })
    }

    /// Builds the stage that is wanted; what it came to.
    pub fn run(&mut self, out: &mut dyn Outside) -> Result<State> {
        let needed = self.needed()?;
        let steps =
            needed.iter().map(|index| 1 + self.asked.file.stages[*index].instructions.len());
        self.total = steps.sum();
        for index in needed {
            let state = self.stage(index, out)?;
            self.stages.insert(index, state);
        }
        self.stages
            .remove(&self.asked.target)
            .ok_or_else(|| Error::new("the Dockerfile has no stage"))
    }

    /// The stages that the wanted one is made of, in order.
    fn needed(&self) -> Result<BTreeSet<usize>> {
        let file = &self.asked.file;
        let (mut needed, mut ahead) = (BTreeSet::new(), vec![self.asked.target]);
        while let Some(index) = ahead.pop() {
            let Some(stage) = file.stages.get(index).filter(|_| needed.insert(index)) else {
                continue;
            };
            let place = self.place(stage.source.first);
            let base = file.base(index, &self.scope.of_from(&stage.base, &place)?);
            let copied =
                stage.instructions.iter().filter_map(|instruction| match &instruction.command {
                    Command::Copy(copy) => copy.from.as_ref().map(|from| file.from(index, from)),
                    _ => None,
                });
            for base in copied.chain([base]) {
                if let Base::Stage(other) = base {
                    ahead.push(other);
                }
            }
        }
        Ok(needed)
    }

    /// What an error calls a line.
    pub fn place(&self, line: usize) -> String {
        format!("{}:{line}", self.asked.file.name)
    }

    fn heading(&mut self, index: usize, stage: &Stage, line: usize, text: &str) -> Heading {
        self.number += 1;
        let several = self.asked.file.stages.len() > 1;
        let name = || stage.name.clone().unwrap_or_else(|| index.to_string());
        Heading {
            number: self.number,
            total: self.total.max(self.number),
            stage: several.then(name),
            line,
            text: text.to_owned(),
        }
    }

    fn stage(&mut self, index: usize, out: &mut dyn Outside) -> Result<State> {
        let stage = &self.asked.file.stages[index];
        let heading = self.heading(index, stage, stage.source.first, &stage.source.line);
        out.begins(&heading);
        let began = Instant::now();
        let (mut state, outcome) = self.from(index, stage, out)?;
        out.ended(&heading, &Done { outcome, cached: None, took: began.elapsed() });
        let mut own = Own { stage: index, cmd: false };
        for instruction in self.triggers(&mut state)? {
            self.total += 1;
            self.instruction(&mut own, &mut state, &instruction, out)?;
        }
        for instruction in &stage.instructions {
            self.instruction(&mut own, &mut state, instruction, out)?;
        }
        Ok(state)
    }

    /// What a stage begins with.
    fn from(
        &mut self,
        index: usize,
        stage: &Stage,
        out: &mut dyn Outside,
    ) -> Result<(State, Outcome)> {
        let place = self.place(stage.source.first);
        let base = self.scope.of_from(&stage.base, &place)?;
        let platform = match &stage.platform {
            Some(word) => self.scope.of_from(word, &place)?.parse()?,
            None => self.asked.platform.clone(),
        };
        match self.asked.file.base(index, &base) {
            Base::Scratch => Ok((State::scratch(&platform), Outcome::Base(None))),
            Base::Stage(other) => {
                let mut state = self.built(other)?.clone();
                state.args.clear();
                let layers = state.layers.len();
                Ok((state, Outcome::Stage(layers)))
            }
            Base::Image(name) => {
                let image = out.image(&name, &platform)?;
                let digest = image.descriptor.digest.to_string();
                let state = State::image(image, &stage.source.line);
                let layers = state.layers.len();
                Ok((state, Outcome::Base(Some((name, digest, layers)))))
            }
        }
    }

    /// What keeps layers in the store; a plan has none.
    pub fn lease(&self) -> Result<&Lease> {
        self.lease.as_ref().ok_or_else(|| Error::new("a plan makes no layer"))
    }

    /// A stage that is done.
    pub fn built(&self, index: usize) -> Result<&State> {
        self.stages.get(&index).ok_or_else(|| Error::new(format!("stage {index} is not built yet")))
    }

    /// What the base wants done first when something is built on it.
    fn triggers(&self, state: &mut State) -> Result<Vec<Instruction>> {
        let Some(list) = state.config.config.other.remove("OnBuild") else { return Ok(Vec::new()) };
        let texts = list.as_array().into_iter().flatten().filter_map(Value::as_str);
        texts.map(|text| trigger("ONBUILD", text).map_err(Error::from)).collect()
    }

    fn instruction(
        &mut self,
        own: &mut Own,
        state: &mut State,
        instruction: &Instruction,
        out: &mut dyn Outside,
    ) -> Result<()> {
        let stage = &self.asked.file.stages[own.stage];
        let source = &instruction.source;
        let heading = self.heading(own.stage, stage, source.first, &source.line);
        let place = self.place(source.first);
        out.begins(&heading);
        let began = Instant::now();
        let scope = &self.scope;
        let find = |name: &str| scope.find(state, name);
        let command = expand::command(&instruction.command, &find, scope.escape())
            .map_err(|why| wrong(&place, why))?;
        let one = One { command, line: source.line.clone(), place };
        let (outcome, cached) = match &one.command {
            Command::Arg(args) => {
                let mut said = Vec::new();
                for arg in args {
                    said.push(self.scope.declare(state, arg, &one.place)?);
                }
                let text = format!("ARG {}", said.join(" "));
                self.metadata(state, &one, text, Vec::new())?
            }
            Command::Run(run) => self.run_command(state, &one, run, out)?,
            Command::Copy(copy) => self.copy(own.stage, state, &one, (copy, None), out)?,
            Command::Add(add) => {
                self.copy(own.stage, state, &one, (&add.copy, Some(add.unpack)), out)?
            }
            Command::Workdir(path) => self.workdir(state, &one, path, out)?,
            other => {
                let before = state.config.clone();
                let text = settings::apply(other, &mut state.config, &mut own.cmd)
                    .map_err(|error| placed(error, &one.place))?;
                let changes = settings::changed(&before, &state.config);
                self.metadata(state, &one, text, changes)?
            }
        };
        out.ended(&heading, &Done { outcome, cached, took: began.elapsed() });
        Ok(())
    }

    /// A step that has changed the config only.
    fn metadata(
        &mut self,
        state: &mut State,
        one: &One,
        text: String,
        changes: Vec<String>,
    ) -> Result<(Outcome, Option<Result<(), String>>)> {
        let question = self.question(state, one, text.clone(), Vec::new());
        let created = match self.answer(state, &question)? {
            Answer::Known(note) => self.time(&note),
            Answer::Unknown(_) => {
                let created = self.asked.clock.text();
                if !self.asked.dry {
                    question.remember(&created, None)?;
                }
                created
            }
        };
        state.add(&created, text, None);
        if settings::matters(&one.command) {
            state.past.push(Past { line: one.line.clone(), state: question.state(None) });
        }
        Ok((Outcome::Config(changes), None))
    }

    /// What an instruction's result depends on.
    pub fn question(
        &self,
        state: &State,
        one: &One,
        expanded: String,
        mut inputs: Vec<(String, String)>,
    ) -> Question {
        if let Some(epoch) = self.asked.clock.epoch {
            inputs.push(("SOURCE_DATE_EPOCH".to_owned(), epoch.to_string()));
        }
        Question { past: state.past.clone(), line: one.line.clone(), expanded, inputs }
    }

    /// Whether its result is known.
    pub fn answer(&self, state: &State, question: &Question) -> Result<Answer> {
        if state.planned {
            return Ok(Answer::Unknown("a step before it is to be done first".to_owned()));
        }
        if self.asked.no_cache {
            return Ok(Answer::Unknown("--no-cache".to_owned()));
        }
        Ok(match question.answer(&self.store)? {
            Ok(note) => Answer::Known(Box::new(note)),
            Err(why) => Answer::Unknown(why),
        })
    }

    fn time(&self, note: &Note) -> String {
        match self.asked.clock.epoch {
            Some(_) => self.asked.clock.text(),
            None => note.created.clone(),
        }
    }

    /// A step that makes a layer: taken from the cache, or made.
    pub fn layer(
        &mut self,
        state: &mut State,
        one: &One,
        (question, text): (Question, String),
        make: impl FnOnce(&mut Self, &State) -> Result<Came>,
    ) -> Result<(Outcome, Option<Result<(), String>>)> {
        let (created, made, cached) = match self.answer(state, &question)? {
            Answer::Known(note) => (self.time(&note), note.layer.clone(), Ok(())),
            Answer::Unknown(why) => {
                let made = match make(self, state)? {
                    Came::Layer(written) => {
                        let Written { descriptor, diff_id, files, gone, bytes } = *written;
                        Some(Made { descriptor, diff_id, files, gone, bytes })
                    }
                    Came::Nothing => None,
                    Came::Plan(steps) => {
                        state.planned = true;
                        return Ok((Outcome::Planned(steps), Some(Err(why))));
                    }
                };
                let created = self.asked.clock.text();
                question.remember(&created, made.clone())?;
                (created, made, Err(why))
            }
        };
        state.add(&created, text, made.as_ref());
        let diff_id = made.as_ref().map(|made| &made.diff_id);
        let (line, after) = (one.line.clone(), question.state(diff_id));
        state.past.push(Past { line, state: after });
        let layer = |made| Outcome::Layer(Box::new(made));
        let outcome = made.map_or(Outcome::Config(Vec::new()), layer);
        Ok((outcome, Some(cached)))
    }
}

/// What an instruction that was carried out came to.
pub enum Came {
    /// A layer.
    Layer(Box<Written>),
    /// No layer.
    Nothing,
    /// This is a plan: what would be done.
    Plan(Vec<Step>),
}

/// An instruction, its variables filled in.
pub struct One {
    /// What it says.
    pub command: Command,
    /// As it is written.
    pub line: String,
    /// What an error calls its place.
    pub place: String,
}

/// Where a stage is.
struct Own {
    stage: usize,
    /// Whether it has a `CMD` of its own.
    cmd: bool,
}

/// An error, with the line that it came of.
pub fn placed(mut error: Error, place: &str) -> Error {
    error.tried = format!("{place}: {}", error.tried);
    error
}
