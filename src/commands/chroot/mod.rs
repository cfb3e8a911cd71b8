//! `chroot DIR`, `chroot base`, `chroot alpine`, `chroot IMAGE`, `chroot escape`.

mod escape;

use std::path::{Path, PathBuf};

use crate::cli::Global;
use crate::cli::chroot::Chroot;
use crate::commands::container::before_the_command;
use crate::container::chroot::{self as changing, Way, diagnose};
use crate::error::{Context, Error, Exit, Result};
use crate::image::alpine::{self, Wanted};
use crate::image::base::{self, Host};
use crate::image::fresh::{Plan, Source};
use crate::image::oci::Platform;
use crate::image::reference::Reference;
use crate::image::source;
use crate::image::unpack::Options;
use crate::kernel::op;
use crate::step::{Actor, Observer, Step};
use crate::ui::Screen;

/// `chroot`
pub fn run(args: &Chroot, global: &Global, screen: &mut Screen) -> Result<u8> {
    check(args)?;
    match args.target.as_str() {
        "escape" => escape::run(global, screen),
        "base" => base_tree(args, global, screen),
        "alpine" => alpine_tree(args, global, screen),
        image if !Path::new(image).exists() && names_an_image(image) => {
            let image = source::open(&image.parse()?, &Platform::host()).map_err(|error| {
                Error::new(format!("there is neither a directory nor an image {image} here"))
                    .said(error.tried)
                    .hint(error.hint.unwrap_or_default())
                    .exit(Exit::Engine)
            })?;
            let plan = Plan::new(Source::Image(Box::new(image)), args.keep.as_deref())?;
            if global.dry_run {
                let mut steps = plan.describe();
                steps.extend(entering(args, &plan.tree())?);
                return screen.plan(&steps).map(|()| 0);
            }
            fresh(args, &plan, screen)
        }
        directory => {
            let root = std::fs::canonicalize(directory)
                .tried(|| format!("realpath({directory:?})"))
                .map_err(|error| error.hint(
                    "Give a directory, an image, `base`, `alpine` or `escape`; `under-the-hood chroot --help` says more.",
                ).exit(Exit::Engine))?;
            if global.dry_run {
                let steps = entering(args, &root)?;
                return screen.plan(&steps).map(|()| 0);
            }
            enter(args, &root, screen)
        }
    }
}

/// Flags that mean nothing for the target are refused, not ignored.
fn check(args: &Chroot) -> Result<()> {
    let wrong =
        |flag: &str, target: &str| Err(Error::usage(format!("{flag} goes with `chroot {target}`")));
    let alpine = args.target == "alpine";
    let alpines = [
        ("--version", args.version.is_some()),
        ("--file", args.file.is_some()),
        ("--refresh", args.refresh),
        ("--or-base", args.or_base),
        ("--limit", !args.limit.is_empty()),
        ("--mirror", args.mirror != alpine::MIRROR),
    ];
    if let Some((flag, _)) = alpines.iter().find(|(_, given)| *given && !alpine) {
        return wrong(flag, "alpine");
    }
    let directory = args.target == "escape" || Path::new(&args.target).exists();
    if args.keep.is_some() && !alpine && args.target != "base" && directory {
        return wrong("--keep", "alpine`, `chroot base` or an image: `chroot IMAGE");
    }
    if args.target == "escape" && (args.pivot || !args.command.is_empty()) {
        return Err(Error::usage("`chroot escape` takes no command and no --pivot: it shows both"));
    }
    Ok(())
}

/// What is no path may be the name of an image, or says itself where it is.
fn names_an_image(target: &str) -> bool {
    !matches!(target.parse(), Err(_) | Ok(Reference::Path(_)))
}

fn base_tree(args: &Chroot, global: &Global, screen: &mut Screen) -> Result<u8> {
    if global.dry_run {
        let (mut steps, rootfs) = match base::find()? {
            Some(rootfs) => (Vec::new(), rootfs),
            None => {
                let plan = base::Plan::of(&Host("/".into()), None)?;
                (plan.describe()?, plan.rootfs())
            }
        };
        let plan = Plan::new(Source::Copy(rootfs.tree), args.keep.as_deref())?;
        steps.extend(plan.describe());
        steps.extend(entering(args, &plan.tree())?);
        return screen.plan(&steps).map(|()| 0);
    }
    let rootfs = base::ensure(screen).map_err(before_the_command)?;
    let plan = Plan::new(Source::Copy(rootfs.tree), args.keep.as_deref())?;
    fresh(args, &plan, screen)
}

fn alpine_tree(args: &Chroot, global: &Global, screen: &mut Screen) -> Result<u8> {
    let mut options = Options::default();
    args.limit.iter().try_for_each(|limit| options.limits.set(limit))?;
    let wanted = Wanted {
        version: args.version.clone(),
        mirror: args.mirror.trim_end_matches('/').to_owned(),
        refresh: args.refresh,
    };
    // Before anything is fetched: where it is to be kept must be free.
    let plan = |archive: PathBuf| {
        Plan::new(Source::Archive(archive, options.clone()), args.keep.as_deref())
    };
    if global.dry_run {
        let mut steps = match &args.file {
            Some(_) => Vec::new(),
            None => alpine::describe(&wanted)?,
        };
        let archive = args.file.clone().unwrap_or_else(|| "alpine-minirootfs.tar.gz".into());
        let plan = plan(archive)?;
        steps.extend(plan.describe());
        steps.extend(entering(args, &plan.tree())?);
        return screen.plan(&steps).map(|()| 0);
    }
    plan(PathBuf::new())?;
    let archive = match &args.file {
        Some(file) => {
            screen.note("Your own file: it is unpacked as it is, and compared with no sum.");
            std::path::absolute(file).tried(|| format!("finding {file:?}"))?
        }
        None => match alpine::archive(&wanted, screen) {
            Ok(archive) => archive.path,
            Err(error) if args.or_base => {
                screen.note(&format!(
                    "{error}. So this is `base` instead: programs of this machine."
                ));
                return base_tree(args, global, screen);
            }
            Err(error) => return Err(before_the_command(error)),
        },
    };
    fresh(args, &plan(archive)?, screen)
}

/// Makes the tree, shows it, enters it, and takes it away unless it is kept.
fn fresh(args: &Chroot, plan: &Plan, screen: &mut Screen) -> Result<u8> {
    let command = format!("chroot {} {}", args.target, args.command.join(" "));
    let fresh = plan.make(command.trim_end(), screen).map_err(before_the_command)?;
    if let Some(unpacked) = &fresh.unpacked {
        screen.note(&format!(
            "{} members, {:.1} MiB: {}",
            unpacked.entries,
            unpacked.bytes as f64 / f64::from(1 << 20),
            names(&fresh.tree)
        ));
        if let Some(left_out) = unpacked.left_out.sentence() {
            screen.note(&format!("{left_out} Without root every file belongs to you."));
        }
    }
    let result = enter(args, &fresh.tree, screen);
    if let Some(keep) = &args.keep {
        screen.note(&format!(
            "Kept in {}: `under-the-hood cleanup --list` shows it, `cleanup` removes it.",
            keep.display()
        ));
    }
    for left in fresh.end() {
        screen.warn(&format!("could not be undone: {left}. `under-the-hood cleanup` tries again."));
    }
    result
}

/// What `ls` shows in the new root: the folders of any Linux distribution.
fn names(tree: &Path) -> String {
    let entries = std::fs::read_dir(tree).into_iter().flatten().flatten();
    let mut names: Vec<_> = entries
        .map(|entry| entry.file_name().to_string_lossy().escape_debug().to_string())
        .collect();
    names.sort();
    names.join(" ")
}

fn command(args: &Chroot) -> Vec<String> {
    if args.command.is_empty() { vec!["sh".to_owned()] } else { args.command.clone() }
}

fn ops(args: &Chroot, root: &Path) -> Result<Vec<op::Op>> {
    let way = if args.pivot { Way::Pivot } else { Way::Chroot };
    changing::plan(root, way, &command(args))
}

fn entering(args: &Chroot, root: &Path) -> Result<Vec<Step>> {
    Ok(op::describe(&ops(args, root)?, Actor::Init))
}

/// Starts the command; says what is missing when it cannot start.
fn enter(args: &Chroot, root: &Path, screen: &mut Screen) -> Result<u8> {
    let program = command(args).swap_remove(0);
    let missing = || diagnose::diagnose(root, &program);
    match changing::enter(ops(args, root)?, screen) {
        Ok(status) => {
            let code = status.code();
            if code == Exit::NotFound.code()
                && let Some(missing) = missing()
            {
                screen.note(&missing);
            }
            Ok(code)
        }
        Err(error) => Err(match (error.exit, missing()) {
            (Exit::NotFound | Exit::NotExecutable, Some(missing)) => error.hint(missing),
            _ => before_the_command(error),
        }),
    }
}
