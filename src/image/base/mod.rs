//! The base image: a root file system made from this machine's own programs,
//! for everyone who has no network.
//!
//! It is kept under the SHA-256 of its files and, like every image, does not
//! change by itself: `run` takes the one that was made and looks at nothing
//! else, which costs a few system calls, and an upgrade of this machine between
//! two `run`s changes nothing in a container. `image base` looks at the machine
//! again, and makes another one if its programs are others by now.

pub mod contents;
pub mod elf;
pub mod libraries;
mod plan;
mod skeleton;
pub mod stored;
pub mod tree;

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::home::{self, Place};
use crate::image::oci::Execution;
use crate::image::rootfs::{Rootfs, directory};
use crate::step::Observer;

pub use contents::{Contents, Source};
pub use plan::Plan;
pub use tree::Host;

/// The image's full name.
pub const NAME: &str = "localhost/under-the-hood/base";

/// Which tree `base` is at present: the content of rootfs/base.json.
#[derive(Debug, Serialize, Deserialize)]
struct Current {
    key: String,
    /// The version of this program that made it: another one may put in other files.
    version: String,
}

/// The base image that was made last, if there is one. Reads only.
pub fn find() -> Result<Option<Rootfs>> {
    let rootfs = home::path(Place::Data)?.join("rootfs");
    let Ok(text) = fs::read(rootfs.join("base.json")) else { return Ok(None) };
    let Ok(current) = serde_json::from_slice::<Current>(&text) else { return Ok(None) };
    let well_formed = current.key.len() == 64 && current.key.bytes().all(|b| b.is_ascii_hexdigit());
    let found = at(&rootfs, &current.key);
    let there = well_formed && current.version == env!("CARGO_PKG_VERSION") && found.tree.is_dir();
    Ok(there.then_some(found))
}

/// The base image, made now if there is none. Call it while there is one thread
/// only: making it starts a watcher.
pub fn ensure(observer: &mut dyn Observer) -> Result<Rootfs> {
    directory()?;
    match find()? {
        Some(rootfs) => Ok(rootfs),
        None => Plan::of(&Host("/".into()), None)?.make(observer).map(|(rootfs, _)| rootfs),
    }
}

fn at(rootfs: &Path, key: &str) -> Rootfs {
    Rootfs::at(rootfs, key, execution())
}

/// How a container of it is started.
fn execution() -> Execution {
    Execution {
        cmd: Some(vec!["/bin/sh".to_owned()]),
        env: vec![
            "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned(),
            "ENV=/etc/profile".to_owned(),
        ],
        ..Execution::default()
    }
}
