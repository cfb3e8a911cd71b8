//! What a container may do: capabilities, system calls, and whether an exec
//! may still gain something. docker's defaults, and docker's ways to change them.

use std::io::Read;

use serde::{Deserialize, Serialize};

use crate::container::spec::usage;
use crate::error::{Context, Error, Exit, Result};
use crate::kernel::capability;
use crate::kernel::credentials::DOCKER_DEFAULT;
use crate::kernel::seccomp::{self, Circumstances, Install, Profile};

/// The longest profile that is read: docker's own has 14 KB.
const LONGEST_PROFILE: u64 = 256 * 1024;

/// Which system calls.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Seccomp {
    /// docker's default list.
    Default,
    /// All.
    Unconfined,
    /// As a file said.
    Profile(Profile),
}

/// Which user namespace a container gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum UserNamespace {
    /// One of its own
    Auto,
    /// The host's
    Host,
}

/// What a container may do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rights {
    /// The bounding set, by name: what root in there has, and nobody exceeds.
    pub capabilities: Vec<String>,
    /// Which system calls.
    pub seccomp: Seccomp,
    /// The capabilities by which the list of calls goes, where not the above:
    /// those of the container that `exec --privileged` enters.
    pub calls_as_for: Option<Vec<String>>,
    /// Whether `execve` can no longer give anything (set-uid, file capabilities).
    pub no_new_privileges: bool,
    /// Whether what /proc and /sys tell and take of the host is left open.
    pub system_paths: bool,
    /// Whether it gets the host's devices.
    pub devices: bool,
}

impl Default for Rights {
    fn default() -> Self {
        Self {
            capabilities: DOCKER_DEFAULT.iter().map(|name| (*name).to_owned()).collect(),
            seccomp: Seccomp::Default,
            calls_as_for: None,
            no_new_privileges: true,
            system_paths: false,
            devices: false,
        }
    }
}

impl Rights {
    /// `--cap-add` and `--cap-drop`, as docker combines them: what is dropped
    /// goes first, then what is added comes; with ALL added, all but what is
    /// dropped. `available` is what can be given at all.
    pub fn tweak(&mut self, add: &[String], drop: &[String], available: &[String]) -> Result<()> {
        let (add, drop) = (named("--cap-add", add)?, named("--cap-drop", drop)?);
        let listed =
            |list: &[Option<String>], name: &String| list.iter().flatten().any(|n| n == name);
        let added = add.iter().flatten();
        self.capabilities = if add.contains(&None) {
            available.iter().filter(|name| !listed(&drop, name)).cloned().collect()
        } else if drop.contains(&None) {
            added.cloned().collect()
        } else {
            let kept = self.capabilities.iter().filter(|name| !listed(&drop, name));
            kept.chain(added).cloned().collect()
        };
        self.capabilities.sort_unstable_by_key(|name| capability::number(name));
        self.capabilities.dedup();
        match add.iter().flatten().find(|name| !available.contains(name)) {
            None => Ok(()),
            Some(name) => Err(Error::new(format!("--cap-add {name}"))
                .said("this process has not got it, so it cannot give it")
                .hint("`inspect process self` shows the bounding set: it only ever shrinks, from parent to child.")
                .exit(Exit::Engine)),
        }
    }

    /// `--security-opt NAME=VALUE`; `NAME:VALUE`, as docker once wrote it, too.
    pub fn security_option(&mut self, given: &str) -> Result<()> {
        let (name, value) = match given.find(['=', ':']) {
            Some(at) => (&given[..at], Some(&given[at + 1..])),
            None => (given, None),
        };
        match (name, value) {
            ("seccomp", Some("unconfined")) => self.seccomp = Seccomp::Unconfined,
            ("seccomp", Some("builtin")) => self.seccomp = Seccomp::Default,
            ("seccomp", Some(file)) if !file.is_empty() => {
                self.seccomp = Seccomp::Profile(profile(file)?);
            }
            ("no-new-privileges", None | Some("true")) => self.no_new_privileges = true,
            ("no-new-privileges", Some("false")) => {
                if crate::kernel::security::no_new_privs()? {
                    return Err(Error::new(format!("--security-opt {given}"))
                        .said("this process has no_new_privs itself, and nothing takes it away again")
                        .hint("Start it from a shell without: `grep NoNewPrivs /proc/self/status` says 0.")
                        .exit(Exit::Engine));
                }
                self.no_new_privileges = false;
            }
            ("systempaths", Some("unconfined")) => self.system_paths = true,
            ("apparmor" | "label", Some(_)) => {
                return Err(usage(format!(
                    "--security-opt {given}: labels of security modules are not set here"
                ))
                .hint("What this program knows: seccomp, no-new-privileges, systempaths."));
            }
            _ => {
                return Err(usage(format!("--security-opt {given} is not known")).hint(
                    "Known: seccomp=FILE|unconfined|builtin, no-new-privileges[=true|false], systempaths=unconfined.",
                ));
            }
        }
        Ok(())
    }

    /// `--privileged`: all that can be given. A seccomp option given beside it counts.
    pub fn privileged(&mut self, available: &[String]) {
        self.capabilities = available.to_vec();
        self.seccomp = Seccomp::Unconfined;
        self.system_paths = true;
        self.devices = true;
    }

    /// `exec --privileged`: every capability, but the container's system calls.
    pub fn privileged_process(&mut self, available: &[String]) {
        let before = std::mem::replace(&mut self.capabilities, available.to_vec());
        self.calls_as_for.get_or_insert(before);
    }

    /// The seccomp filters that this comes to, in the order in which they are installed.
    pub fn filters(&self) -> Result<Vec<Install>> {
        let profile = match &self.seccomp {
            Seccomp::Unconfined => return Ok(Vec::new()),
            Seccomp::Default => &Profile::docker_default(),
            Seccomp::Profile(profile) => profile,
        };
        let kernel = procfs::sys::kernel::Version::current().map_err(|error| {
            Error::new("reading the kernel's version from /proc/sys/kernel/osrelease").said(error)
        })?;
        let circumstances = Circumstances {
            capabilities: self.calls_as_for.as_ref().unwrap_or(&self.capabilities).clone(),
            kernel: (kernel.major.into(), kernel.minor.into()),
            arch: seccomp::architecture()?,
        };
        let filters = profile.filters(&circumstances)?;
        let arch = circumstances.arch;
        match seccomp::lacking(&filters, arch, needed(self.no_new_privileges)) {
            None => filters
                .iter()
                .map(|filter| filter.install(arch).map_err(|error| error.exit(Exit::Engine)))
                .collect(),
            Some(call) => Err(profile
                .refused(&format!("it refuses {call}, which our own last steps need"))
                .hint("The filter is in force before the command is executed: allow this call in the profile.")),
        }
    }
}

/// What a process of ours still calls between the filter and the command.
fn needed(no_new_privileges: bool) -> &'static [&'static str] {
    const LAST: &[&str] =
        &["brk", "close", "execve", "exit_group", "mmap", "munmap", "sendmsg", "umask", "statx"];
    // Without no_new_privs a filter takes CAP_SYS_ADMIN, so it comes before capabilities go.
    const BEFORE: &[&str] = &[
        "brk",
        "capget",
        "capset",
        "close",
        "dup",
        "execve",
        "exit_group",
        "fcntl",
        "mmap",
        "munmap",
        "poll",
        "ppoll",
        "prctl",
        "sendmsg",
        "setgid",
        "setgroups",
        "setuid",
        "statx",
        "umask",
    ];
    if no_new_privileges { LAST } else { BEFORE }
}

/// Each by its full name, ALL as `None`.
fn named(flag: &str, given: &[String]) -> Result<Vec<Option<String>>> {
    let one = |given: &String| match given.eq_ignore_ascii_case("ALL") {
        true => Ok(None),
        false => match capability::number(given).and_then(capability::name) {
            Some(name) => Ok(Some(name.to_owned())),
            None => Err(usage(format!("{flag} {given}: there is no such capability"))
                .hint("Names as in capabilities(7), with or without CAP_, or ALL.")),
        },
    };
    given.iter().map(one).collect()
}

fn profile(file: &str) -> Result<Profile> {
    let open = || format!("open({file:?})");
    let reader = std::fs::File::open(file).tried(open).map_err(|error| {
        error.hint("--security-opt seccomp takes a file of this machine, in docker's JSON, or `unconfined`.").exit(Exit::Engine)
    })?;
    let mut text = String::new();
    let read = reader.take(LONGEST_PROFILE + 1).read_to_string(&mut text);
    read.tried(|| format!("read({file:?})")).map_err(|error| error.exit(Exit::Engine))?;
    match text.len() as u64 <= LONGEST_PROFILE {
        true => Profile::from_json(file, &text),
        false => Err(Error::new(format!("--security-opt seccomp={file}"))
            .said("the file is longer than 256 KB, so it is no profile")
            .exit(Exit::Engine)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> Vec<String> {
        (0..=capability::LAST).filter_map(capability::name).map(str::to_owned).collect()
    }

    fn tweaked(add: &[&str], drop: &[&str]) -> Result<Vec<String>> {
        let owned =
            |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let mut rights = Rights::default();
        rights.tweak(&owned(add), &owned(drop), &all()).map(|()| rights.capabilities)
    }

    /// What docker 20.10 and 28 make of the same flags.
    #[test]
    fn capabilities_are_combined_as_docker_combines_them() {
        assert_eq!(tweaked(&[], &["ALL"]).unwrap(), [""; 0]);
        assert_eq!(tweaked(&["net_admin"], &["all"]).unwrap(), ["CAP_NET_ADMIN"]);
        assert_eq!(tweaked(&["ALL"], &[]).unwrap(), all());
        let but_one = tweaked(&["all"], &["CAP_sys_admin"]).unwrap();
        assert_eq!(
            (but_one.len(), but_one.contains(&"CAP_SYS_ADMIN".to_owned())),
            (all().len() - 1, false)
        );
        assert_eq!(tweaked(&["ALL"], &["ALL"]).unwrap(), all());
        let both = tweaked(&["Chown", "SYS_TIME", "sys_time"], &["CHOWN", "kill"]).unwrap();
        assert!(both.contains(&"CAP_CHOWN".to_owned()) && !both.contains(&"CAP_KILL".to_owned()));
        assert_eq!(both.len(), 14);
        for wrong in ["CAP_ALL", "", "SYS", "CAP_CAP_CHOWN", "chown "] {
            assert_eq!(tweaked(&[wrong], &[]).unwrap_err().exit, Exit::Engine, "{wrong:?}");
            assert_eq!(tweaked(&[], &[wrong]).unwrap_err().exit, Exit::Engine, "{wrong:?}");
        }
    }

    #[test]
    fn security_options_are_known_or_refused() {
        let mut rights = Rights::default();
        for good in [
            "seccomp=unconfined",
            "seccomp:unconfined",
            "no-new-privileges",
            "no-new-privileges:true",
            "systempaths=unconfined",
        ] {
            rights.security_option(good).unwrap();
        }
        assert_eq!((&rights.seccomp, rights.no_new_privileges), (&Seccomp::Unconfined, true));
        for wrong in [
            "",
            "seccomp",
            "seccomp=",
            "seccomp=/no/such/file",
            "no-new-privileges=maybe",
            "apparmor=unconfined",
            "label=disable",
            "systempaths=x",
        ] {
            assert_eq!(rights.security_option(wrong).unwrap_err().exit, Exit::Engine, "{wrong}");
        }
    }

    #[test]
    fn a_profile_must_leave_us_what_we_need() {
        let text = r#"{"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [{"names": ["execve"], "action": "SCMP_ACT_ALLOW"}]}"#;
        let seccomp = Seccomp::Profile(Profile::from_json("few.json", text).unwrap());
        let error = Rights { seccomp, ..Rights::default() }.filters().unwrap_err();
        assert!(error.to_string().contains("it refuses brk"), "{error}");
        assert_eq!(Rights::default().filters().unwrap().len(), 2);
        let unconfined = Rights { seccomp: Seccomp::Unconfined, ..Rights::default() };
        assert_eq!(unconfined.filters().unwrap(), []);
    }
}
