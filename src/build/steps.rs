//! The instructions that make a layer: RUN, COPY, ADD, WORKDIR.

use crate::build::chmod::Chmod;
use crate::build::dockerfile::ast::{self, Base, Copy, Script};
use crate::build::dockerfile::ignore::Patterns;
use crate::build::executor::{Build, Came, One, placed};
use crate::build::layer::{Writer, Written};
use crate::build::pick::{Input, Picked, Tree};
use crate::build::place::{self, How, Placement};
use crate::build::report::{Outcome, Outside};
use crate::build::run::{self, Command, Ended, PATH, failed};
use crate::build::settings;
use crate::build::state::State;
use crate::build::view::cleaned;
use crate::build::work;
use crate::container::spec::{Network, NetworkKind};
use crate::error::{Context, Error, Exit, Result};
use crate::image::oci::Digest;
use crate::image::stack::{Layer, Marks, Stack};
use crate::step::Step;

/// What a step came to, and whether it was known before.
type Told = (Outcome, Option<Result<(), String>>);

/// What one source of a COPY is.
enum Source {
    Picked(Picked),
    Text(String, String),
}

impl Build<'_> {
    /// `RUN`
    pub fn run_command(
        &mut self,
        state: &mut State,
        one: &One,
        run: &ast::Run,
        out: &mut dyn Outside,
    ) -> Result<Told> {
        let (args, proxies) = self.scope.of_command(state);
        let (argv, script) = match run.script() {
            Script::Exec(words) => (words, None),
            Script::Shell(line) => {
                (settings::words(&ast::Line::Shell(line), &state.config.config), None)
            }
            Script::File { name, text } => (vec![format!("/dev/pipes/{name}")], Some(text)),
        };
        let mut text = "RUN ".to_owned();
        if !args.is_empty() {
            let list: Vec<_> = args.iter().map(|(name, value)| format!("{name}={value}")).collect();
            text.push_str(&format!("|{} {} ", args.len(), list.join(" ")));
        }
        text.push_str(&argv.join(" "));
        let mut expanded = format!("RUN {argv:?}");
        expanded.extend(script.iter().map(|script| format!(" <<{script}")));
        let network = match run.network {
            ast::Network::Default => self.asked.network.clone(),
            ast::Network::None => Network { kind: NetworkKind::None, ..Network::default() },
        };
        if run.network == ast::Network::None {
            expanded.push_str(" --network=none");
        }
        let inputs =
            args.iter().map(|(name, value)| (format!("ARG {name}"), value.clone())).collect();
        let question = self.question(state, one, expanded, inputs);
        let mut env = state.config.config.env.clone();
        env.extend(args.iter().chain(&proxies).map(|(name, value)| format!("{name}={value}")));
        if !env.iter().any(|entry| entry.starts_with("PATH=")) {
            env.insert(0, PATH.to_owned());
        }
        let workdir = format!("/{}", state.config.config.working_dir.trim_start_matches('/'));
        let (user, shown) = (state.config.config.user.clone(), self.asked.shown);
        let command = Command { argv, script, env, workdir, user, network, shown };
        self.layer(state, one, (question, text), |build, state| match build.asked.dry {
            true => build.planned(state, &command).map(Came::Plan),
            false => build
                .execute(state, &command, &one.place, out)
                .map(|made| Came::Layer(Box::new(made))),
        })
    }

    /// What a command would take.
    fn planned(&mut self, state: &State, command: &Command) -> Result<Vec<Step>> {
        let (mut steps, rootfs) = work::describe(state)?;
        steps.extend(run::describe(command, rootfs, &self.asked.machine)?);
        steps.extend(self.store.making(None, "what the command changed"));
        Ok(steps)
    }

    fn execute(
        &mut self,
        state: &State,
        command: &Command,
        place: &str,
        out: &mut dyn Outside,
    ) -> Result<Written> {
        let rootfs = self.work.rootfs(state, &self.store, out)?;
        let lease = self.lease.as_ref().ok_or_else(|| Error::new("a plan runs nothing"))?;
        let with = (lease, self.asked.clock, &self.asked.machine);
        match run::run(command, rootfs, &mut self.work, with, out) {
            Ok(Ended::Well(written)) => Ok(*written),
            Ok(Ended::Badly(status, output)) => Err(failed(place, status, &output)),
            Ok(Ended::Asked) => Err(Error::new(format!("{place}: the build was asked to end"))
                .said("its command was killed, and nothing is left of it")
                .hint("The steps before it stay cached.")
                .exit(Exit::Code(130))),
            Err(error) => {
                // `run` tells these apart by its exit code; a build has failed.
                let exit = match error.exit {
                    Exit::Engine | Exit::NotExecutable | Exit::NotFound => Exit::Failed,
                    other => other,
                };
                let mut error = placed(error.exit(exit), &format!("{place}: RUN"));
                if self.asked.machine.user.is_some() && error.tried.contains("setuid(") {
                    error.hint = Some(
                        "As an ordinary user a build has one user, root, who is you out here: what a layer is \
                         made of must be yours to read. With sudo there are all."
                            .to_owned(),
                    );
                }
                Err(error)
            }
        }
    }

    /// `WORKDIR`: a layer only where there is no such directory yet.
    pub fn workdir(
        &mut self,
        state: &mut State,
        one: &One,
        path: &str,
        out: &mut dyn Outside,
    ) -> Result<Told> {
        let before = state.config.clone();
        let whole = absolute(&state.config.config.working_dir, path);
        let parts = cleaned(&whole);
        let path = format!("/{}", String::from_utf8_lossy(&parts.join(&b'/')));
        state.config.config.working_dir.clone_from(&path);
        let text = format!("WORKDIR {path}");
        let question = self.question(state, one, text.clone(), Vec::new());
        let came = self.layer(state, one, (question, text), |build, state| {
            let mut view = work::view(state, &build.store, out)?;
            let resolved = view.resolve(&parts)?;
            if resolved.is_empty() || view.get(&resolved)?.is_some() {
                return Ok(Came::Nothing);
            }
            if build.asked.dry {
                return Ok(Came::Plan(build.store.making(None, "the directory")));
            }
            let owner = build.owner(state, &state.config.config.user, out)?;
            let how = How {
                dest: path.clone(),
                owner: Some(owner),
                mode: None,
                keep_owner: false,
                now: build.asked.clock.seconds(),
            };
            let mut placement = Placement::new(&mut view, &how);
            placement.directory(&resolved)?;
            let mut writer = Writer::begin(build.lease()?, build.asked.clock.epoch)?;
            placement.write(&mut writer)?;
            writer.finish(out).map(|made| Came::Layer(Box::new(made)))
        })?;
        Ok(match came {
            (Outcome::Config(_), _) => {
                (Outcome::Config(settings::changed(&before, &state.config)), None)
            }
            other => other,
        })
    }

    /// Who a `USER[:GROUP]` is in the image as it is now. Numbers need no look.
    fn owner(&mut self, state: &State, user: &str, out: &mut dyn Outside) -> Result<(u32, u32)> {
        let (name, group) = match user.split_once(':') {
            Some((name, group)) => (name, Some(group)),
            None => (user, None),
        };
        if name.is_empty() && group.is_none_or(str::is_empty) {
            return Ok((0, 0));
        }
        let number = |text: &str| text.parse::<u32>().ok();
        match (number(name), group.map(number)) {
            (Some(uid), None) => return Ok((uid, uid)),
            (Some(uid), Some(Some(gid))) => return Ok((uid, gid)),
            _ => {}
        }
        let rootfs = self.work.rootfs(state, &self.store, out)?;
        let found = run::accounts(&work::stack(&rootfs)?)?.find(Some(user)).map_err(|error| {
            Error { tried: error.tried.replace("--user ", "the owner "), ..error }
                .exit(Exit::Failed)
        })?;
        Ok((found.uid, found.gid))
    }

    /// `COPY`; `ADD`, too, with what it says of archives.
    pub fn copy(
        &mut self,
        stage: usize,
        state: &mut State,
        one: &One,
        (copy, unpack): (&Copy, Option<Option<bool>>),
        out: &mut dyn Outside,
    ) -> Result<Told> {
        let at = |error| placed(error, &one.place);
        let exclude = copy.exclude.iter().map(String::as_str);
        let exclude =
            Patterns::new(exclude).map_err(|why| at(Error::usage("--exclude").said(why)))?;
        let from = copy.from.as_ref().map(|from| self.asked.file.from(stage, from));
        let mode = copy.chmod.as_deref().map(Chmod::parse).transpose().map_err(at)?;
        let other = match &from {
            None => None,
            Some(from) => Some(self.other(from, out).map_err(at)?),
        };
        let (mut inputs, mut sources) = (Vec::new(), Vec::new());
        let context = match &other {
            None => {
                let tree = self.context()?;
                sources = pick(&tree, copy, &exclude).map_err(at)?;
                inputs = listed(&sources, true);
                Some(tree)
            }
            Some((name, state)) => {
                // What is in it follows from what it was made of.
                let made: Vec<_> =
                    state.layers.iter().map(|layer| layer.diff_id.to_string()).collect();
                inputs.push((name.clone(), Digest::of(made.join(" ").as_bytes()).to_string()));
                None
            }
        };
        let dest = absolute(&state.config.config.working_dir, &copy.dest);
        let text = described(one, copy, &dest);
        let question = self.question(state, one, text.clone(), inputs);
        self.layer(state, one, (question, text), |build, state| {
            if build.asked.dry {
                return Ok(Came::Plan(build.store.making(None, "what is copied")));
            }
            let tree = match (context, &other) {
                (Some(tree), _) => tree,
                (None, Some((name, other))) => {
                    let rootfs = build.work.rootfs(other, &build.store, out)?;
                    let (stack, ignore) = (work::stack(&rootfs)?, Patterns::default());
                    let tree = Tree { stack, ignore, context: false, name: name.clone() };
                    sources = pick(&tree, copy, &exclude).map_err(at)?;
                    tree
                }
                (None, None) => build.context()?,
            };
            let owner = copy.chown.as_ref().map(|user| build.owner(state, user, out));
            let how = How {
                dest: dest.clone(),
                owner: owner.transpose().map_err(at)?,
                mode,
                keep_owner: from.is_some(),
                now: build.asked.clock.seconds(),
            };
            build
                .place_all(state, (&tree, &sources), &how, unpack, out)
                .map_err(at)
                .map(|made| Came::Layer(Box::new(made)))
        })
    }

    /// Writes the layer of a COPY or ADD.
    fn place_all(
        &mut self,
        state: &State,
        (tree, sources): (&Tree, &[Source]),
        how: &How,
        unpack: Option<Option<bool>>,
        out: &mut dyn Outside,
    ) -> Result<Written> {
        if sources.len() > 1 && !how.dest.ends_with('/') {
            return Err(Error::new(format!("several files are to go to {}", how.dest))
                .said("with more than one source the destination is a directory")
                .hint("Let it end with a slash."));
        }
        let mut view = work::view(state, &self.store, out)?;
        let mut archives = Vec::new();
        let mut placement = Placement::new(&mut view, how);
        for source in sources {
            match source {
                Source::Text(name, text) => placement.text(name, text)?,
                Source::Picked(picked) => {
                    let wanted = unpack.is_some_and(|unpack| unpack.unwrap_or(true));
                    match wanted && place::archive(tree, picked)? {
                        true => archives.push(picked),
                        false => placement.put(tree, picked)?,
                    }
                }
            }
        }
        let mut writer = Writer::begin(self.lease()?, self.asked.clock.epoch)?;
        placement.write(&mut writer)?;
        for picked in archives {
            place::unpack(place::opened(tree, picked)?, &mut view, how, &mut writer)?;
        }
        writer.finish(out)
    }

    /// The build context.
    fn context(&self) -> Result<Tree> {
        let path = &self.asked.context;
        let layer = Layer::open(path, Marks::None)
            .tried(|| format!("open({path:?}, O_PATH|O_DIRECTORY)"))?;
        let (stack, ignore) = (Stack(vec![layer]), self.asked.ignore.clone());
        Ok(Tree { stack, ignore, context: true, name: "the build context".to_owned() })
    }

    /// The stage or image that `--from` names, and what to call it.
    fn other(&mut self, from: &Base, out: &mut dyn Outside) -> Result<(String, State)> {
        match from {
            Base::Stage(index) => {
                let stage = &self.asked.file.stages[*index];
                let name = stage.name.clone().unwrap_or_else(|| index.to_string());
                Ok((format!("stage {name}"), self.built(*index)?.clone()))
            }
            Base::Image(name) => {
                let image = out.image(name, &self.asked.platform)?;
                Ok((format!("image {name}"), State::image(image, name)))
            }
            Base::Scratch => Err(Error::new("COPY --from=scratch: there is nothing in it")),
        }
    }
}

/// What all sources of a COPY come to.
fn pick(tree: &Tree, copy: &Copy, exclude: &Patterns) -> Result<Vec<Source>> {
    let mut sources = Vec::new();
    for source in &copy.sources {
        sources.extend(tree.pick(source, exclude)?.into_iter().map(Source::Picked));
    }
    let texts = copy.heredocs.iter().map(|doc| Source::Text(doc.name.clone(), doc.content()));
    sources.extend(texts);
    match sources.is_empty() {
        false => Ok(sources),
        true => {
            Err(Error::new(format!("nothing in {} matches {}", tree.name, copy.sources.join(" "))))
        }
    }
}

fn listed(sources: &[Source], context: bool) -> Vec<Input> {
    let inputs = sources.iter().flat_map(|source| match source {
        Source::Picked(picked) => picked.inputs(context),
        Source::Text(name, text) => vec![(format!("<<{name}"), text.clone())],
    });
    inputs.collect()
}

/// A path of the image, absolute, with the slash at its end if it has one.
fn absolute(workdir: &str, path: &str) -> String {
    let whole = match path.starts_with('/') {
        true => path.to_owned(),
        false => format!("/{}/{path}", workdir.trim_matches('/')),
    };
    match path.is_empty() || path == "." || path.ends_with("/.") {
        true => format!("{whole}/"),
        false => whole,
    }
}

/// As docker's history has it.
fn described(one: &One, copy: &Copy, dest: &str) -> String {
    let mut words = vec![one.command.keyword().to_owned()];
    let flags = [("from", &copy.from), ("chown", &copy.chown), ("chmod", &copy.chmod)];
    for (name, value) in flags {
        words.extend(value.iter().map(|value| format!("--{name}={value}")));
    }
    words.extend(copy.exclude.iter().map(|pattern| format!("--exclude={pattern}")));
    words.extend(copy.sources.iter().cloned());
    words.extend(copy.heredocs.iter().map(|doc| format!("<<{}", doc.name)));
    words.push(dest.to_owned());
    words.join(" ")
}
