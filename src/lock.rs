//! Locks between processes: flock(2). One lasts as long as its file is open, and so
//! dies with whoever holds it.

use std::fs::File;
use std::path::Path;

use rustix::fs::flock;
use rustix::io::retry_on_intr;

pub use rustix::fs::FlockOperation;

use crate::error::{Context, Result};

/// Opens a file or directory and locks it. Errors: those of open(2), and EWOULDBLOCK
/// where the operation is not to wait.
pub fn lock(path: &Path, operation: FlockOperation) -> Result<File> {
    let file = File::open(path).tried(|| format!("open({path:?})"))?;
    retry_on_intr(|| flock(&file, operation)).tried(|| format!("flock({path:?})"))?;
    Ok(file)
}
