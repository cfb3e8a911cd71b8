//! `RUN`: a command in a container of our own, like any that `run` starts, except
//! that its upper layer is on the disk and becomes a layer of the image.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::build::clock::Clock;
use crate::build::layer::{self, Written, upper};
use crate::build::work::{self, Work};
use crate::container::launch;
use crate::container::machine::Machine;
use crate::container::passwd::{self, Accounts};
use crate::container::plan::Plan;
use crate::container::registry;
use crate::container::spec::{Extra, Files, Network, Process, Spec, What};
use crate::error::{Context, Error, Exit, Result};
use crate::home::{self, Place};
use crate::image::rootfs::Rootfs;
use crate::image::stack::{Here, Stack};
use crate::image::store::Lease;
use crate::kernel::cgroup::limit::Limits;
use crate::kernel::in_root::Kind;
use crate::kernel::op::{self, Slots, World, perform_all};
use crate::kernel::watcher::Status;
use crate::step::{Actor, Observer, Step};

/// What is called by this name in there.
const HOSTNAME: &str = "build";

/// Where programs are looked for when an image does not say: as docker has it.
pub const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Paths that are made only to mount something there, where the image has none.
const STUBS: [&str; 6] = ["dev", "etc", "etc/hosts", "etc/resolv.conf", "proc", "sys"];

/// A command that is to be run.
#[derive(Debug, Clone)]
pub struct Command {
    /// The program and its arguments.
    pub argv: Vec<String>,
    /// A script of a here-document, and the path that `argv` calls it by.
    pub script: Option<String>,
    /// Its variables, `NAME=value`.
    pub env: Vec<String>,
    /// Where it starts.
    pub workdir: String,
    /// Who it is, as `USER` says it.
    pub user: String,
    /// Its network.
    pub network: Network,
    /// Whether what it writes is shown as it comes, or kept for the case that it fails.
    pub shown: bool,
}

/// How a command ended.
pub enum Ended {
    /// Well; this is the layer.
    Well(Box<Written>),
    /// Not; and what it had written, where that was not shown.
    Badly(Status, String),
    /// It was killed, because somebody asked us to end.
    Asked,
}

/// Runs a command on this root file system; what it changed becomes a layer.
pub fn run(
    command: &Command,
    rootfs: Rootfs,
    work: &mut Work,
    (lease, clock, machine): (&Lease, Clock, &Machine),
    observer: &mut dyn Observer,
) -> Result<Ended> {
    if !machine.tried.liked.overlay {
        return Err(Error::cannot("RUN")
            .said("what a command changes is a layer of overlayfs, which cannot be mounted here")
            .hint(
                "`under-the-hood doctor` says why. A Dockerfile without RUN needs no mount at all.",
            ));
    }
    registry::directory()?;
    home::open(Place::Data, work::DIRECTORY)?;
    let below = work::stack(&rootfs)?;
    let title = format!("image build: RUN {}", command.argv.join(" "));
    let mut watch = launch::stand_by(machine, observer)?.begin(Place::Data, &title)?;
    let result = (|| {
        let (own, ops) = work::changes(watch.token())?;
        let mut slots = Slots::default();
        let mut world = World::new(&mut slots);
        world.watch = Some(&mut watch);
        perform_all(&ops, Actor::Launcher, &mut world, observer)?;
        drop(world);
        let upper = own.join("upper");
        work::like_below(&upper, &rootfs)?;
        let mut spec = spec(command, rootfs, watch.token(), &below)?.with_layer(&own);
        if let Some(text) = &command.script {
            spec.files.mounts.push(script(text, &command.argv, &own)?);
        }
        let output = if command.shown { None } else { Some(memory()?) };
        let streams = streams(output.as_ref())?;
        let Some(status) = launch::step(&spec, machine, &mut watch, streams, observer)? else {
            return Ok(Ended::Asked);
        };
        if status != Status::Code(0) {
            return Ok(Ended::Badly(status, output.map(text).transpose()?.unwrap_or_default()));
        }
        let mut writer = layer::Writer::begin(lease, clock.epoch)?;
        upper::write(&upper, work::marks(), &below, &STUBS, &mut writer)?;
        let written = writer.finish(observer)?;
        work.adopt(&upper, &written.diff_id, observer)?;
        Ok(Ended::Well(Box::new(written)))
    })();
    let left = watch.end();
    match (result, work::left(&left)) {
        (Ok(Ended::Well(_)), Some(error)) => Err(error),
        (result, _) => result,
    }
}

/// A here-document as a program: a file beside the layer, mounted where docker has it.
fn script(text: &str, argv: &[String], own: &Path) -> Result<Extra> {
    let path = own.join("script");
    let call = || format!("write({path:?})");
    std::fs::write(&path, text).tried(call)?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).tried(call)?;
    let (source, kind, read_only) = (path.to_string_lossy().into_owned(), Kind::File, true);
    let target = argv.first().cloned().unwrap_or_default();
    Ok(Extra { target, what: What::Volume { source, kind, read_only } })
}

impl Spec {
    fn with_layer(mut self, own: &Path) -> Self {
        self.layer = Some(own.to_owned());
        self
    }
}

fn spec(command: &Command, rootfs: Rootfs, id: &str, below: &Stack) -> Result<Spec> {
    let user = accounts(below)?
        .find(Some(&command.user).filter(|user| !user.is_empty()).map(|user| &**user))?;
    let mut process = Process::new(command.argv.clone(), &command.env);
    process.set_user(user);
    process.set_workdir(&command.workdir)?;
    Ok(Spec {
        id: id.to_owned(),
        name: id.to_owned(),
        scope: None,
        hostname: HOSTNAME.to_owned(),
        image: "(a step of image build)".to_owned(),
        rootfs,
        group: Limits::default(),
        files: Files::default(),
        network: command.network.clone(),
        stop_signal: None,
        keep: None,
        layer: None,
        process,
    })
}

/// The users that the image has by now.
pub fn accounts(stack: &Stack) -> Result<Accounts> {
    let text = |path: &[&[u8]]| -> Result<Option<String>> {
        let call =
            || format!("reading /{} of the image", String::from_utf8_lossy(&path.join(&b'/')));
        let path: Vec<_> = path.iter().map(|name| name.to_vec()).collect();
        let path = stack.resolve(&path).tried(call)?;
        // A link as the file itself is followed once: /etc/passwd of NixOS and the like.
        let path = match stack.link(&path).tried(call)? {
            Some(to) => {
                stack.resolve(&crate::build::view::names(&to).collect::<Vec<_>>()).tried(call)?
            }
            None => path,
        };
        let Some((last, parent)) = path.split_last() else { return Ok(None) };
        let found = stack.list(parent).tried(call)?.remove(last);
        let Some(found) = found.filter(|found| !found.is_directory()) else { return Ok(None) };
        let file = layer::source::open(&*found.directory, last, &found.stat)?;
        let mut text = Vec::new();
        file.take(passwd::MOST).read_to_end(&mut text).tried(call)?;
        Ok(Some(String::from_utf8_lossy(&text).into_owned()))
    };
    Ok(Accounts::of(text(&[b"etc", b"passwd"])?, text(&[b"etc", b"group"])?))
}

/// What becomes 0, 1 and 2: nothing to read; what is written goes to our standard error,
/// where all is that is no result, or into memory.
fn streams(output: Option<&File>) -> Result<Vec<OwnedFd>> {
    let null = File::open("/dev/null").tried(|| "open(\"/dev/null\")")?;
    let own = |fd: std::os::fd::BorrowedFd<'_>| fd.try_clone_to_owned().tried(|| "dup()");
    let stderr = std::io::stderr();
    let out = output.map_or_else(|| stderr.as_fd(), AsFd::as_fd);
    Ok(vec![null.into(), own(out)?, own(out)?])
}

fn memory() -> Result<File> {
    let flags = rustix::fs::MemfdFlags::CLOEXEC;
    rustix::fs::memfd_create("output", flags).tried(|| "memfd_create(\"output\")").map(File::from)
}

/// The end of what it wrote.
fn text(mut output: File) -> Result<String> {
    const MOST: u64 = 64 << 10;
    let call = || "read(output)";
    let length = output.metadata().tried(call)?.len();
    output.seek(SeekFrom::Start(length.saturating_sub(MOST))).tried(call)?;
    let mut bytes = Vec::new();
    output.take(MOST).read_to_end(&mut bytes).tried(call)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// What would be done for it.
pub fn describe(command: &Command, rootfs: Rootfs, machine: &Machine) -> Result<Vec<Step>> {
    let (own, ops) = work::changes("$id")?;
    let mut steps = op::describe(&ops, Actor::Launcher);
    let below = match rootfs.tree.is_dir() && rootfs.above.iter().all(|layer| layer.is_dir()) {
        true => work::stack(&rootfs)?,
        false => Stack(Vec::new()),
    };
    // Before the image is there it is not known whom it names.
    let known = matches!(below.find(&[b"etc".to_vec()]), Ok(Some(Here::Directory(_))));
    let user = if known { command.user.clone() } else { String::new() };
    let command = Command { user, ..command.clone() };
    let spec = spec(&command, rootfs, "$id", &below)?.with_layer(&own);
    steps.extend(Plan::new(&spec, machine)?.steps());
    Ok(steps)
}

/// Lines of what a command wrote that are told when it fails and was not shown.
const LAST: usize = 20;

/// What a command that failed is told as.
pub fn failed(place: &str, status: Status, output: &str) -> Error {
    let mut how = match status {
        Status::Code(127) => "it exited with code 127: a program was not found".to_owned(),
        Status::Code(code) => format!("it exited with code {code}"),
        Status::Signal(signal) => format!("signal {signal} ended it"),
    };
    let lines: Vec<_> = output.lines().collect();
    for (number, line) in lines[lines.len().saturating_sub(LAST)..].iter().enumerate() {
        how.push_str(if number == 0 { "; it wrote:\n" } else { "\n" });
        how.push_str(&line.escape_debug().to_string());
    }
    Error::new(format!("{place}: RUN failed"))
        .said(how)
        .hint("The steps before it stay cached: mend the line and build again. To look around where it failed, leave the line out, build, and `run -it` what came of it.")
        .exit(Exit::Failed)
}
