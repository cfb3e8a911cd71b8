//! `exec`, `stop`, and what they share with `run`.

use std::path::Path;

use crate::cli::Global;
use crate::cli::container::{Exec, ProcessFlags, Stop};
use crate::commands::limits::{ask_systemd, must_ask};
use crate::commands::rights::available;
use crate::container::engines::Engine;
use crate::container::machine::Machine;
use crate::container::passwd::{Accounts, User};
use crate::container::registry::Container;
use crate::container::spec::{Process, environment, usage};
use crate::container::{exec as entering, foreign, limited, registry, stop as stopping, target};
use crate::error::{Error, Exit, Result};
use crate::kernel::enter;
use crate::kernel::in_root::Root;
use crate::ui::Screen;

/// What the flags that `run` and `exec` share say of the process.
pub fn process(
    command: Vec<String>,
    env: &[String],
    flags: &ProcessFlags,
    terminal: bool,
    user: User,
) -> Result<Process> {
    let mut process = Process::new(command, env);
    if terminal {
        process.with_terminal();
    }
    for path in &flags.env_file {
        environment::file(path)?.iter().for_each(|variable| process.set_env(variable));
    }
    for given in &flags.env {
        process.set_env(&environment::variable("--env", given)?);
    }
    flags.workdir.iter().try_for_each(|given| process.set_workdir(given))?;
    process.set_user(user);
    Ok(process)
}

/// The process of `exec`: what is not said is as it is for the first one.
fn entering_process(args: &Exec, container: &Container) -> Result<Process> {
    let (flags, mut env) = (&args.process, container.env.clone());
    let user = match &flags.user {
        None => container.user.clone(),
        Some(given) => {
            env.retain(|variable| !variable.starts_with("HOME="));
            let accounts = Accounts::read(&Root::of_process(container.pid)?)?;
            accounts.find(Some(given))?
        }
    };
    let mut process = process(args.line.command.clone(), &env, flags, args.tty, user)?;
    process.limits.clone_from(&container.limits);
    process.oom_score = container.oom_score;
    if flags.workdir.is_none() {
        process.workdir.clone_from(&container.workdir);
    }
    Ok(process)
}

/// Whatever fails before the command runs is 125, as docker's; that this
/// machine cannot do it at all stays 4.
pub fn before_the_command(error: Error) -> Error {
    match error.exit {
        Exit::Failed | Exit::Usage => error.exit(Exit::Engine),
        _ => error,
    }
}

/// Ours by its name, else any that a TARGET can mean.
fn find(text: &str, screen: &mut Screen) -> Result<Container> {
    let ours = match registry::find(text) {
        Err(error) if error.exit != Exit::Usage => error,
        found => return found,
    };
    let proc = Path::new("/proc");
    let target = target::resolve(proc, text);
    let found = target.as_ref().ok().and_then(|target| target.container.as_ref());
    let named = found.filter(|found| found.engine == Engine::UnderTheHood);
    if let Some(id) = named.and_then(|found| found.id.as_ref()) {
        return registry::find(id);
    }
    // One of ours that has ended is meant before somebody else's of the same name, and the
    // registry knows more of it.
    if (target.is_err() || named.is_some()) && crate::container::kept::find(text).is_ok() {
        return Err(ours);
    }
    let target = target?;
    let (container, note) = foreign::container(proc, &target)?;
    note.into_iter().for_each(|note| screen.note(note));
    Ok(container)
}

/// `exec`
pub fn exec(args: &Exec, global: &Global, screen: &mut Screen) -> Result<u8> {
    let container = find(&args.target, screen).map_err(before_the_command)?;
    if must_ask() && !limited::join(&container)?.is_empty() {
        return ask_systemd(None, global, screen);
    }
    let machine = Machine::look()?;
    let mut process = entering_process(args, &container).map_err(before_the_command)?;
    process.rights = container.rights.clone();
    if args.privileged {
        process.rights.privileged_process(&available(machine.user.is_some()));
    }
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
