//! Files and directories that a container or our own records need.

use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};

use serde::{Deserialize, Serialize};

use crate::effect::Effect;
use crate::error::{Context, Error, Result};
use crate::kernel::op::{Operation, Slots, World};
use crate::shell::in_quotes;
use crate::step::Step;

/// chdir(2).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Chdir {
    /// Where to.
    pub path: String,
    /// Why.
    pub why: String,
}

impl Operation for Chdir {
    fn step(&self) -> Step {
        Step::new(format!("chdir(\"{}\")", self.path), &self.why).shell(format!("cd {}", self.path))
    }

    fn perform(&self, world: &mut World<'_>) -> Result<String> {
        let path = world.slots.fill(&self.path);
        nix::unistd::chdir(path.as_str()).tried(|| format!("chdir({path:?})"))?;
        Ok("0".to_owned())
    }
}

/// mkdir(2).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct MakeDir {
    /// The directory to make; there already is as good.
    pub path: String,
    /// Its permissions.
    pub mode: u32,
    /// Why.
    pub why: String,
}

/// mkdir(2) of a directory that must not be there yet.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NewDir {
    /// The directory to make.
    pub path: String,
    /// Why.
    pub why: String,
}

impl Operation for NewDir {
    fn step(&self) -> Step {
        Step::new(format!("mkdir(\"{}\", 0700)", self.path), &self.why)
            .shell(format!("mkdir -m 700 {}", self.path))
    }

    fn perform(&self, world: &mut World<'_>) -> Result<String> {
        let path = world.slots.fill(&self.path);
        std::fs::DirBuilder::new()
            .mode(0o700)
            .create(&path)
            .tried(|| format!("mkdir({path:?}, 0700)"))
            .map_err(|error| match error.is(nix::errno::Errno::EEXIST) {
                true => error
                    .hint("The image has something of that name, which is wanted for a moment."),
                false => error,
            })
            .map(|()| "0".to_owned())
    }
}

impl Operation for MakeDir {
    fn step(&self) -> Step {
        Step::new(format!("mkdir(\"{}\", {:#o})", self.path, self.mode), &self.why)
            .shell(format!("mkdir {}", self.path))
    }

    fn perform(&self, world: &mut World<'_>) -> Result<String> {
        let path = world.slots.fill(&self.path);
        match std::fs::DirBuilder::new().mode(self.mode).create(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                Ok("-1 EEXIST, as good".to_owned())
            }
            other => other
                .tried(|| format!("mkdir({path:?}, {:#o})", self.mode))
                .map(|()| "0".to_owned()),
        }
    }
}

/// rmdir(2).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RemoveDir {
    /// An empty directory.
    pub path: String,
    /// Why.
    pub why: String,
}

impl Operation for RemoveDir {
    fn step(&self) -> Step {
        Step::new(format!("rmdir(\"{}\")", self.path), &self.why)
            .shell(format!("rmdir {}", self.path))
    }

    fn perform(&self, world: &mut World<'_>) -> Result<String> {
        let path = world.slots.fill(&self.path);
        std::fs::remove_dir(&path).tried(|| format!("rmdir({path:?})")).map(|()| "0".to_owned())
    }
}

/// symlink(2).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Symlink {
    /// What it points to.
    pub target: String,
    /// Where it is.
    pub path: String,
    /// Why.
    pub why: String,
}

impl Operation for Symlink {
    fn step(&self) -> Step {
        Step::new(format!("symlink(\"{}\", \"{}\")", self.target, self.path), &self.why)
            .shell(format!("ln -s {} {}", self.target, self.path))
    }

    fn perform(&self, world: &mut World<'_>) -> Result<String> {
        let (target, path) = (world.slots.fill(&self.target), world.slots.fill(&self.path));
        std::os::unix::fs::symlink(&target, &path)
            .tried(|| format!("symlink({target:?}, {path:?})"))?;
        Ok("0".to_owned())
    }
}

/// open(2), write(2), close(2) of a small file, whole.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct WriteFile {
    path: String,
    content: String,
    fresh: bool,
    journalled: bool,
    why: String,
}

impl WriteFile {
    /// Replaces a file's content, or makes the file.
    pub fn new(
        path: impl Into<String>,
        content: impl Into<String>,
        why: impl Into<String>,
    ) -> Self {
        Self {
            path: path.into(),
            content: content.into(),
            fresh: true,
            journalled: false,
            why: why.into(),
        }
    }

    /// A file that the kernel will not remove by itself: written down first.
    pub fn journalled(
        path: impl Into<String>,
        content: impl Into<String>,
        why: impl Into<String>,
    ) -> Self {
        Self { journalled: true, ..Self::new(path, content, why) }
    }

    /// A file of the kernel's, which is there and is told something.
    pub fn tell(
        path: impl Into<String>,
        content: impl Into<String>,
        why: impl Into<String>,
    ) -> Self {
        Self { fresh: false, ..Self::new(path, content, why) }
    }
}

/// So much of a file is shown in the command that a person would type.
const SHOWN: usize = 60;

impl WriteFile {
    /// The whole content where it is short, else its beginning.
    fn shell(&self) -> String {
        let Self { path, content, .. } = self;
        if content.is_empty() {
            return format!(": > {path}");
        }
        let shown: String = content.chars().take(SHOWN).collect();
        let plain = |text: &str| !text.contains(|c: char| c.is_control() || c == '\\');
        match shown.strip_suffix('\n') {
            _ if shown.len() < content.len() => {
                let beginning = shown.trim_end().replace('\n', " ");
                format!("echo {} > {path}", in_quotes(&format!("{beginning}…")))
            }
            Some(line) if plain(line) => format!("echo {} > {path}", in_quotes(line)),
            _ => {
                let escaped = shown.replace('\\', r"\\").replace('%', "%%");
                let escaped = escaped.replace('\n', r"\n").replace('\t', r"\t");
                format!("printf {} > {path}", in_quotes(&escaped))
            }
        }
    }
}

impl Operation for WriteFile {
    fn step(&self) -> Step {
        let mut line: String = self.content.trim_end().chars().take(40).collect();
        if line.len() < self.content.trim_end().len() {
            line.push('…');
        }
        let flags = if self.fresh { "O_WRONLY|O_CREAT|O_TRUNC" } else { "O_WRONLY" };
        Step::new(format!("write(open(\"{}\", {flags}), {line:?})", self.path), &self.why)
            .shell(self.shell())
    }

    fn perform(&self, world: &mut World<'_>) -> Result<String> {
        use std::io::Write;
        let (path, content) = (world.slots.fill(&self.path), world.slots.fill(&self.content));
        let mut options = std::fs::OpenOptions::new();
        options.write(true).custom_flags(libc::O_NOFOLLOW).mode(0o644);
        if self.journalled {
            options.create_new(true);
        } else if self.fresh {
            options.create(true).truncate(true);
        }
        let mut file = options.open(&path).tried(|| format!("open({path:?}, O_WRONLY)"))?;
        file.write_all(content.as_bytes()).tried(|| format!("write({path:?})"))?;
        Ok(content.len().to_string())
    }

    fn effect(&self, slots: &Slots) -> Option<Effect> {
        self.journalled.then(|| Effect::File { path: slots.fill(&self.path).into() })
    }
}

/// Copies a directory tree, for a root file system where overlayfs is not to be had.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CopyTree {
    /// What is copied; links stay links, devices are left out.
    pub from: String,
    /// An empty directory.
    pub to: String,
}

impl Operation for CopyTree {
    fn step(&self) -> Step {
        Step::new(
            format!("copy_file_range(\"{}/...\", \"{}/...\")", self.from, self.to),
            "a whole copy, where overlayfs is not to be had or not wanted: the image itself must stay as it is",
        )
        .shell(format!("cp -a {}/. {}", self.from, self.to))
    }

    fn perform(&self, world: &mut World<'_>) -> Result<String> {
        let (from, to) = (world.slots.fill(&self.from), world.slots.fill(&self.to));
        let files = copy(from.as_ref(), to.as_ref())?;
        Ok(format!("{files} files"))
    }
}

fn copy(from: &std::path::Path, to: &std::path::Path) -> Result<u64> {
    let mut files = 0;
    for entry in std::fs::read_dir(from).tried(|| format!("opendir({from:?})"))? {
        let entry = entry.tried(|| format!("readdir({from:?})"))?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        let metadata = entry.metadata().tried(|| format!("lstat({source:?})"))?;
        if metadata.is_dir() {
            std::fs::create_dir(&target).tried(|| format!("mkdir({target:?})"))?;
            files += copy(&source, &target)?;
        } else if metadata.is_symlink() {
            let points_to =
                std::fs::read_link(&source).tried(|| format!("readlink({source:?})"))?;
            std::os::unix::fs::symlink(points_to, &target)
                .tried(|| format!("symlink({target:?})"))?;
            keep_owner(&target, &metadata)?;
            continue;
        } else if metadata.is_file() {
            std::fs::copy(&source, &target)
                .map_err(|error| Error::io(format!("copy({source:?}, {target:?})"), &error))?;
        } else {
            continue;
        }
        // Before the mode: a change of owner takes the set-user-id bit away.
        keep_owner(&target, &metadata)?;
        std::fs::set_permissions(&target, metadata.permissions())
            .tried(|| format!("chmod({target:?})"))?;
        files += 1;
    }
    Ok(files)
}

/// lchown(2), where the copy has another owner than the original.
fn keep_owner(target: &std::path::Path, original: &std::fs::Metadata) -> Result<()> {
    let made = target.symlink_metadata().tried(|| format!("lstat({target:?})"))?;
    let (uid, gid) = (original.uid(), original.gid());
    if (made.uid(), made.gid()) == (uid, gid) {
        return Ok(());
    }
    match std::os::unix::fs::lchown(target, Some(uid), Some(gid)) {
        // An id that is not mapped in here cannot be given to anything.
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => Ok(()),
        result => result.tried(|| format!("lchown({target:?}, {uid}, {gid})")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shell_twin_writes_what_is_written() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file").to_string_lossy().into_owned();
        for content in ["", "deny", "box\n", "a\tb\nc\n", "it's 100% \\n\n", "\n", "%s"] {
            let shell = WriteFile::new(&path, content, "").step().shell.unwrap();
            let status = std::process::Command::new("sh").args(["-c", &shell]).status().unwrap();
            assert!(status.success(), "{shell}");
            assert_eq!(std::fs::read_to_string(&path).unwrap(), content, "{shell}");
        }
        let long = WriteFile::new("/f", "word ".repeat(40), "").step().shell.unwrap();
        assert!(long.starts_with("echo 'word word") && long.ends_with("…' > /f"), "{long}");
    }
}
