//! `run`: docker's flags in, a container out.

use crate::cli::Global;
use crate::cli::run::Run;
use crate::commands::container::{before_the_command, process};
use crate::commands::rights::{rights, warn_of_privileged};
use crate::container::launch::{Outcome, launch, watch};
use crate::container::machine::Machine;
use crate::container::plan;
use crate::container::spec::{Files, Rights, Spec, check_hostname, check_name};
use crate::error::Result;
use crate::image::{self, base};
use crate::ui::Screen;

/// What flags say, checked before anything is made.
struct Asked {
    rights: Rights,
    files: Files,
}

/// `run`
pub fn run(args: &Run, global: &Global, screen: &mut Screen) -> Result<u8> {
    args.name.as_deref().map_or(Ok(()), check_name)?;
    args.hostname.as_deref().map_or(Ok(()), check_hostname)?;
    let files = Files::parse(&args.files.volume, &args.files.tmpfs, args.files.read_only)?;
    let machine = Machine::look()?;
    let rights = rights(&args.rights, &machine).map_err(before_the_command)?;
    let asked = Asked { rights, files };
    if args.rights.privileged {
        warn_of_privileged(&machine, screen);
    }
    image::resolve(&args.image).map_err(before_the_command)?;
    if global.dry_run {
        return dry_run(args, asked, &machine, screen);
    }
    let rootfs = base::ensure(screen).map_err(before_the_command)?;
    let watch = watch(&format!("run {} {}", args.image, args.command.join(" ")))
        .map_err(before_the_command)?;
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
            Ok(status.code())
        }
    }
}

/// The plan, after that of the image when there is none yet.
fn dry_run(args: &Run, asked: Asked, machine: &Machine, screen: &mut Screen) -> Result<u8> {
    let (mut steps, rootfs) = match base::find()? {
        Some(rootfs) => (Vec::new(), rootfs),
        None => {
            let plan = base::Plan::of(&base::Host("/".into()), None)?;
            (plan.describe()?, plan.rootfs())
        }
    };
    let plan = plan::Plan::new(&spec(args, asked, "$id".to_owned(), rootfs)?, machine)?;
    steps.extend(plan.steps());
    screen.plan(&steps).map(|()| 0)
}

fn spec(args: &Run, asked: Asked, id: String, rootfs: base::Rootfs) -> Result<Spec> {
    let command =
        if args.command.is_empty() { rootfs.default_command.clone() } else { args.command.clone() };
    let hostname = args.hostname.clone().unwrap_or_else(|| id.clone());
    let mut env = rootfs.env.clone();
    env.extend([format!("HOSTNAME={hostname}"), "HOME=/root".to_owned()]);
    let mut process = process(command, &env, &args.process, args.tty)?;
    process.rights = asked.rights;
    process.interactive = args.interactive;
    process.detached = args.detach;
    Ok(Spec {
        name: args.name.clone().unwrap_or_else(|| id.clone()),
        id,
        hostname,
        image: args.image.clone(),
        rootfs,
        files: asked.files,
        network: args.network,
        process,
    })
}
