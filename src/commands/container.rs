//! `exec`, `stop`, and what they share with `run`.

use crate::cli::Global;
use crate::cli::container::{Exec, ProcessFlags, Stop};
use crate::commands::rights::available;
use crate::container::machine::Machine;
use crate::container::spec::{Process, usage};
use crate::container::{exec as entering, registry, stop as stopping};
use crate::error::{Error, Exit, Result};
use crate::kernel::enter;
use crate::ui::Screen;

/// What the flags that `run` and `exec` share say of the process.
pub fn process(
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
pub fn before_the_command(error: Error) -> Error {
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
