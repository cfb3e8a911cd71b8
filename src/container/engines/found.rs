//! What starts containers, and what is known of one of them.

use serde::Serialize;

/// What starts containers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Engine {
    /// This program.
    UnderTheHood,
    /// Docker.
    Docker,
    /// containerd, by `ctr` or `nerdctl`.
    Containerd,
    /// Kubernetes, by whichever runtime.
    Kubernetes,
    /// Podman.
    Podman,
    /// LXC.
    Lxc,
    /// LXD, which drives LXC.
    Lxd,
    /// Incus, which was forked from LXD.
    Incus,
    /// systemd-nspawn.
    Nspawn,
    /// bubblewrap.
    Bwrap,
    /// Flatpak, which drives bubblewrap.
    Flatpak,
    /// rkt, whose development ended in 2020.
    Rkt,
}

impl Engine {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::UnderTheHood,
        Self::Docker,
        Self::Containerd,
        Self::Kubernetes,
        Self::Podman,
        Self::Lxc,
        Self::Lxd,
        Self::Incus,
        Self::Nspawn,
        Self::Bwrap,
        Self::Flatpak,
        Self::Rkt,
    ];

    /// What stands before the colon in `ENGINE:NAME`.
    pub fn name(self) -> &'static str {
        match self {
            Self::UnderTheHood => "under-the-hood",
            Self::Docker => "docker",
            Self::Containerd => "containerd",
            Self::Kubernetes => "kubernetes",
            Self::Podman => "podman",
            Self::Lxc => "lxc",
            Self::Lxd => "lxd",
            Self::Incus => "incus",
            Self::Nspawn => "nspawn",
            Self::Bwrap => "bwrap",
            Self::Flatpak => "flatpak",
            Self::Rkt => "rkt",
        }
    }
}

/// A container, as far as the kernel tells.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct Found {
    /// What started it.
    pub engine: Engine,
    /// Its id, where a cgroup or a command line has it.
    pub id: Option<String>,
    /// Its name, likewise.
    pub name: Option<String>,
}

impl Found {
    /// `docker:3564a12dd942`, `lxc:web`; `bwrap` where there is neither.
    pub fn label(&self) -> String {
        let engine = self.engine.name();
        match (&self.name, &self.id) {
            (Some(name), _) => format!("{engine}:{name}"),
            (None, Some(id)) => format!("{engine}:{}", short(id)),
            (None, None) => engine.to_owned(),
        }
    }

    /// Whether both are the same container: one may know more of it than the other.
    pub fn same(&self, other: &Self) -> bool {
        if self.engine != other.engine {
            return false;
        }
        match (&self.id, &other.id) {
            // Two runs of a lesson may have given the same name.
            (Some(one), Some(other)) => one == other || begins(one, other) || begins(other, one),
            _ => self == other || (self.name.is_some() && self.name == other.name),
        }
    }
}

/// Whether this is the beginning of that id. containerd's ids are what its users type:
/// `web` is not the beginning of `web-1`.
fn begins(beginning: &str, id: &str) -> bool {
    short(id) != id && beginning.len() >= 12 && id.starts_with(beginning)
}

/// The first twelve of the 64 hexadecimal digits that engines use.
fn short(id: &str) -> &str {
    let hexadecimal = id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    if hexadecimal { &id[..12] } else { id }
}

/// What two signs say together: of one engine, the cgroup has the id and the
/// monitor the name. Of two, one runs inside the other (bubblewrap in a
/// container of Docker's, say), and the nearest ancestor is the inner one; or one
/// drives the other, and the driver counts.
pub(super) fn combined(by_path: Found, by_ancestor: Found) -> Found {
    let driven = matches!(
        (by_path.engine, by_ancestor.engine),
        (Engine::Flatpak, Engine::Bwrap) | (Engine::Rkt, Engine::Nspawn)
    );
    if driven {
        return by_path;
    }
    if by_path.engine != by_ancestor.engine {
        return by_ancestor;
    }
    Found {
        engine: by_path.engine,
        id: by_path.id.or(by_ancestor.id),
        name: by_ancestor.name.or(by_path.name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_may_be_known_in_part_and_a_name_may_not() {
        let of = |engine, id: &str| Found { engine, id: Some(id.to_owned()), name: None };
        let (web, other) = (of(Engine::Containerd, "web"), of(Engine::Containerd, "web-1"));
        assert!(web.same(&web) && !web.same(&other) && !other.same(&web));
        let whole = of(Engine::Docker, &"0123456789abcdef".repeat(4));
        let known = of(Engine::Docker, "0123456789ab");
        assert!(whole.same(&known) && known.same(&whole));
        assert!(!whole.same(&of(Engine::Docker, "0123456789ac")));
    }
}
