//! What a container's monitor (its shim) says of it on its own command line.

use super::{Engine, Found};

/// Whether a process of this name can be a monitor: `comm` is at hand, and
/// most processes are ruled out without reading their arguments.
pub(super) fn promising(comm: &str) -> bool {
    const MONITORS: [&str; 9] = [
        "containerd-shim",
        "conmon",
        "lxc-start",
        "[lxc monitor]",
        // LXC as a library: the title is in the arguments only.
        "lxd",
        "incusd",
        "systemd-nspawn",
        "bwrap",
        "under-the-hood",
    ];
    // comm has 15 bytes at most, and LXC's own monitor writes its title there.
    MONITORS.iter().any(|monitor| comm.starts_with(&monitor[..monitor.len().min(14)]))
}

/// The container that a monitor with these arguments looks after.
pub(super) fn engine(comm: &str, arguments: &[String]) -> Option<Found> {
    let after = |flag: &str| {
        let at = arguments.iter().position(|argument| argument == flag)?;
        arguments.get(at + 1).cloned()
    };
    let program = arguments.first().and_then(|path| path.rsplit('/').next()).unwrap_or(comm);
    match program {
        _ if program.starts_with("containerd-shim") => {
            let id = after("-id");
            let engine = match after("-namespace").as_deref() {
                Some("moby") => Engine::Docker,
                Some("k8s.io") => Engine::Kubernetes,
                _ => Engine::Containerd,
            };
            Some(Found { engine, id, name: None })
        }
        "conmon" => Some(conmon(after("-c"), after("-n"))),
        "systemd-nspawn" => Some(nspawn(machine(arguments))),
        "bwrap" => Some(Found { engine: Engine::Bwrap, id: None, name: None }),
        "lxc-start" => Some(Found {
            engine: Engine::Lxc,
            id: None,
            name: after("-n").or_else(|| after("--name")),
        }),
        _ if program.starts_with("under-the-hood") => ours(arguments),
        _ => lxc_monitor(arguments),
    }
}

/// CRI-O starts conmon too: without a name, or with one made of
/// `k8s_CONTAINER_POD_NAMESPACE_UID_ATTEMPT`, as the kubelet asks for.
fn conmon(id: Option<String>, name: Option<String>) -> Found {
    match name {
        None => Found { engine: Engine::Kubernetes, id, name },
        Some(name) => match kubelets(&name) {
            Some(name) => Found { engine: Engine::Kubernetes, id, name: Some(name) },
            None => Found { engine: Engine::Podman, id, name: Some(name) },
        },
    }
}

/// `NAMESPACE/POD/CONTAINER`.
fn kubelets(name: &str) -> Option<String> {
    let parts: Vec<_> = name.strip_prefix("k8s_")?.split('_').collect();
    match parts[..] {
        [container, pod, namespace, _, _] => Some(format!("{namespace}/{pod}/{container}")),
        _ => None,
    }
}

/// rkt's stage1 is started as nspawn's machine `rkt-UUID`.
fn nspawn(name: Option<String>) -> Found {
    let uuid = name.as_deref().and_then(|name| name.strip_prefix("rkt-"));
    match uuid.filter(|uuid| uuid.len() == 36) {
        Some(uuid) => Found { engine: Engine::Rkt, id: None, name: Some(uuid.to_owned()) },
        None => Found { engine: Engine::Nspawn, id: None, name },
    }
}

/// The directory and the name in the title that LXC's monitor gives itself:
/// `[lxc monitor] /var/lib/lxc web`.
pub(super) fn lxc_title(arguments: &[String]) -> Option<(&str, &str)> {
    arguments.first()?.strip_prefix("[lxc monitor] ")?.rsplit_once(' ')
}

/// LXD and Incus keep their containers below directories of their own.
fn lxc_monitor(arguments: &[String]) -> Option<Found> {
    let (directory, name) = lxc_title(arguments)?;
    let engine = match directory {
        of if of.ends_with("/lxd/containers") => Engine::Lxd,
        of if of.ends_with("/incus/containers") => Engine::Incus,
        _ => Engine::Lxc,
    };
    Some(Found { engine, id: None, name: Some(name.to_owned()) })
}

/// `-M NAME`, `-MNAME`, `--machine NAME` or `--machine=NAME`; else what stands
/// in for it, the last part of `-D DIRECTORY` (systemd-nspawn(1)).
fn machine(arguments: &[String]) -> Option<String> {
    let value = |short: &str, long: &str| {
        arguments.iter().enumerate().find_map(|(at, argument)| {
            if argument == short || argument == long {
                return arguments.get(at + 1).cloned();
            }
            let equals = argument.strip_prefix(long).and_then(|rest| rest.strip_prefix('='));
            equals
                .or_else(|| argument.strip_prefix(short).filter(|_| !argument.starts_with("--")))
                .map(str::to_owned)
        })
    };
    let directory = || {
        let directory = value("-D", "--directory")?;
        directory.trim_end_matches('/').rsplit('/').next().map(str::to_owned)
    };
    value("-M", "--machine").or_else(directory)
}

/// A container of ours that is not in our registry: another user's, or another
/// UTH_HOME's. Its shim has the title `under-the-hood: shim of NAME`, of which
/// a short command line leaves room for the beginning only.
fn ours(arguments: &[String]) -> Option<Found> {
    let title = arguments.first().and_then(|title| title.strip_prefix("under-the-hood: "));
    if let Some(title) = title {
        let name = title.strip_prefix("shim of ").map(str::to_owned);
        return Some(Found { engine: Engine::UnderTheHood, id: None, name });
    }
    arguments.iter().any(|argument| argument == "run" || argument == "__init").then(|| {
        let name =
            arguments.iter().enumerate().find_map(|(at, argument)| match argument.as_str() {
                "--name" => arguments.get(at + 1).cloned(),
                other => other.strip_prefix("--name=").map(str::to_owned),
            });
        Found { engine: Engine::UnderTheHood, id: None, name }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label(line: &str) -> Option<String> {
        let arguments: Vec<_> = line.split('|').map(str::to_owned).collect();
        let comm: String = arguments[0].rsplit('/').next()?.chars().take(15).collect();
        engine(&comm, &arguments).map(|found| found.label())
    }

    #[test]
    fn a_monitor_names_its_container() {
        for (line, expected) in [
            (
                "/usr/bin/containerd-shim-runc-v2|-namespace|default|-id|v1|-address|/run/x.sock",
                "containerd:v1",
            ),
            ("/usr/bin/containerd-shim-runc-v2|-namespace|moby|-id|abc", "docker:abc"),
            (
                "/usr/bin/conmon|--api-version|1|-c|0123|-u|0123|-r|/usr/bin/crun|-n|web",
                "podman:web",
            ),
            ("systemd-nspawn|-q|-D|/srv/tree|-M|box", "nspawn:box"),
            ("systemd-nspawn|--machine=box", "nspawn:box"),
            ("/usr/bin/systemd-nspawn|-D|/srv/tree/", "nspawn:tree"),
            ("bwrap|--ro-bind|/|/", "bwrap"),
            (
                "/usr/libexec/crio/conmon|-b|/run/containers/storage/overlay-containers/01/userdata|-c|01|-n|k8s_httpd_web-7_default_3f_0|-P|/x",
                "kubernetes:default/web-7/httpd",
            ),
            ("/usr/bin/conmon|-c|01|-u|01", "kubernetes:01"),
            (
                "stage1/rootfs/usr/bin/systemd-nspawn|--boot|--machine=rkt-bfb7d57e-80ff-4ef8-b602-9b907b3f3a38|--register=true",
                "rkt:bfb7d57e-80ff-4ef8-b602-9b907b3f3a38",
            ),
            ("[lxc monitor] /var/snap/lxd/common/lxd/containers web", "lxd:web"),
            ("[lxc monitor] /var/lib/incus/containers web", "incus:web"),
            ("[lxc monitor] /var/lib/lxc web", "lxc:web"),
            ("under-the-hood: shim of box", "under-the-hood:box"),
            ("under-the-hood: shi", "under-the-hood"),
            ("/root/.cargo/bin/under-the-hood|run|-d|--name|box|base", "under-the-hood:box"),
        ] {
            assert_eq!(label(line).as_deref(), Some(expected), "{line}");
        }
        assert_eq!(label("/bin/sh|-c|conmon"), None);
        assert_eq!(label("under-the-hood|inspect|ns"), None);
    }

    #[test]
    fn only_monitors_are_worth_reading() {
        for comm in [
            "containerd-shim",
            "conmon",
            "[lxc monitor] /v",
            "lxd",
            "incusd",
            "systemd-nspawn",
            "bwrap",
            "under-the-hood",
        ] {
            assert!(promising(comm), "{comm}");
        }
        assert!(!promising("bash"));
    }
}
