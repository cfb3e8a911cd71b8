//! `run`, `exec`, `stop`: docker's flags in, a container out.

use crate::cli::Global;
use crate::cli::container::{Exec, ProcessFlags, Run, Stop};
use crate::container::launch::{Outcome, launch, watch};
use crate::container::machine::Machine;
use crate::container::spec::{Process, Spec, check_hostname, check_name, usage};
use crate::container::{exec as entering, plan, registry, stop as stopping};
use crate::error::{Error, Exit, Result};
use crate::image::{self, base};
use crate::kernel::enter;
use crate::ui::Screen;

/// `run`
pub fn run(args: &Run, global: &Global, screen: &mut Screen) -> Result<u8> {
    args.name.as_deref().map_or(Ok(()), check_name)?;
    args.hostname.as_deref().map_or(Ok(()), check_hostname)?;
    let machine = Machine::look()?;
    image::resolve(&args.image).map_err(before_the_command)?;
    if global.dry_run {
        return dry_run(args, &machine, screen);
    }
    let rootfs = base::ensure(screen).map_err(before_the_command)?;
    let watch = watch(&format!("run {} {}", args.image, args.command.join(" ")))
        .map_err(before_the_command)?;
    let spec = spec(args, watch.token().to_owned(), rootfs)?;
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
            Ok(status.code())
        }
    }
}

/// The plan, after that of the image when there is none yet.
fn dry_run(args: &Run, machine: &Machine, screen: &mut Screen) -> Result<u8> {
    let (mut steps, rootfs) = match base::find()? {
        Some(rootfs) => (Vec::new(), rootfs),
        None => {
            let plan = base::Plan::of(&base::Host("/".into()), None)?;
            (plan.describe()?, plan.rootfs())
        }
    };
    let plan = plan::Plan::new(&spec(args, "$id".to_owned(), rootfs)?, machine)?;
    steps.extend(plan.steps());
    screen.plan(&steps).map(|()| 0)
}

fn spec(args: &Run, id: String, rootfs: base::Rootfs) -> Result<Spec> {
    let command =
        if args.command.is_empty() { rootfs.default_command.clone() } else { args.command.clone() };
    let hostname = args.hostname.clone().unwrap_or_else(|| id.clone());
    let mut env = rootfs.env.clone();
    env.extend([format!("HOSTNAME={hostname}"), "HOME=/root".to_owned()]);
    let mut process = process(command, &env, &args.process, args.tty)?;
    process.interactive = args.interactive;
    process.detached = args.detach;
    Ok(Spec {
        name: args.name.clone().unwrap_or_else(|| id.clone()),
        id,
        hostname,
        image: args.image.clone(),
        rootfs,
        network: args.network,
        process,
    })
}

fn process(
    command: Vec<String>,
    env: &[String],
    flags: &ProcessFlags,
    terminal: bool,
) -> Result<Process> {
    let mut process = Process::new(command, env);
    if terminal {
        process.with_terminal();
    }
    flags.env.iter().try_for_each(|given| process.set_env(given))?;
    flags.workdir.iter().try_for_each(|given| process.set_workdir(given))?;
    flags.user.iter().try_for_each(|given| process.set_user(given))?;
    Ok(process)
}

/// Whatever fails before the command runs is 125, as docker's; that this
/// machine cannot do it at all stays 4.
fn before_the_command(error: Error) -> Error {
    match error.exit {
        Exit::Failed | Exit::Usage => error.exit(Exit::Engine),
        _ => error,
    }
}

/// `exec`
pub fn exec(args: &Exec, global: &Global, screen: &mut Screen) -> Result<u8> {
    let container = registry::find(&args.target).map_err(before_the_command)?;
    let machine = Machine::look()?;
    let mut process = process(args.command.clone(), &container.env, &args.process, args.tty)?;
    process.interactive = args.interactive;
    process.detached = args.detach;
    if process.detached && process.terminal {
        return Err(usage(
            "exec -d -t: a process in the background has nobody at its terminal".to_owned(),
        ));
    }
    let plan = entering::Plan::new(&container, &process, &machine).map_err(before_the_command)?;
    if global.dry_run {
        return screen.plan(&plan.steps()).map(|()| 0);
    }
    let ended = entering::exec(&container, &process, plan, screen).map_err(before_the_command)?;
    Ok(ended.map_or(0, crate::kernel::watcher::Status::code))
}

/// `stop`
pub fn stop(args: &Stop, global: &Global, screen: &mut Screen) -> Result<u8> {
    let container = registry::find(&args.target)?;
    if global.dry_run {
        let steps = stopping::plan(&container, args.time).map(|op| op.step());
        return screen.plan(&steps).map(|()| 0);
    }
    stopping::stop(&container, args.time, screen)?;
    screen.out(&container.name)?;
    Ok(0)
}

/// `__init`
pub fn init() -> u8 {
    enter::init()
}
