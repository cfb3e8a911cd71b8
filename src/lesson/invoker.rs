//! Who typed `sudo`, and work that is done as that user: what a reader keeps is the
//! reader's own, and root must not be led by what others can write. So it is read and
//! written by a child that has become that user, over its standard streams.

use std::ffi::OsStr;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use crate::error::{Context, Error, Result};

/// Who typed `sudo`, where that was not root.
pub fn user() -> Option<(u32, u32)> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let id = |name| std::env::var(name).ok()?.parse::<u32>().ok();
    match (id("SUDO_UID"), id("SUDO_GID")) {
        (Some(uid), Some(gid)) if uid != 0 => Some((uid, gid)),
        _ => None,
    }
}

/// Has a child that is that user perform one of our command lines; what it prints.
pub fn run<S: AsRef<OsStr>>(
    (uid, gid): (u32, u32),
    args: impl IntoIterator<Item = S>,
    input: Option<&str>,
    what: &str,
) -> Result<String> {
    let mut command = Command::new("/proc/self/exe");
    command.arg0(super::review::PROGRAM).arg("lesson").args(args).uid(uid).gid(gid);
    // The user's own directories; where they are is for the child to find out.
    for name in ["HOME", "XDG_STATE_HOME", "SUDO_UID", "SUDO_GID"] {
        command.env_remove(name);
    }
    command.current_dir("/").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let call = || format!("execve(\"/proc/self/exe\") as uid {uid}");
    let mut child = command.spawn().tried(call)?;
    if let (Some(mut stdin), Some(text)) = (child.stdin.take(), input) {
        // A child that has died says why on its other stream.
        let _ = stdin.write_all(text.as_bytes());
    }
    let output = child.wait_with_output().tried(call)?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).trim().replace('\n', "; ");
        return Err(Error::new(format!("{what} of uid {uid}")).said(said));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
