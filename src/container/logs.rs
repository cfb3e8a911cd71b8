//! What a container in the background has written, and goes on to write.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::container::registry::{self, Container};
use crate::container::{kept, spec::Spec};
use crate::error::{Error, Result};
use crate::kernel::log::Reader;
use crate::kernel::pidfd::PidFd;

/// How often it is looked whether there is more.
const PAUSE_MS: u32 = 50;
/// How long the shim may take to write down the last words.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// Where the output of this container goes, if it runs in the background.
pub fn path(spec: &Spec) -> Result<Option<PathBuf>> {
    if !spec.process.detached {
        return Ok(None);
    }
    Ok(Some(match &spec.keep {
        Some(own) => own.join("log"),
        None => registry::log(&spec.id)?,
    }))
}

/// What a container wrote.
#[derive(Debug)]
pub struct Log {
    /// The container.
    pub container: Container,
    reader: Reader,
    running: bool,
}

/// Opens what a container wrote, running or kept.
pub fn open(target: &str) -> Result<Log> {
    let (container, running) = match registry::find(target) {
        Ok(container) => (container, true),
        Err(not_running) => match kept::find(target) {
            Ok(kept) => (kept.container, false),
            Err(_) if not_running.exit != crate::error::Exit::Failed => return Err(not_running),
            Err(_) => return Err(gone(not_running)),
        },
    };
    let paths = [registry::log(&container.id)?, kept::path(&container.id)?.join("log")];
    let Some(path) = paths.iter().find(|path| path.exists()) else {
        return Err(Error::new(format!(
            "nothing of what {} writes is written down",
            container.name
        ))
        .hint("It was not started with -d: what it writes goes to where it was started."));
    };
    let reader = Reader::open(path)?;
    Ok(Log { container, reader, running })
}

fn gone(not_running: Error) -> Error {
    let hint = not_running.hint.clone().unwrap_or_default();
    not_running.hint(format!(
        "If there was one, it has ended, and what it wrote went with it: only `run --keep` leaves that. {hint}"
    ))
}

impl Log {
    /// Everything that is there.
    pub fn rest(&mut self, show: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
        loop {
            match self.reader.read()? {
                bytes if bytes.is_empty() => return Ok(()),
                bytes => show(&bytes)?,
            }
        }
    }

    /// Everything that comes, until the container has ended.
    pub fn follow(&mut self, show: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let process = PidFd::open_if_started_at(self.container.pid, self.container.start)?;
        if let Some(process) = process.filter(|_| self.running) {
            while !process.wait(PAUSE_MS)? {
                self.rest(show)?;
            }
            // Its shim writes down what came last, and then removes the record.
            let (record, since) = (registry::path(&self.container.id)?, Instant::now());
            while record.exists() && since.elapsed() < LAST_WORDS {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        self.rest(show)
    }
}
