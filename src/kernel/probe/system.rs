//! Which machine this is: kernel, distribution, architecture, and whether
//! "the host" is a machine, a virtual one, WSL2, or itself a container.

use std::path::Path;

use serde::Serialize;

use crate::kernel::host::{self, Guest};

/// Where this program runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Host {
    /// `uname -s -r`
    pub kernel: String,
    /// PRETTY_NAME of os-release.
    pub distribution: String,
    /// `uname -m`
    pub architecture: String,
    /// What the machine is simulated by, if something says so.
    pub virtualization: Option<String>,
    /// Whether this is a distribution under WSL2.
    pub wsl2: bool,
    /// Which kind of container "the host" is, if it is one.
    pub container: Option<String>,
    /// By which signs the last three are known.
    pub evidence: Vec<String>,
}

impl Host {
    /// Of this machine; `root` is `/`, or a fixture's directory.
    pub fn read(root: &Path) -> Self {
        let kernel = host::kernel();
        let machine = host::virtual_machine(root);
        let wsl2 = machine.as_ref().is_some_and(|guest| guest.of == "WSL2");
        // A distribution under WSL2 has a pid namespace of its own, too; there
        // only a sign that an engine left makes it a container.
        let container = host::container(root).filter(|guest| !wsl2 || guest.of != "unknown");
        let evidence = [&machine, &container].into_iter().flatten();
        let evidence = evidence.map(|guest| guest.evidence.clone()).collect();
        let of = |guest: Option<Guest>| guest.map(|guest| guest.of);
        let pretty = |mut os: std::collections::BTreeMap<_, _>| os.remove("PRETTY_NAME");
        Self {
            kernel: format!("{} {}", kernel.name, kernel.release),
            distribution: host::os_release(root)
                .and_then(pretty)
                .unwrap_or_else(|| "unknown (no os-release)".to_owned()),
            architecture: kernel.architecture,
            virtualization: of(machine),
            wsl2,
            container: of(container),
            evidence,
        }
    }

    /// What "the host" means here, for people.
    pub fn called(&self) -> String {
        match (&self.container, self.wsl2) {
            (Some(kind), _) => {
                format!("this container ({kind}): its kernel is that of a machine around it")
            }
            (None, true) => "this WSL2 distribution: its kernel is Microsoft's, in a virtual \
                             machine that all distributions share"
                .to_owned(),
            (None, false) => "this machine".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    fn host(files: &[(&str, &str)], pid_namespace: &str) -> Host {
        let root = tempfile::tempdir().expect("a directory");
        for (name, text) in files {
            let path = root.path().join(name);
            fs::create_dir_all(path.parent().expect("parent")).expect("mkdir");
            fs::write(path, text).expect("write");
        }
        let ns = root.path().join("proc/self/ns");
        fs::create_dir_all(&ns).expect("mkdir");
        symlink(pid_namespace, ns.join("pid")).expect("symlink");
        Host::read(root.path())
    }

    const OWN: &str = "pid:[4026532219]";
    const FIRST: &str = "pid:[4026531836]";
    const WSL2: (&str, &str) =
        ("proc/sys/kernel/osrelease", "5.15.153.1-microsoft-standard-WSL2\n");

    #[test]
    fn wsl2_is_named_and_is_no_container() {
        let wsl2 = host(&[WSL2], OWN);
        assert!(wsl2.wsl2 && wsl2.container.is_none(), "{wsl2:?}");
        assert!(wsl2.called().contains("WSL2"));
        let docker_in_it = host(&[WSL2, (".dockerenv", "")], OWN);
        assert_eq!(docker_in_it.container.as_deref(), Some("docker"));
    }

    #[test]
    fn in_a_container_the_host_is_the_container() {
        let files = [(".dockerenv", ""), ("etc/os-release", "PRETTY_NAME=\"Debian\"\nID=debian\n")];
        let inside = host(&files, OWN);
        assert_eq!(inside.container.as_deref(), Some("docker"));
        assert!(inside.called().starts_with("this container (docker)"));
        assert_eq!(inside.distribution, "Debian");
        // The same files in an image that was booted as a machine:
        assert_eq!(host(&files, FIRST).called(), "this machine");
    }
}
