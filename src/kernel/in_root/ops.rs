//! What is made and written in a container's root from outside, as operations.

use std::os::fd::OwnedFd;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags, openat, unlinkat};
use serde::{Deserialize, Serialize};

use super::{Kind, Root, is};
use crate::error::{Context, Error, Result};
use crate::kernel::op::{Operation, World};
use crate::step::Step;

/// mkdirat(2), or openat(2) with `O_CREAT`, in the container's own layer; there already is as good.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct MakeInRoot {
    /// The root, from outside; empty when the process is in it.
    pub root: String,
    /// The path in it.
    pub path: String,
    /// What it is to be.
    pub kind: Kind,
    /// Why.
    pub why: String,
}

impl Operation for MakeInRoot {
    fn step(&self) -> Step {
        let (path, why) = (format!("{}{}", self.root, self.path), &self.why);
        match self.kind {
            Kind::Directory => {
                Step::new(format!("mkdir(\"{path}\", 0755)"), why).shell(format!("mkdir -p {path}"))
            }
            Kind::File => {
                Step::new(format!("write(open(\"{path}\", O_WRONLY|O_CREAT|O_EXCL), \"\")"), why)
                    .shell(format!("touch {path}"))
            }
        }
    }

    fn perform(&self, world: &mut World<'_>) -> Result<String> {
        let (root, path) = (world.slots.fill(&self.root), world.slots.fill(&self.path));
        let made = Root::open(&root)?.make(&path, self.kind, world)?;
        Ok(if made { "0" } else { "-1 EEXIST, as good" }.to_owned())
    }
}

/// fchdir(2), inside: into a directory that was resolved in the root, and is
/// below it still.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct EnterDir {
    /// The path, as the container sees it.
    pub path: String,
}

impl Operation for EnterDir {
    fn step(&self) -> Step {
        Step::new(
            format!("chdir(\"{}\")", self.path),
            "where the command starts; through a descriptor, and never through /proc/self/fd (CVE-2024-21626)",
        )
        .shell(format!("cd {}", self.path))
    }

    fn perform(&self, world: &mut World<'_>) -> Result<String> {
        let path = world.slots.fill(&self.path);
        let flags = OFlags::PATH | OFlags::DIRECTORY;
        let directory = Root::open("")?.find(&path, flags, ResolveFlags::empty())?;
        rustix::process::fchdir(&directory).tried(|| format!("fchdir({path:?})"))?;
        // The kernel says "(unreachable)" of a directory outside the root, and libc ENOENT.
        let here = rustix::process::getcwd(Vec::new()).tried(|| "getcwd()")?;
        match here.as_bytes().starts_with(b"/") {
            true => Ok("0".to_owned()),
            false => Err(Error::new(format!("chdir({path:?})"))
                .said("the directory is not below the container's root")),
        }
    }
}

/// A small file of ours in a container's root: one of the image's in its place
/// is replaced in the container's own layer, and never what a link leads to.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct WriteInRoot {
    /// The root, from outside.
    pub root: String,
    /// The path in it.
    pub path: String,
    /// The whole content.
    pub content: String,
    /// Why.
    pub why: String,
}

impl WriteInRoot {
    fn open(&self, root: &str, path: &str) -> Result<(OwnedFd, bool)> {
        let (directory, name) = path.rsplit_once('/').unwrap_or(("", path));
        // Nothing but the root is mounted yet; if it were, it would not be written to.
        let flags = OFlags::PATH | OFlags::DIRECTORY;
        let parent = Root::open(root)?.find(directory, flags, ResolveFlags::NO_XDEV)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = Mode::from_raw_mode(0o644);
        let fresh = || {
            unlinkat(&parent, name, AtFlags::empty()).tried(|| format!("unlinkat({path:?})"))?;
            openat(&parent, name, flags | OFlags::EXCL, mode)
                .tried(|| format!("openat({path:?}, O_WRONLY|O_CREAT|O_EXCL)"))
        };
        // O_NONBLOCK: a FIFO is not waited at.
        let opened = openat(&parent, name, flags | OFlags::TRUNC | OFlags::NONBLOCK, mode);
        match opened {
            Ok(file) if is(&file, FileType::RegularFile)? => Ok((file, false)),
            Ok(_)
            | Err(rustix::io::Errno::LOOP | rustix::io::Errno::NXIO | rustix::io::Errno::ACCESS) => {
                Ok((fresh()?, true))
            }
            Err(errno) => {
                Err(errno).tried(|| format!("openat({path:?}, O_WRONLY|O_CREAT|O_NOFOLLOW)"))
            }
        }
    }
}

impl Operation for WriteInRoot {
    fn step(&self) -> Step {
        let first = self.content.lines().next().unwrap_or_default();
        let path = format!("{}{}", self.root, self.path);
        let mut line: String = first.chars().take(40).collect();
        if line.len() < self.content.trim_end().len() {
            line.push('…');
        }
        Step::new(
            format!("write(open(\"{path}\", O_WRONLY|O_CREAT|O_TRUNC|O_NOFOLLOW), {line:?})"),
            &self.why,
        )
        .shell(format!("echo ... > {path}"))
    }

    fn perform(&self, world: &mut World<'_>) -> Result<String> {
        use std::io::Write;
        let (root, path) = (world.slots.fill(&self.root), world.slots.fill(&self.path));
        let content = world.slots.fill(&self.content);
        let (file, replaced) = self.open(&root, &path)?;
        std::fs::File::from(file)
            .write_all(content.as_bytes())
            .tried(|| format!("write({path:?})"))?;
        let instead = if replaced { ", in place of the image's link" } else { "" };
        Ok(format!("{}{instead}", content.len()))
    }
}
