//! What an engine writes into the path of a container's cgroup.

use std::path::Path;

use super::{Engine, Found};

/// The distinct cgroup paths of a process, over all hierarchies (cgroups(7)).
pub(super) fn of(proc: &Path, pid: i32) -> Vec<String> {
    let lines = std::fs::read(proc.join(format!("{pid}/cgroup"))).unwrap_or_default();
    let text = crate::kernel::process::text(&lines);
    let mut paths = Vec::new();
    for path in text.lines().filter_map(|line| line.splitn(3, ':').nth(2)) {
        if !paths.iter().any(|known| known == path) {
            paths.push(path.to_owned());
        }
    }
    paths
}

/// The container that a path names. Containers can be nested, so the innermost counts.
pub(super) fn engine(path: &str) -> Option<Found> {
    let parts: Vec<_> = path.split('/').collect();
    (0..parts.len()).rev().find_map(|at| {
        let above = at.checked_sub(1).map_or("", |above| parts[above]);
        let in_kubernetes = parts[..at].iter().any(|part| part.starts_with("kubepods"));
        component(parts[at], above, in_kubernetes)
    })
}

/// One component of a path and the one above it.
fn component(part: &str, above: &str, in_kubernetes: bool) -> Option<Found> {
    let id = |engine, id: &str| Some(Found { engine, id: Some(id.to_owned()), name: None });
    let name = |engine, name: &str| Some(Found { engine, id: None, name: Some(name.to_owned()) });
    let scope = part.strip_suffix(".scope").unwrap_or(part);
    // libpod-conmon-ID holds Podman's monitor, which is the host's; its pause
    // process holds the user namespace of all rootless containers.
    if scope.starts_with("podman-pause") {
        return Some(Found { engine: Engine::Podman, id: None, name: None });
    }
    if let Some((prefix, digits)) = scope.rsplit_once('-').filter(|(_, digits)| is_id(digits)) {
        return match prefix {
            _ if in_kubernetes => id(Engine::Kubernetes, digits),
            "docker" => id(Engine::Docker, digits),
            "libpod" => id(Engine::Podman, digits),
            "cri-containerd" | "crio" => id(Engine::Kubernetes, digits),
            "nerdctl" => id(Engine::Containerd, digits),
            _ => None,
        };
    }
    if is_id(part) && in_kubernetes {
        return id(Engine::Kubernetes, part);
    }
    if is_id(part) && above == "docker" {
        return id(Engine::Docker, part);
    }
    if let Some(container) = part.strip_prefix("lxc.payload.") {
        return name(Engine::Lxc, container);
    }
    if matches!(above, "lxc" | "lxc.payload") && !part.is_empty() {
        return name(Engine::Lxc, part);
    }
    if let Some(found) = machine(scope).or_else(|| flatpak(scope)).filter(|_| scope != part) {
        return Some(found);
    }
    if let Some(machine) =
        part.strip_prefix("systemd-nspawn@").and_then(|p| p.strip_suffix(".service"))
    {
        return name(Engine::Nspawn, &unescaped(machine));
    }
    None
}

/// What systemd-machined was told of: `machine-box.scope`, of nspawn; rkt's are called
/// `rkt-UUID`. libvirt's machines (`qemu-1-box`, `lxc-1-box`) are not ours to name.
fn machine(scope: &str) -> Option<Found> {
    let machine = unescaped(scope.strip_prefix("machine-")?);
    let of = |engine, name: &str| Found { engine, id: None, name: Some(name.to_owned()) };
    let numbered = |prefix: &str| {
        let rest = machine.strip_prefix(prefix);
        rest.is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
    };
    match machine.strip_prefix("rkt-") {
        Some(uuid) if uuid.len() == 36 => Some(of(Engine::Rkt, uuid)),
        _ if numbered("qemu-") || numbered("lxc-") || machine.is_empty() => None,
        _ => Some(of(Engine::Nspawn, &machine)),
    }
}

/// `app-flatpak-org.example.App-4711.scope`; older ones without `app-`.
fn flatpak(scope: &str) -> Option<Found> {
    let app = scope.strip_prefix("app-").unwrap_or(scope).strip_prefix("flatpak-")?;
    let (app, pid) = app.rsplit_once('-')?;
    let digits = !pid.is_empty() && pid.bytes().all(|byte| byte.is_ascii_digit());
    let name = Some(unescaped(app));
    digits.then_some(Found { engine: Engine::Flatpak, id: None, name })
}

/// The service that a path is of: `/system.slice/systemd-udevd.service`. What
/// a person starts is in a scope below `user@1000.service`, and no service.
pub(super) fn service(path: &str) -> Option<&str> {
    let unit = |part: &&str| part.ends_with(".service") || part.ends_with(".scope");
    path.split('/').rfind(unit).filter(|unit| unit.ends_with(".service"))
}

/// Docker, Podman and Kubernetes use 64 hexadecimal digits.
fn is_id(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// systemd writes what is special in a unit's name as `\x2d` (systemd.unit(5)).
fn unescaped(name: &str) -> String {
    name.replace("\\x2d", "-")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "3564a12dd942b8a7c0e1f2d3c4b5a697887766554433221100ffeeddccbbaa99";

    #[test]
    fn engines_are_known_by_their_paths() {
        for (path, label) in [
            (format!("/docker/{ID}"), "docker:3564a12dd942"),
            (format!("/system.slice/docker-{ID}.scope"), "docker:3564a12dd942"),
            (format!("/docker/{ID}/init"), "docker:3564a12dd942"),
            (format!("/../../docker/{ID}"), "docker:3564a12dd942"),
            (format!("/machine.slice/libpod-{ID}.scope/container"), "podman:3564a12dd942"),
            (format!("/libpod_parent/libpod-{ID}"), "podman:3564a12dd942"),
            (format!("/kubepods/besteffort/pod12-34/{ID}"), "kubernetes:3564a12dd942"),
            (
                format!("/kubepods.slice/kubepods-pod1.slice/cri-containerd-{ID}.scope"),
                "kubernetes:3564a12dd942",
            ),
            (format!("/system.slice/nerdctl-{ID}.scope"), "containerd:3564a12dd942"),
            ("/lxc.payload.web".to_owned(), "lxc:web"),
            ("/lxc/web/init.scope".to_owned(), "lxc:web"),
            ("/machine.slice/systemd-nspawn@a\\x2db.service/payload".to_owned(), "nspawn:a-b"),
            (format!("/docker/{}/docker/{ID}", "f".repeat(64)), "docker:3564a12dd942"),
            (
                format!("/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1.slice/crio-{ID}.scope/container"),
                "kubernetes:3564a12dd942",
            ),
            (
                format!("/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{ID}.scope/container"),
                "podman:3564a12dd942",
            ),
            (
                format!("/user.slice/user-1000.slice/user@1000.service/user.slice/docker-{ID}.scope"),
                "docker:3564a12dd942",
            ),
            (
                "/machine.slice/machine-rkt\\x2dbfb7d57e\\x2d80ff\\x2d4ef8\\x2db602\\x2d9b907b3f3a38.scope/system.slice/debian.service".to_owned(),
                "rkt:bfb7d57e-80ff-4ef8-b602-9b907b3f3a38",
            ),
            ("/machine.slice/machine-nspawntest.scope".to_owned(), "nspawn:nspawntest"),
            ("/machine.slice/machine-a\\x2db.scope/payload".to_owned(), "nspawn:a-b"),
            (
                "/user.slice/user-1000.slice/user@1000.service/app.slice/app-flatpak-org.gnome.gedit-4242.scope".to_owned(),
                "flatpak:org.gnome.gedit",
            ),
        ] {
            assert_eq!(engine(&path).map(|found| found.label()).as_deref(), Some(label), "{path}");
        }
    }

    #[test]
    fn the_hosts_paths_are_nobodys() {
        for path in [
            "/",
            "/init.scope",
            "/system.slice/docker.service",
            "/user.slice/user-1000.slice/session-2.scope",
            "/system.slice/containerd.service",
            "/docker",
            "/lxc.monitor.web",
            "/machine.slice/machine-qemu\\x2d1\\x2dbox.scope",
            "/machine.slice/machine-lxc\\x2d1\\x2dbox.scope",
            "/machine.slice/machine-.scope",
            "/user.slice/user-1000.slice/user@1000.service/app.slice/flatpak-portal.service",
        ] {
            assert_eq!(engine(path), None, "{path}");
        }
        assert_eq!(engine(&format!("/machine.slice/libpod-conmon-{ID}.scope")), None);
    }

    #[test]
    fn a_service_is_the_innermost_unit() {
        assert_eq!(
            service("/system.slice/systemd-udevd.service/udev"),
            Some("systemd-udevd.service")
        );
        assert_eq!(
            service("/user.slice/user-1000.slice/user@1000.service/app.slice/app-x-7.scope"),
            None
        );
        assert_eq!(
            service("/user.slice/user@1000.service/app.slice/dconf.service"),
            Some("dconf.service")
        );
        assert_eq!(service("/"), None);
    }
}
