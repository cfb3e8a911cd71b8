//! The machine as a whole: its one kernel, the distribution that is only
//! files, and whether it is a machine at all or a guest in another.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::Path;

use crate::error::{Context, Error, Result};
use crate::kernel::process;

/// What `uname(2)` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kernel {
    /// `Linux`.
    pub name: String,
    /// `6.1.0-13-amd64`.
    pub release: String,
    /// `#1 SMP PREEMPT_DYNAMIC …`.
    pub version: String,
    /// `x86_64`, `aarch64`.
    pub architecture: String,
    /// The host name of this UTS namespace.
    pub hostname: String,
}

/// Asks the kernel what it is.
pub fn kernel() -> Kernel {
    let uname = rustix::system::uname();
    let text = |value: &std::ffi::CStr| process::text(value.to_bytes());
    Kernel {
        name: text(uname.sysname()),
        release: text(uname.release()),
        version: text(uname.version()),
        architecture: text(uname.machine()),
        hostname: text(uname.nodename()),
    }
}

/// The distribution: os-release(5), which is a file and nothing else. `None`
/// where there is none.
pub fn os_release(root: &Path) -> Option<BTreeMap<String, String>> {
    let text = ["etc/os-release", "usr/lib/os-release"]
        .iter()
        .find_map(|path| fs::read(root.join(path)).ok())?;
    let assignment = |line: &str| {
        let (name, value) =
            line.trim().split_once('=').filter(|(name, _)| !name.starts_with('#'))?;
        Some((name.to_owned(), unquoted(value)))
    };
    Some(process::text(&text).lines().filter_map(assignment).collect())
}

/// Undoes the shell quoting that os-release allows.
fn unquoted(value: &str) -> String {
    let quote = value.chars().next().filter(|first| matches!(first, '"' | '\''));
    let inner =
        quote.and_then(|quote| value.strip_prefix(quote)?.strip_suffix(quote)).unwrap_or(value);
    let mut text = String::new();
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        let escaped = c == '\\' && quote != Some('\'');
        text.extend(if escaped { chars.next() } else { Some(c) });
    }
    text
}

/// Kernel modules: parts loaded into the kernel later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Modules {
    /// So many are loaded.
    Loaded(usize),
    /// This kernel was built without the possibility (`CONFIG_MODULES` is off).
    NotSupported,
}

/// Counts the lines of /proc/modules; a kernel without modules has no such file.
pub fn modules(proc: &Path) -> Result<Modules> {
    let path = proc.join("modules");
    match fs::read(&path) {
        Ok(lines) => Ok(Modules::Loaded(lines.iter().filter(|byte| **byte == b'\n').count())),
        // Where /proc itself is missing, nothing is known of modules.
        Err(error)
            if error.kind() == std::io::ErrorKind::NotFound && proc.join("version").exists() =>
        {
            Ok(Modules::NotSupported)
        }
        Err(error) => Err(Error::io(format!("read({path:?})"), &error)),
    }
}

/// A guest in something, and by which sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guest {
    /// `KVM`, `VMware`, `WSL2`, `docker`.
    pub of: String,
    /// The file and what it says.
    pub evidence: String,
}

/// The virtual machine this kernel runs in; `None` where nothing speaks for one.
pub fn virtual_machine(root: &Path) -> Option<Guest> {
    wsl(root)
        .or_else(|| dmi(root))
        .or_else(|| xen(root))
        .or_else(|| device_tree(root))
        .or_else(|| clock(root))
        .or_else(|| cpu_flag(root))
}

/// The pid namespace that the kernel starts with (`PROC_PID_INIT_INO`,
/// include/linux/proc_ns.h): no container is in it.
const FIRST_PID_NAMESPACE: &str = "pid:[4026531836]";

/// The container we are in: then "host" means this container.
///
/// Files alone do not prove it: a machine's root file system can come from an
/// image, /.dockerenv and all.
pub fn container(root: &Path) -> Option<Guest> {
    let namespace = fs::read_link(root.join("proc/self/ns/pid")).ok()?;
    if namespace == Path::new(FIRST_PID_NAMESPACE) {
        return None;
    }
    let unknown = || Guest {
        of: "unknown".to_owned(),
        evidence: format!("{} is not the kernel's first pid namespace", namespace.display()),
    };
    Some(kind_of_container(root).unwrap_or_else(unknown))
}

fn kind_of_container(root: &Path) -> Option<Guest> {
    let said = |path: &str| first_line(&root.join(path));
    if let Some(kind) = said("run/systemd/container") {
        return Some(Guest { evidence: format!("/run/systemd/container says {kind}"), of: kind });
    }
    for (path, of) in [(".dockerenv", "docker"), ("run/.containerenv", "podman")] {
        if root.join(path).exists() {
            return Some(Guest { of: of.to_owned(), evidence: format!("there is a file /{path}") });
        }
    }
    if root.join("proc/vz").exists() && !root.join("proc/bc").exists() {
        return Some(Guest { of: "OpenVZ".into(), evidence: "/proc/vz without /proc/bc".into() });
    }
    let environment = fs::read(root.join("proc/1/environ")).ok()?;
    let kind = environment.split(|byte| *byte == 0).find_map(|v| v.strip_prefix(b"container="))?;
    let kind = process::text(kind);
    Some(Guest { evidence: format!("/proc/1/environ has container={kind}"), of: kind })
}

fn wsl(root: &Path) -> Option<Guest> {
    let release = first_line(&root.join("proc/sys/kernel/osrelease"))?;
    release.to_lowercase().contains("microsoft").then(|| Guest {
        of: "WSL2".to_owned(),
        evidence: format!("/proc/sys/kernel/osrelease says {release}"),
    })
}

/// What the firmware calls the machine.
fn dmi(root: &Path) -> Option<Guest> {
    const VENDORS: [(&str, &str); 14] = [
        ("Amazon EC2", "Amazon EC2"),
        ("Google Compute Engine", "Google Compute Engine"),
        ("DigitalOcean", "KVM"),
        ("KVM", "KVM"),
        ("OpenStack", "KVM"),
        ("QEMU", "QEMU"),
        ("Bochs", "QEMU"),
        ("VMware", "VMware"),
        ("VMW", "VMware"),
        ("VirtualBox", "VirtualBox"),
        ("innotek GmbH", "VirtualBox"),
        ("Xen", "Xen"),
        ("Parallels", "Parallels"),
        ("Apple Virtualization", "Apple Virtualization"),
    ];
    for file in ["product_name", "sys_vendor", "board_vendor", "bios_vendor"] {
        let path = format!("sys/class/dmi/id/{file}");
        let Some(said) = first_line(&root.join(&path)) else { continue };
        let known = VENDORS.iter().find(|(sign, _)| said.starts_with(sign)).map(|(_, of)| *of);
        // Microsoft also makes machines that one can touch.
        let of = known.or((said == "Virtual Machine").then_some("Hyper-V"));
        // Amazon's metal machines name the same vendor.
        let metal = first_line(&root.join("sys/class/dmi/id/product_name"))
            .is_some_and(|product| product.ends_with(".metal"));
        if let Some(of) = of.filter(|_| !metal) {
            return Some(Guest { of: of.to_owned(), evidence: format!("/{path} says {said}") });
        }
    }
    None
}

fn xen(root: &Path) -> Option<Guest> {
    let kind = first_line(&root.join("sys/hypervisor/type"))?;
    Some(Guest { evidence: format!("/sys/hypervisor/type says {kind}"), of: kind })
}

fn device_tree(root: &Path) -> Option<Guest> {
    let said = first_line(&root.join("proc/device-tree/hypervisor/compatible"))?;
    let evidence = format!("/proc/device-tree/hypervisor/compatible says {said}");
    let of = if said.starts_with("xen") { "Xen" } else { "KVM" };
    Some(Guest { of: of.to_owned(), evidence })
}

/// A hypervisor lends its guests a clock, and the clock has its name. This is
/// what is left where the firmware says nothing (Firecracker has none).
fn clock(root: &Path) -> Option<Guest> {
    let path = "sys/devices/system/clocksource/clocksource0/available_clocksource";
    let clocks = first_line(&root.join(path))?;
    let known = [("kvm-clock", "KVM"), ("hyperv_clocksource", "Hyper-V"), ("xen", "Xen")];
    known.iter().find_map(|(clock, of)| {
        let name = clocks.split_whitespace().find(|name| name.starts_with(clock))?;
        Some(Guest { of: (*of).to_owned(), evidence: format!("it has the clock {name}") })
    })
}

/// The processor says that something stands between it and the kernel, but not what.
fn cpu_flag(root: &Path) -> Option<Guest> {
    let text = fs::read(root.join("proc/cpuinfo")).ok()?;
    let text = process::text(&text);
    let flags = text.lines().find(|line| line.starts_with("flags"))?;
    flags.split_whitespace().any(|flag| flag == "hypervisor").then(|| Guest {
        of: "unknown".to_owned(),
        evidence: "/proc/cpuinfo has the flag hypervisor".to_owned(),
    })
}

/// The first line of a small file, without what ends it; `None` where there is none.
fn first_line(path: &Path) -> Option<String> {
    let mut bytes = Vec::new();
    fs::File::open(path).ok()?.take(4096).read_to_end(&mut bytes).ok()?;
    let line = bytes.split(|byte| matches!(byte, b'\n' | 0)).next()?;
    let line = process::text(line).trim().to_owned();
    (!line.is_empty()).then_some(line)
}

/// When the machine was started, in seconds since the epoch, and how long ago that was.
pub fn boot(proc: &Path) -> Result<(u64, u64)> {
    use procfs::FromRead;
    let boot = process::boot_time(proc)?;
    let path = proc.join("uptime");
    let uptime = fs::File::open(&path).tried(|| format!("open({path:?})"))?;
    let uptime = procfs::Uptime::from_read(uptime)
        .map_err(|error| Error::new(format!("reading {}", path.display())).said(error))?;
    Ok((boot, uptime.uptime_duration().as_secs()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().expect("a directory");
        for (path, content) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().expect("a parent")).expect("made");
            fs::write(path, content).expect("written");
        }
        root
    }

    #[test]
    fn guests_are_known_by_their_signs() {
        let dmi = |product: &str, vendor: &str| {
            machine(&[
                ("sys/class/dmi/id/product_name", product),
                ("sys/class/dmi/id/sys_vendor", vendor),
            ])
        };
        let clock = "sys/devices/system/clocksource/clocksource0/available_clocksource";
        for (root, expected) in [
            (dmi("Standard PC (Q35 + ICH9, 2009)\n", "QEMU\n"), Some("QEMU")),
            (dmi("Virtual Machine\n", "Microsoft Corporation\n"), Some("Hyper-V")),
            (dmi("Surface Laptop\n", "Microsoft Corporation\n"), None),
            (dmi("m5.metal\n", "Amazon EC2\n"), None),
            (dmi("t3.small\n", "Amazon EC2\n"), Some("Amazon EC2")),
            (
                machine(&[("proc/sys/kernel/osrelease", "5.15.0-microsoft-standard-WSL2\n")]),
                Some("WSL2"),
            ),
            (machine(&[(clock, "kvm-clock tsc acpi_pm \n")]), Some("KVM")),
            (machine(&[("proc/cpuinfo", "flags\t\t: fpu hypervisor lm\n")]), Some("unknown")),
            (machine(&[("proc/cpuinfo", "flags\t\t: fpu lm\n"), (clock, "tsc hpet\n")]), None),
        ] {
            let found = virtual_machine(root.path());
            assert_eq!(found.as_ref().map(|guest| guest.of.as_str()), expected, "{found:?}");
        }
    }

    #[test]
    fn containers_are_known_by_their_signs() {
        let inside = |files: &[(&str, &str)], namespace: &str| {
            let root = machine(files);
            fs::create_dir_all(root.path().join("proc/self/ns")).expect("made");
            std::os::unix::fs::symlink(namespace, root.path().join("proc/self/ns/pid"))
                .expect("linked");
            container(root.path()).map(|guest| guest.of)
        };
        let of = |files: &[(&str, &str)]| inside(files, "pid:[4026532281]");
        assert_eq!(of(&[("run/systemd/container", "lxc\n")]).as_deref(), Some("lxc"));
        assert_eq!(of(&[(".dockerenv", "")]).as_deref(), Some("docker"));
        assert_eq!(of(&[("proc/1/environ", "A=b\0container=oci\0")]).as_deref(), Some("oci"));
        assert_eq!(of(&[("proc/1/environ", "A=b\0")]).as_deref(), Some("unknown"));
        assert_eq!(inside(&[(".dockerenv", "")], FIRST_PID_NAMESPACE), None);
    }

    #[test]
    fn os_release_is_unquoted_as_a_shell_would() {
        let root = machine(&[(
            "etc/os-release",
            "# x=1\nNAME=\"Rocky \\\"Linux\\\"\"\nID='a\\b'\nVERSION_ID=8.6\n",
        )]);
        let os = os_release(root.path()).expect("an os-release");
        assert_eq!(os["NAME"], "Rocky \"Linux\"");
        assert_eq!(os["ID"], "a\\b");
        assert_eq!(os["VERSION_ID"], "8.6");
        assert_eq!(os.len(), 3);
        assert_eq!(os_release(&root.path().join("none")), None);
    }

    #[test]
    fn no_modules_file_is_not_the_same_as_no_modules() {
        let some =
            machine(&[("modules", "a 1 0 - Live 0x0\nb 1 0 - Live 0x0\n"), ("version", "Linux")]);
        assert_eq!(modules(some.path()).expect("read"), Modules::Loaded(2));
        let without = machine(&[("version", "Linux")]);
        assert_eq!(modules(without.path()).expect("read"), Modules::NotSupported);
        assert!(modules(Path::new("/nowhere")).is_err());
    }
}
