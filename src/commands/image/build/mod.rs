//! `image build`: a Dockerfile and a directory in, an image out.

mod output;
mod show;

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::pull;
use crate::build::clock::Clock;
use crate::build::dockerfile::ignore::{self, Patterns};
use crate::build::dockerfile::{self, Dockerfile, print};
use crate::build::executor::{Asked, Build};
use crate::build::state::{Documents, State};
use crate::build::work;
use crate::cli::Global;
use crate::cli::build as flags;
use crate::cli::run::NetworkFlags;
use crate::container::machine::Machine;
use crate::container::spec::environment;
use crate::error::{Context, Error, Exit, Result};
use crate::image::reference::Name;
use crate::image::store::Named;
use crate::kernel::probe::{Facts, Need, Verdict, check};
use crate::step::Observer;
use crate::ui::Screen;

use output::Output;
use show::Shown;

/// A Dockerfile is written by hand.
const MOST: u64 = 1 << 20;

/// `image build`
pub fn run(args: &flags::Build, global: &Global, screen: &mut Screen) -> Result<u8> {
    let (file, path) = dockerfile(args)?;
    for warning in &file.warnings {
        screen.warn(&format!("{}:{}: {}.", file.name, warning.line, warning.text));
    }
    if args.print_steps {
        return print_steps(&file, screen);
    }
    let names = args.tag.iter().map(|name| name_of(name)).collect::<Result<Vec<_>>>()?;
    let output =
        args.output.as_ref().map(|text| Output::parse(text, &names, global)).transpose()?;
    let asked = asked(args, file, path.as_deref(), global)?;
    let mut shown = Shown::new(screen, args.pull, global.dry_run);
    let mut build = Build::new(&asked)?;
    let built = build.run(&mut shown);
    let unused: Vec<_> = build.scope.unused().into_iter().map(str::to_owned).collect();
    let (store, lease, left) = (build.store, build.lease, build.work.end());
    let state = built?;
    for name in unused {
        shown.note(&format!("--build-arg {name} was given, and no ARG asks for it."));
    }
    let Some(lease) = lease else {
        let naming = names.iter().map(|name| store.naming(&name.familiar()));
        let steps = naming.chain(output.iter().flat_map(Output::describe)).collect();
        return shown.plan(steps).map(|()| 0);
    };
    if let Some(error) = work::left(&left) {
        return Err(error);
    }
    let Documents { config, manifest } = state.documents()?;
    for (descriptor, bytes) in [&config, &manifest] {
        lease.put(descriptor, bytes, &mut shown)?;
    }
    for name in &names {
        // What has its name already is left as it is: nothing is written.
        if store.resolve(name)?.is_none_or(|named| named.descriptor.digest != manifest.0.digest) {
            lease.name(name, &manifest.0, None, &mut shown)?;
        }
    }
    if let Some(output) = output {
        let named =
            Named { name: None, text: String::new(), descriptor: manifest.0.clone(), index: None };
        output.write(store.read(&named, &asked.platform)?, &store, &mut shown)?;
    }
    let steps = shown.finish();
    tell(&state, &names, &manifest.0.digest.to_string(), steps, screen)
}

/// What came of it.
fn tell(
    state: &State,
    names: &[Name],
    digest: &str,
    steps: Vec<serde_json::Value>,
    screen: &mut Screen,
) -> Result<u8> {
    if screen.json_wanted() {
        let names: Vec<_> = names.iter().map(ToString::to_string).collect();
        let layers: Vec<_> = state.layers.iter().map(|layer| &layer.descriptor.digest).collect();
        let value = json!({ "digest": digest, "names": names, "layers": layers, "steps": steps });
        return screen.json(&value).map(|()| 0);
    }
    for name in names {
        screen.out(&name.familiar())?;
    }
    if names.is_empty() {
        screen
            .note("Without a name (-t NAME) nobody finds it: it stays until the next `image rm`.");
    }
    screen.out(digest).map(|()| 0)
}

fn print_steps(file: &Dockerfile, screen: &mut Screen) -> Result<u8> {
    let steps = print::steps(file);
    if screen.json_wanted() {
        return screen.json(&json!({ "steps": steps })).map(|()| 0);
    }
    for step in steps {
        screen.out(&crate::ui::shown(&step.text()))?;
    }
    Ok(0)
}

/// The name of an image that is to be.
fn name_of(text: &str) -> Result<Name> {
    let name: Name = text.parse()?;
    match (name.is_local(), name.digest()) {
        (true, _) => Err(Error::usage(format!("--tag {} is reserved", name.familiar())).hint(
            "What is called localhost/under-the-hood/ is made by this program itself; take another name.",
        )),
        (_, Some(_)) => Err(Error::usage(format!("--tag {text}: the digest of an image comes of what is in it"))
            .hint("Give it a name and a tag.")),
        _ => Ok(name),
    }
}

/// The Dockerfile, and the path that it has.
fn dockerfile(args: &flags::Build) -> Result<(Dockerfile, Option<PathBuf>)> {
    let standard_input = args.file.as_deref() == Some(Path::new("-"));
    let path = match (&args.file, &args.context) {
        (Some(file), _) => file.clone(),
        (None, Some(context)) => context.join("Dockerfile"),
        (None, None) => return Err(no_context()),
    };
    let mut text = Vec::new();
    let name =
        if standard_input { "standard input".to_owned() } else { path.display().to_string() };
    let call = || format!("reading {name}");
    if standard_input {
        std::io::stdin().lock().take(MOST + 1).read_to_end(&mut text).tried(call)?;
    } else {
        let file =
            std::fs::File::open(&path).tried(|| format!("open({path:?})")).map_err(|error| {
                match error.errno {
                    Some(libc::ENOENT) => {
                        error.hint("A build reads DIR/Dockerfile, or what -f FILE names.")
                    }
                    _ => error,
                }
            })?;
        file.take(MOST + 1).read_to_end(&mut text).tried(call)?;
    }
    if text.len() as u64 > MOST {
        return Err(Error::new(call()).said(format!("it has more than {MOST} bytes")));
    }
    // What stands before the line numbers of errors: short, as it is known.
    let shown = path.file_name().map(|name| name.to_string_lossy().into_owned());
    let shown = if standard_input { "Dockerfile".to_owned() } else { shown.unwrap_or(name) };
    let file = dockerfile::parse(&shown, &text)?;
    Ok((file, (!standard_input).then_some(path)))
}

fn no_context() -> Error {
    Error::usage("image build: it needs a directory that COPY and ADD take from")
        .hint("As in `image build .`; the Dockerfile is looked for there, too.")
}

fn asked(
    args: &flags::Build,
    file: Dockerfile,
    path: Option<&Path>,
    global: &Global,
) -> Result<Asked> {
    let context = args.context.clone().ok_or_else(no_context)?;
    let context = std::path::absolute(&context).tried(|| format!("finding {context:?}"))?;
    if !context.is_dir() {
        return Err(Error::usage(format!("{} is no directory", context.display()))
            .hint("The build context is a directory on this machine."));
    }
    let machine = Machine::look()?;
    let target = match &args.target {
        None => file.stages.len().saturating_sub(1),
        Some(name) => file.stage(name).ok_or_else(|| no_stage(&file, name))?,
    };
    Ok(Asked {
        ignore: ignored(&context, path)?,
        args: build_args(&args.build_arg)?,
        network: network(args.network.as_deref(), &machine)?,
        platform: pull::platform(args.platform.as_deref())?,
        no_cache: args.no_cache,
        clock: Clock::from_environment()?,
        shown: !global.quiet,
        dry: global.dry_run,
        machine: as_root_alone(machine),
        context,
        target,
        file,
    })
}

/// An ordinary user builds with a single id: then every file is their own out here, and
/// root's in the layer, and can be read and removed again.
fn as_root_alone(mut machine: Machine) -> Machine {
    if let Some(user) = &mut machine.user {
        user.only_root();
        machine.setgroups = false;
    }
    machine
}

fn no_stage(file: &Dockerfile, name: &str) -> Error {
    let names: Vec<_> = file.stages.iter().filter_map(|stage| stage.name.clone()).collect();
    let error = Error::usage(format!("--target {}: there is no such stage", name.escape_debug()));
    match names.is_empty() {
        true => error
            .hint(format!("Stages without names have numbers: 0 to {}.", file.stages.len() - 1)),
        false => error.hint(format!("There are {}.", names.join(", "))),
    }
}

/// What .dockerignore leaves out: the one beside the Dockerfile, else that of the context.
fn ignored(context: &Path, dockerfile: Option<&Path>) -> Result<Patterns> {
    let places = match dockerfile {
        Some(path) => ignore::places(context, path).to_vec(),
        None => vec![context.join(".dockerignore")],
    };
    for place in places {
        match std::fs::read(&place) {
            Ok(text) => return Ok(Patterns::parse(&place.display().to_string(), &text)?),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(Error::io(format!("open({place:?})"), &error)),
        }
    }
    Ok(Patterns::default())
}

fn build_args(given: &[String]) -> Result<BTreeMap<String, String>> {
    let mut args = BTreeMap::new();
    for text in given {
        let (name, value) =
            environment::variable("--build-arg", text).map_err(|error| error.exit(Exit::Usage))?;
        args.extend(value.map(|value| (name, value)));
    }
    Ok(args)
}

/// The network of commands: where nobody says which, a way out if there is one.
fn network(asked: Option<&str>, machine: &Machine) -> Result<crate::container::spec::Network> {
    let flags = |network: &str| NetworkFlags {
        network: Some(network.to_owned()),
        publish: Vec::new(),
        dns: Vec::new(),
    };
    let usual = match (&machine.user, check(&Need::ContainerNetwork, &Facts::new())) {
        (None, _) => "bridge",
        (Some(_), Verdict::Met) => "pasta",
        (Some(_), Verdict::Missing { .. }) => "none",
    };
    let found = crate::commands::run::network(&flags(asked.unwrap_or(usual)), machine);
    match (asked, found) {
        (None, Err(_)) => crate::commands::run::network(&flags("none"), machine),
        (Some(name), _) if name.starts_with("container:") => {
            Err(Error::usage(format!("--network {name}: a build has a network of its own")))
        }
        (_, found) => found.map_err(|error| error.exit(Exit::Usage)),
    }
}
