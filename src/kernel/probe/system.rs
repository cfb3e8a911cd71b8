//! Which machine this is: kernel, distribution, architecture, and whether
//! "the host" is a machine, a virtual one, WSL2, or itself a container.

use std::fs;
use std::path::Path;

use serde::Serialize;

/// Where this program runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Host {
    /// `uname -s -r`
    pub kernel: String,
    /// PRETTY_NAME of /etc/os-release.
    pub distribution: String,
    /// `uname -m`
    pub architecture: String,
    /// What the machine is simulated by, if it says so.
    pub virtualization: Option<String>,
    /// Whether this is a distribution under WSL2.
    pub wsl2: bool,
    /// Which kind of container "the host" is, if it is one.
    pub container: Option<String>,
}

impl Host {
    /// Of this machine; `root` is `/`, or a fixture's directory.
    pub fn read(root: &Path) -> Self {
        let uname = rustix::system::uname();
        Self {
            kernel: format!(
                "{} {}",
                uname.sysname().to_string_lossy(),
                uname.release().to_string_lossy()
            ),
            distribution: field(&os_release(root), "PRETTY_NAME")
                .unwrap_or_else(|| "unknown (no os-release)".to_owned()),
            architecture: uname.machine().to_string_lossy().into_owned(),
            virtualization: virtualization(root),
            wsl2: is_wsl2(root),
            container: container(root),
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

/// The text of os-release, of the first place that has it (os-release(5)).
pub fn os_release(root: &Path) -> String {
    let read = |path: &str| fs::read_to_string(root.join(path)).ok();
    read("etc/os-release").or_else(|| read("usr/lib/os-release")).unwrap_or_default()
}

/// A value of os-release, without its quotes.
pub fn field(os_release: &str, key: &str) -> Option<String> {
    let value =
        os_release.lines().find_map(|line| line.trim().strip_prefix(key)?.strip_prefix('='))?;
    Some(value.trim().trim_matches(['"', '\'']).to_owned()).filter(|value| !value.is_empty())
}

/// WSL2's kernel calls itself `5.15.90.1-microsoft-standard-WSL2`; WSL1, which
/// has no Linux kernel, `4.4.0-19041-Microsoft`.
fn is_wsl2(root: &Path) -> bool {
    let version = fs::read_to_string(root.join("proc/version")).unwrap_or_default();
    let version = version.to_lowercase();
    version.contains("wsl2") || version.contains("microsoft-standard")
}

/// The numbers of the namespaces that a kernel makes first (its include/linux/proc_ns.h);
/// whoever is in others was put there.
const FIRST: [(&str, &str); 5] = [
    ("cgroup", "cgroup:[4026531835]"),
    ("pid", "pid:[4026531836]"),
    ("user", "user:[4026531837]"),
    ("uts", "uts:[4026531838]"),
    ("ipc", "ipc:[4026531839]"),
];

/// Which of our namespaces are not the kernel's first.
pub fn own_namespaces(root: &Path) -> Vec<&'static str> {
    let differs = |name: &str, first: &str| {
        let link = fs::read_link(root.join("proc/self/ns").join(name));
        link.is_ok_and(|link| link.as_os_str() != first)
    };
    FIRST.iter().filter(|(name, first)| differs(name, first)).map(|(name, _)| *name).collect()
}

/// Files that engines leave in their containers.
const MARKS: [(&str, &str); 2] = [(".dockerenv", "docker"), ("run/.containerenv", "podman")];

/// Which kind of container we are in, by kernel evidence first: a file such as
/// /.dockerenv is also in an image that was booted as a machine.
fn container(root: &Path) -> Option<String> {
    let own = own_namespaces(root);
    let named = mark(root);
    // A WSL2 distribution has namespaces of its own, too; there only a mark tells.
    if own.is_empty() || (named.is_none() && (is_wsl2(root) || !own.contains(&"pid"))) {
        return None;
    }
    Some(named.unwrap_or_else(|| format!("of a kind unknown; its own: {}", own.join(", "))))
}

fn mark(root: &Path) -> Option<String> {
    let read = |path: &str| fs::read_to_string(root.join(path)).ok();
    let manager = ["run/host/container-manager", "run/systemd/container"];
    let written = manager.iter().find_map(|path| read(path)).map(|text| text.trim().to_owned());
    let from_pid_1 = || {
        let environ = read("proc/1/environ")?;
        environ.split('\0').find_map(|entry| entry.strip_prefix("container=").map(str::to_owned))
    };
    let from_file = || {
        let file = MARKS.iter().find(|(path, _)| root.join(path).exists())?;
        Some(file.1.to_owned())
    };
    let from_mounts = || {
        let mounts = read("proc/self/mountinfo")?;
        let top = mounts.lines().find(|line| line.split(' ').nth(4) == Some("/"))?;
        [("/docker/", "docker"), ("containerd", "containerd"), ("/containers/storage", "podman")]
            .into_iter()
            .find(|(path, _)| top.contains(path))
            .map(|(_, name)| name.to_owned())
    };
    written
        .filter(|name| !name.is_empty() && name != "wsl")
        .or_else(from_pid_1)
        .or_else(from_file)
        .or_else(from_mounts)
}

/// What the firmware calls the machine, and else whether the processor says
/// that a hypervisor is below it.
pub fn virtualization(root: &Path) -> Option<String> {
    let dmi = |name: &str| {
        let text = fs::read_to_string(root.join("sys/class/dmi/id").join(name)).ok()?;
        Some(text.trim().to_owned())
    };
    let firmware =
        [dmi("sys_vendor"), dmi("product_name"), dmi("bios_vendor")].into_iter().flatten();
    let firmware: String = firmware.collect::<Vec<_>>().join(" ");
    let known = [
        ("QEMU", "qemu/kvm"),
        ("KVM", "kvm"),
        ("VMware", "vmware"),
        ("VirtualBox", "virtualbox"),
        ("innotek", "virtualbox"),
        ("Xen", "xen"),
        ("Microsoft Corporation Virtual Machine", "hyper-v"),
        ("Amazon EC2", "amazon"),
        ("Google", "google"),
        ("Parallels", "parallels"),
        ("Apple Virtualization", "apple"),
        ("Bochs", "bochs"),
    ];
    if let Some((_, name)) = known.iter().find(|(mark, _)| firmware.contains(mark)) {
        return Some((*name).to_owned());
    }
    if let Ok(kind) = fs::read_to_string(root.join("sys/hypervisor/type")) {
        return Some(kind.trim().to_owned());
    }
    let processor = fs::read_to_string(root.join("proc/cpuinfo")).unwrap_or_default();
    let flags = processor.lines().find(|line| line.starts_with("flags"))?;
    flags
        .split_whitespace()
        .any(|flag| flag == "hypervisor")
        .then(|| "a hypervisor that does not name itself".to_owned())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn fixture(files: &[(&str, &str)], pid_namespace: &str) -> tempfile::TempDir {
        let root = tempfile::tempdir().expect("a directory");
        for (name, text) in files {
            let path = root.path().join(name);
            fs::create_dir_all(path.parent().expect("parent")).expect("mkdir");
            fs::write(path, text).expect("write");
        }
        let ns = root.path().join("proc/self/ns");
        fs::create_dir_all(&ns).expect("mkdir");
        for (name, first) in FIRST {
            let target = if name == "pid" { pid_namespace } else { first };
            symlink(target, ns.join(name)).expect("symlink");
        }
        root
    }

    const OWN: &str = "pid:[4026532219]";
    const FIRST_PID: &str = "pid:[4026531836]";

    #[test]
    fn wsl2_is_named_and_is_no_container() {
        let version = "Linux version 5.15.153.1-microsoft-standard-WSL2 (root@941d701f84f1)";
        let host = Host::read(fixture(&[("proc/version", version)], OWN).path());
        assert!(host.wsl2 && host.container.is_none());
        assert!(host.called().contains("WSL2"));
        let wsl1 = "Linux version 4.4.0-19041-Microsoft (Microsoft@Microsoft.com)";
        assert!(!Host::read(fixture(&[("proc/version", wsl1)], FIRST_PID).path()).wsl2);
    }

    #[test]
    fn a_docker_container_is_told_from_an_image_booted_as_a_machine() {
        let mark = [(".dockerenv", ""), ("etc/os-release", "PRETTY_NAME=\"Debian\"\nID=debian\n")];
        let inside = Host::read(fixture(&mark, OWN).path());
        assert_eq!(inside.container.as_deref(), Some("docker"));
        assert!(inside.called().starts_with("this container"));
        assert_eq!(inside.distribution, "Debian");
        assert_eq!(Host::read(fixture(&mark, FIRST_PID).path()).container, None);
    }

    #[test]
    fn other_containers_name_themselves() {
        let podman = fixture(&[("run/.containerenv", "")], OWN);
        assert_eq!(container(podman.path()).as_deref(), Some("podman"));
        let lxc = fixture(&[("proc/1/environ", "HOME=/\0container=lxc\0")], OWN);
        assert_eq!(container(lxc.path()).as_deref(), Some("lxc"));
        let nspawn = fixture(&[("run/host/container-manager", "systemd-nspawn\n")], OWN);
        assert_eq!(container(nspawn.path()).as_deref(), Some("systemd-nspawn"));
        let unknown = fixture(&[], OWN);
        assert!(container(unknown.path()).is_some_and(|kind| kind.contains("its own: pid")));
    }

    #[test]
    fn virtual_machines_are_named_by_their_firmware_or_not_at_all() {
        let qemu = fixture(&[("sys/class/dmi/id/sys_vendor", "QEMU\n")], FIRST_PID);
        assert_eq!(virtualization(qemu.path()).as_deref(), Some("qemu/kvm"));
        let bare = fixture(&[("proc/cpuinfo", "flags\t\t: fpu vme\n")], FIRST_PID);
        assert_eq!(virtualization(bare.path()), None);
        let cpu = fixture(&[("proc/cpuinfo", "flags\t\t: fpu hypervisor\n")], FIRST_PID);
        assert!(virtualization(cpu.path()).is_some());
    }
}
