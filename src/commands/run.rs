//! `run`: docker's flags in, a container out.

use std::path::Path;

use crate::cli::Global;
use crate::cli::run::{NetworkFlags, PullWhen, Run};
use crate::commands::container::{before_the_command, process};
use crate::commands::image::{either, pull};
use crate::commands::limits::{ask_systemd, must_ask, of_run};
use crate::commands::rights::{rights, warn_of_power, with_user_namespace};
use crate::container::kept;
use crate::container::launch::{Outcome, launch, stand_by, watch};
use crate::container::machine::Machine;
use crate::container::network::bridge;
use crate::container::passwd::{Accounts, User};
use crate::container::plan;
use crate::container::scope;
use crate::container::spec::{
    Files, Helper, Network, NetworkKind, Rights, Spec, check_hostname, check_name, clean, limits,
    oom_score, stop_signal, usage,
};
use crate::error::{Error, Result};
use crate::image::oci::Execution;
use crate::image::rootfs::{self, Rootfs};
use crate::kernel::cgroup::limit::Limits;
use crate::kernel::in_root::Root;
use crate::kernel::limits::Limit;
use crate::kernel::probe::{Facts, Need, Verdict, check};
use crate::ui::Screen;

/// Where programs are looked for when an image does not say: as docker has it.
const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What flags say, checked before anything is made.
struct Asked {
    group: Limits,
    rights: Rights,
    files: Files,
    limits: Vec<Limit>,
    oom_score: Option<i32>,
    network: Network,
}

/// `run`
pub fn run(args: &Run, global: &Global, screen: &mut Screen) -> Result<u8> {
    args.name.as_deref().map_or(Ok(()), check_name)?;
    args.hostname.as_deref().map_or(Ok(()), check_hostname)?;
    let files = Files::parse(&args.files.volume, &args.files.tmpfs, args.files.read_only)?;
    let limits = limits(&args.limits.ulimit)?;
    let group = of_run(&args.limits).map_err(before_the_command)?;
    if !group.is_empty() && must_ask() {
        return ask_systemd(group.cpu_weight(), global, screen);
    }
    let oom_score = args.limits.oom_score_adj.as_deref().map(oom_score).transpose()?;
    let machine = with_user_namespace(Machine::look()?, args.rights.userns, screen)
        .map_err(before_the_command)?;
    if args.keep {
        keeping_is_possible(&machine)?;
    }
    let standby = match global.dry_run {
        true => None,
        false => Some(stand_by(&machine, screen).map_err(before_the_command)?),
    };
    let rights = rights(&args.rights, &machine).map_err(before_the_command)?;
    let network = network(&args.network, &machine)?;
    warn_of_power(&args.rights, &rights, &machine, screen);
    let asked = Asked { group, rights, files, limits, oom_score, network };
    if asked.network.kind == NetworkKind::Bridge
        && let Some(barrier) = bridge::barrier(bridge::BRIDGE)
    {
        screen.warn(&barrier);
    }
    let args = &with_its_image(args, global, screen).map_err(before_the_command)?;
    let image = rootfs::Plan::of(&args.image).map_err(before_the_command)?;
    let Some(standby) = standby else {
        return dry_run(args, asked, &image, &machine, screen);
    };
    let rootfs = image.make(screen).map_err(before_the_command)?;
    let watch = watch(standby, &typed(args), args.keep).map_err(before_the_command)?;
    let spec = spec(args, asked, watch.token().to_owned(), rootfs)?;
    match launch(&spec, &machine, watch, screen).map_err(before_the_command)? {
        Outcome::Running(container) => {
            // A container whose id nobody has read must not be left running.
            if let Err(error) = screen.out(&spec.id) {
                container.end();
                return Err(error);
            }
            container.detach().map(|()| 0)
        }
        Outcome::Ended(status, left) => {
            for error in left {
                screen.warn(&format!(
                    "could not be undone: {error}. `under-the-hood cleanup` tries again."
                ));
            }
            if spec.keep.is_some() {
                screen.note(&format!("Kept: {}", whereabouts(&spec)));
            }
            Ok(status.code())
        }
    }
}

/// The same with an image that is here; a plan fetches nothing.
fn with_its_image(args: &Run, global: &Global, screen: &mut Screen) -> Result<Run> {
    let when = if global.dry_run { PullWhen::Never } else { args.pull };
    let image = match args.or_base {
        true => either::or_base(&args.image, when, screen)?,
        false => {
            pull::ensure(&args.image, when, screen)?;
            args.image.clone()
        }
    };
    Ok(Run { image, ..args.clone() })
}

/// What a container changes can be told apart from its image only where it is a
/// layer; and that must belong to somebody in there.
fn keeping_is_possible(machine: &Machine) -> Result<()> {
    let cannot = |said: &str, hint: &str| Err(Error::cannot("run --keep").said(said).hint(hint));
    if !machine.tried.liked.overlay {
        return cannot(
            "what the container changes would be a layer of overlayfs, which cannot be mounted here",
            "`under-the-hood doctor` says why. Without --keep the container gets a copy of its image.",
        );
    }
    match machine.user.is_some() && rustix::process::geteuid().is_root() {
        true => cannot(
            "the container's root is nobody out here, and what is kept would belong to root",
            "Take either --keep or --userns.",
        ),
        false => Ok(()),
    }
}

/// What was typed, for the journal.
fn typed(args: &Run) -> String {
    let mut words = vec!["run".to_owned()];
    if args.keep {
        words.push("--keep".to_owned());
        words.extend(args.name.iter().map(|name| format!("--name {name}")));
    }
    words.push(args.image.clone());
    words.extend(args.command.iter().cloned());
    words.join(" ")
}

fn whereabouts(spec: &Spec) -> String {
    let own = spec.keep.as_deref().unwrap_or(Path::new("")).display();
    format!("what it changed is in {own}/upper; `under-the-hood rm {}` removes it.", spec.name)
}

/// What the network flags say.
pub fn network(flags: &NetworkFlags, machine: &Machine) -> Result<Network> {
    let mut network = Network::parse(flags.network.as_deref(), &flags.publish, &flags.dns)?;
    let root = rustix::process::geteuid().is_root();
    let joins = matches!(network.kind, NetworkKind::Container(_));
    if joins && root && machine.user.is_some() {
        return Err(usage("--userns and --network container:NAME".to_owned()).said(
            "that network belongs to another user namespace, in which the new container has no say",
        ));
    }
    if flags.network.is_none() && network.kind == NetworkKind::Bridge && !root {
        // Without a word on the network, ports are published by whoever can.
        network.kind = NetworkKind::User(Helper::Pasta);
    }
    if let NetworkKind::User(helper) = network.kind {
        helper_is_there(helper, machine)?;
    }
    if (joins || network.kind == NetworkKind::Bridge) && !root {
        return Err(Error::cannot("this network needs root")
            .said("a cable ends in the host's network namespace, and an ordinary user may change nothing there")
            .hint("Use sudo; or --network pasta (package passt), whose way out needs no right; or --network none."));
    }
    Ok(network)
}

/// What carries an ordinary user's packets is a program of this machine.
fn helper_is_there(helper: Helper, machine: &Machine) -> Result<()> {
    let name = helper.name();
    if machine.user.is_none() {
        return Err(usage(format!("--network {name} is for ordinary users"))
            .hint("Root can lay a cable: --network bridge."));
    }
    match check(&Need::Tool(name.to_owned()), &Facts::new()) {
        Verdict::Met => Ok(()),
        Verdict::Missing { reason, fix } => {
            Err(Error::cannot(format!("--network {name}")).said(reason).hint(match fix {
                Some(fix) => format!("`{fix}`. Or use sudo and --network bridge."),
                None => "Or use sudo and --network bridge.".to_owned(),
            }))
        }
    }
}

/// The plan, after that of the image when there is none yet.
fn dry_run(
    args: &Run,
    asked: Asked,
    image: &rootfs::Plan,
    machine: &Machine,
    screen: &mut Screen,
) -> Result<u8> {
    let mut steps = image.describe()?;
    let spec = spec(args, asked, "$id".to_owned(), image.rootfs())?;
    steps.extend(plan::Plan::new(&spec, machine)?.steps());
    screen.plan(&steps).map(|()| 0)
}

/// What is run, as docker puts it together: the image's entrypoint before what was
/// typed or, if nothing was, before its command. With `--entrypoint` neither of
/// the image's counts.
fn command(args: &Run, execution: &Execution) -> Result<Vec<String>> {
    let typed = || args.command.iter().cloned();
    let command: Vec<_> = match args.entrypoint.as_deref() {
        Some("") => typed().collect(),
        Some(program) => std::iter::once(program.to_owned()).chain(typed()).collect(),
        None => {
            let cmd = execution.cmd.iter().flatten().cloned();
            let entrypoint = execution.entrypoint.iter().flatten().cloned();
            match args.command.is_empty() {
                true => entrypoint.chain(cmd).collect(),
                false => entrypoint.chain(typed()).collect(),
            }
        }
    };
    match command.is_empty() {
        false => Ok(command),
        true => Err(usage("run: there is no command to start".to_owned()).hint(
            "Neither the image nor the command line names one, as in run --entrypoint '' base sh.",
        )),
    }
}

/// The users of the image; before it is made, none are known.
fn accounts(rootfs: &Rootfs) -> Result<Accounts> {
    match rootfs.tree.is_dir() {
        true => Accounts::read(&Root::open(&rootfs.tree.to_string_lossy())?),
        false => Ok(Accounts::unmade()),
    }
}

/// `--user`, else whom the image names. Whom it names by name is not known before
/// it is unpacked: a plan shows root.
fn user(args: &Run, rootfs: &Rootfs) -> Result<User> {
    let images = Some(rootfs.execution.user.as_str()).filter(|user| !user.is_empty());
    let images = images.filter(|_| rootfs.tree.is_dir());
    accounts(rootfs)?.find(args.process.user.as_deref().or(images))
}

fn spec(args: &Run, asked: Asked, id: String, rootfs: Rootfs) -> Result<Spec> {
    let execution = &rootfs.execution;
    let command = command(args, execution)?;
    let hostname = args.hostname.clone().unwrap_or_else(|| id.clone());
    let mut env = execution.env.clone();
    if !env.iter().any(|variable| variable.starts_with("PATH=")) {
        env.insert(0, PATH.to_owned());
    }
    env.push(format!("HOSTNAME={hostname}"));
    let mut process = process(command, &env, &args.process, args.tty, user(args, &rootfs)?)?;
    if args.process.workdir.is_none() && !execution.working_dir.is_empty() {
        // Docker takes a relative one from the root, too.
        process.set_workdir(&format!("/{}", execution.working_dir))?;
    }
    let stop_signal = execution.stop_signal.as_deref().map(stop_signal).transpose()?;
    process.rights = asked.rights;
    process.interactive = args.interactive;
    process.detached = args.detach;
    process.limits = asked.limits;
    process.oom_score = asked.oom_score;
    process.init = args.init;
    let keep = args.keep.then(|| kept::path(&id)).transpose()?;
    let volumes = execution.volumes.keys();
    let mut files = asked.files;
    files.directories = volumes.map(|path| clean(path).to_string_lossy().into_owned()).collect();
    Ok(Spec {
        group: asked.group,
        keep,
        layer: None,
        stop_signal,
        name: args.name.clone().unwrap_or_else(|| id.clone()),
        scope: scope::own(),
        id,
        hostname,
        image: args.image.clone(),
        rootfs,
        files,
        network: asked.network,
        process,
    })
}
