//! A directory tree that is made in one go, such as a root file system: first
//! beside its place, under a name nobody else uses, then renamed into place, so
//! that nobody ever sees half of it.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::effect::Effect;
use crate::error::{Context, Result};
use crate::kernel::op::{Operation, Slots, World};
use crate::step::Step;

/// One file of a tree; parents come before what is in them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Where, relative to the tree's root.
    pub path: PathBuf,
    /// What.
    pub node: Node,
}

/// What a file of a tree is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Node {
    /// A directory with this mode.
    Directory(u32),
    /// A symbolic link and what it says.
    Link(PathBuf),
    /// A file with this text of ours, mode 0644.
    Text(String),
    /// A copy of another file, with this mode.
    Copy {
        /// The file that is copied.
        from: PathBuf,
        /// The copy's permissions.
        mode: u32,
    },
}

/// mkdir(2) of a directory that is to go, with all that came into it, unless
/// it is renamed into its place.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NewTree {
    /// The directory; its name carries the journal's token.
    pub path: String,
    /// Why.
    pub why: String,
}

impl Operation for NewTree {
    fn step(&self) -> Step {
        Step::new(format!("mkdir(\"{}\", 0700)", self.path), &self.why)
            .shell(format!("mkdir -m 700 {}", self.path))
    }

    fn perform(&self, world: &mut World<'_>) -> Result<String> {
        let path = world.slots.fill(&self.path);
        fs::DirBuilder::new()
            .mode(0o700)
            .create(&path)
            .tried(|| format!("mkdir({path:?}, 0700)"))?;
        Ok("0".to_owned())
    }

    fn effect(&self, slots: &Slots) -> Option<Effect> {
        Some(Effect::Tree { path: slots.fill(&self.path).into() })
    }
}

/// Makes all files of a tree.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FillTree {
    /// An empty directory: the tree's root.
    pub path: String,
    /// What comes into it.
    pub entries: Vec<Entry>,
    /// What a person would type to much the same effect.
    pub shell: String,
}

impl Operation for FillTree {
    fn step(&self) -> Step {
        let count = |wanted: fn(&Node) -> bool| {
            self.entries.iter().filter(|entry| wanted(&entry.node)).count()
        };
        Step::new(
            format!(
                "mkdir, copy_file_range, write, symlink(\"{}/...\": {} directories, {} copies, {} texts, {} links)",
                self.path,
                count(|node| matches!(node, Node::Directory(_))),
                count(|node| matches!(node, Node::Copy { .. })),
                count(|node| matches!(node, Node::Text(_))),
                count(|node| matches!(node, Node::Link(_))),
            ),
            "a root file system is nothing but files: programs, the libraries they need, a few texts in /etc",
        )
        .shell(&self.shell)
    }

    fn perform(&self, world: &mut World<'_>) -> Result<String> {
        let root = PathBuf::from(world.slots.fill(&self.path));
        fs::DirBuilder::new()
            .mode(0o755)
            .create(&root)
            .tried(|| format!("mkdir({root:?}, 0755)"))?;
        set_mode(&root, 0o755)?;
        for entry in &self.entries {
            make(&root.join(&entry.path), &entry.node)?;
        }
        Ok(format!("{} files", self.entries.len()))
    }
}

/// Makes one file. Modes are set afterwards: a umask does not change an image.
fn make(path: &Path, node: &Node) -> Result<()> {
    match node {
        Node::Directory(mode) => {
            fs::create_dir(path).tried(|| format!("mkdir({path:?})"))?;
            set_mode(path, *mode)
        }
        Node::Link(target) => {
            symlink(target, path).tried(|| format!("symlink({target:?}, {path:?})"))
        }
        Node::Text(text) => {
            let open = || format!("open({path:?}, O_CREAT|O_EXCL)");
            let mut options = fs::OpenOptions::new();
            let mut file =
                options.write(true).create_new(true).mode(0o644).open(path).tried(open)?;
            file.write_all(text.as_bytes()).tried(|| format!("write({path:?})"))?;
            set_mode(path, 0o644)
        }
        Node::Copy { from, mode } => {
            fs::copy(from, path).tried(|| format!("copy_file_range({from:?}, {path:?})"))?;
            set_mode(path, *mode)
        }
    }
}

fn set_mode(path: &Path, mode: u32) -> Result<()> {
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
        .tried(|| format!("chmod({path:?}, {mode:#o})"))
}

/// rename(2): what is there under the new name is there whole, or not at all.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Rename {
    /// The old name.
    pub from: String,
    /// The new name.
    pub to: String,
    /// Why.
    pub why: String,
}

impl Operation for Rename {
    fn step(&self) -> Step {
        Step::new(format!("rename(\"{}\", \"{}\")", self.from, self.to), &self.why)
            .shell(format!("mv -T {} {}", self.from, self.to))
    }

    fn perform(&self, world: &mut World<'_>) -> Result<String> {
        let (from, to) = (world.slots.fill(&self.from), world.slots.fill(&self.to));
        fs::rename(&from, &to).tried(|| format!("rename({from:?}, {to:?})"))?;
        Ok("0".to_owned())
    }
}
