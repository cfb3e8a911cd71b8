//! Our own binary as something that a container can execute and nobody in it
//! can write to: runc's was overwritten through /proc/PID/exe (CVE-2019-5736).

use std::ffi::CString;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;

use nix::errno::Errno;
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
use rustix::mount::{OpenTreeFlags, open_tree};
use serde::{Deserialize, Serialize};

use crate::error::{Context, Error, Result};
use crate::kernel::op::{Operation, World};
use crate::kernel::raw;
use crate::step::Step;

/// execveat(2): becomes the program that is open there. Returns only when that fails.
pub fn execute(binary: &OwnedFd, arguments: &[CString], environment: &[CString]) -> Error {
    let flags = nix::fcntl::AtFlags::AT_EMPTY_PATH;
    let Err(errno) = nix::unistd::execveat(binary, c"", arguments, environment, flags);
    let words: Vec<_> = arguments.iter().take(2).map(|word| word.to_string_lossy()).collect();
    Error::call(format!("execveat(binary, \"\", {words:?}, AT_EMPTY_PATH)"), errno)
}

/// open_tree(2): our binary as a mount of its own that is attached nowhere.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CloneBinary {
    /// Where our binary is.
    pub path: String,
}

impl Operation for CloneBinary {
    fn step(&self) -> Step {
        Step::new(
            format!("open_tree(AT_FDCWD, \"{}\", OPEN_TREE_CLONE|OPEN_TREE_CLOEXEC)", self.path),
            "a private mount of our own binary, attached nowhere, ...",
        )
    }

    fn perform(&self, world: &mut World<'_>) -> Result<String> {
        let path = world.slots.fill(&self.path);
        let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
        let binary = open_tree(rustix::fs::CWD, path.as_str(), flags)
            .tried(|| format!("open_tree({path:?}, OPEN_TREE_CLONE)"))
            .map_err(|error| error.hint("Our own program must be found under the path it was started from; open_tree needs Linux 5.2."))?;
        let found = rustix::fs::fstat(&binary).tried(|| "fstat(binary)")?;
        let running = std::fs::metadata("/proc/self/exe").tried(|| "stat(\"/proc/self/exe\")")?;
        if (found.st_dev, found.st_ino) != (running.dev(), running.ino()) {
            return Err(Error::new(format!("looking for our own program at {path}"))
                .said("another file is there now")
                .hint("It was replaced while it was running; start it again."));
        }
        let number = std::os::fd::AsRawFd::as_raw_fd(&binary).to_string();
        world.fds.insert("binary".to_owned(), binary);
        Ok(number)
    }
}

/// mount_setattr(2): read-only.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SealBinary;

impl Operation for SealBinary {
    fn step(&self) -> Step {
        Step::new(
            "mount_setattr(binary, \"\", AT_EMPTY_PATH, {attr_set=MOUNT_ATTR_RDONLY})",
            "... and read-only: a container that gets hold of /proc/PID/exe cannot write over it (CVE-2019-5736)",
        )
    }

    fn perform(&self, world: &mut World<'_>) -> Result<String> {
        raw::mount_read_only(world.fd("binary")?)
            .tried(|| "mount_setattr(MOUNT_ATTR_RDONLY)")
            .map_err(|error| match error.is(Errno::ENOSYS) {
                true => error.hint("mount_setattr needs Linux 5.12."),
                false => error,
            })
            .map(|()| "0".to_owned())
    }
}

/// memfd_create(2): our binary as a file in memory, where it cannot be mounted.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CopyBinary;

impl Operation for CopyBinary {
    fn step(&self) -> Step {
        Step::new(
            "memfd_create(\"under-the-hood\", MFD_CLOEXEC|MFD_ALLOW_SEALING)",
            "our own binary, copied into a file that is nowhere but in memory, ...",
        )
    }

    fn perform(&self, world: &mut World<'_>) -> Result<String> {
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        // Before Linux 6.3 every such file may be executed, and MFD_EXEC is unknown.
        let made = memfd_create("under-the-hood", flags | MemfdFlags::EXEC)
            .or_else(|_| memfd_create("under-the-hood", flags))
            .tried(|| "memfd_create(\"under-the-hood\")")?;
        let mut copy = File::from(made);
        let read = || "read(\"/proc/self/exe\")";
        let mut binary = File::open("/proc/self/exe").tried(read)?;
        let mut buffer = vec![0; 1 << 20];
        loop {
            match binary.read(&mut buffer).tried(read)? {
                0 => break,
                count => {
                    copy.write_all(&buffer[..count]).tried(|| "write(memfd)").map_err(|error| {
                        error.hint("The copy of the program takes memory, and there is not enough.")
                    })?
                }
            }
        }
        let number = std::os::fd::AsRawFd::as_raw_fd(&copy).to_string();
        world.fds.insert("binary".to_owned(), copy.into());
        Ok(number)
    }
}

/// fcntl(2) `F_ADD_SEALS`: the copy stays as it is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SealCopy;

impl Operation for SealCopy {
    fn step(&self) -> Step {
        Step::new(
            "fcntl(binary, F_ADD_SEALS, F_SEAL_SEAL|F_SEAL_SHRINK|F_SEAL_GROW|F_SEAL_WRITE)",
            "... and sealed: a container that gets hold of /proc/PID/exe cannot write over it (CVE-2019-5736)",
        )
    }

    fn perform(&self, world: &mut World<'_>) -> Result<String> {
        let seals = SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE;
        fcntl_add_seals(world.fd("binary")?, seals)
            .tried(|| "fcntl(binary, F_ADD_SEALS)")
            .map(|()| "0".to_owned())
    }
}
