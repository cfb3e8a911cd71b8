//! How an engine is installed: the engine itself, never a desktop with a virtual
//! machine, of which no lesson can see the inside. From the distribution's own packages
//! where it has some.

use serde::Serialize;

use super::tools::{self, Family, OsRelease};
use super::{Engine, identity};

/// How one engine is installed on one family of distributions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Way {
    /// `Debian, Ubuntu`.
    pub distribution: &'static str,
    /// Whether this machine is one of them.
    pub here: bool,
    /// The engine.
    pub engine: Engine,
    /// What to type, in order.
    pub commands: Vec<String>,
}

/// Each family, by the name that people know.
const FAMILIES: [(Family, &str); 6] = [
    (Family::Debian, "Debian, Ubuntu"),
    (Family::Fedora, "Fedora"),
    (Family::Rhel, "RHEL, CentOS, Rocky"),
    (Family::Arch, "Arch"),
    (Family::Alpine, "Alpine"),
    (Family::Suse, "openSUSE"),
];

const ENGINES: [Engine; 5] =
    [Engine::Docker, Engine::Containerd, Engine::Podman, Engine::Lxc, Engine::Incus];

/// Fedora's Docker is called after its source; RHEL has none, and Docker's own
/// packages are used there (docs.docker.com/engine/install).
const DOCKERS_OWN: &str =
    "dnf config-manager --add-repo https://download.docker.com/linux/rhel/docker-ce.repo";

/// Every engine on every family, this machine's first.
pub fn installs(os: &OsRelease) -> Vec<Way> {
    let here = tools::family(os);
    let mut families: Vec<_> = FAMILIES.to_vec();
    families.sort_by_key(|(family, _)| Some(*family) != here);
    let way = |(family, distribution): &(Family, &'static str), engine| {
        let here = Some(*family) == here;
        let commands = commands(engine, *family, os.get("VERSION_CODENAME").filter(|_| here));
        // Elsewhere nobody knows whether there is sudo.
        let as_root = |command: String| match here {
            true => identity::privileged(&command),
            false => format!("sudo {command}"),
        };
        let commands = commands.into_iter().map(as_root).collect();
        Way { distribution, here, engine, commands }
    };
    let all = families.iter().flat_map(|family| ENGINES.map(|engine| way(family, engine)));
    all.collect()
}

/// What installs an engine on this machine, as one line; none where no family is known.
pub(super) fn here(engine: Engine, os: &OsRelease) -> Option<String> {
    let family = tools::family(os).filter(|_| ENGINES.contains(&engine))?;
    let commands = commands(engine, family, os.get("VERSION_CODENAME"));
    let commands = commands.iter().map(|command| identity::privileged(command));
    Some(commands.collect::<Vec<_>>().join(" && "))
}

fn commands(engine: Engine, family: Family, codename: Option<&String>) -> Vec<String> {
    use Engine::{Containerd, Docker, Incus, Lxc};
    let packages = match (engine, family) {
        (Docker, Family::Debian) => "docker.io",
        (Docker, Family::Fedora) => "moby-engine",
        (Docker, Family::Rhel) => "docker-ce docker-ce-cli containerd.io",
        (Containerd, Family::Rhel) => "containerd.io",
        (Containerd, Family::Alpine | Family::Suse) => "containerd containerd-ctr",
        (Lxc, Family::Fedora | Family::Rhel) => "lxc lxc-templates",
        (Lxc, Family::Alpine) => "lxc lxc-download lxc-templates",
        (Incus, Family::Alpine) => "incus incus-client",
        (Incus, Family::Debian) if codename.is_some_and(|name| name == "bookworm") => {
            "incus/bookworm-backports"
        }
        (engine, _) => engine.name(),
    };
    let before: &[&str] = match (engine, family) {
        (Docker | Containerd, Family::Rhel) => &["dnf install dnf-plugins-core", DOCKERS_OWN],
        (Lxc, Family::Rhel) => &["dnf install epel-release"],
        (Incus, Family::Rhel) => &[
            "dnf install epel-release",
            "dnf config-manager --enable crb",
            "dnf copr enable neil/incus",
        ],
        _ => &[],
    };
    let before = before.iter().map(|command| (*command).to_owned());
    let install = std::iter::once(tools::installer(family, packages));
    before.chain(install).chain(starts(engine, family)).collect()
}

/// Debian starts what it installs.
fn starts(engine: Engine, family: Family) -> Vec<String> {
    let service = match (engine, family) {
        (Engine::Podman | Engine::Lxc, _) | (_, Family::Debian) => return Vec::new(),
        (Engine::Incus, Family::Alpine) => "incusd",
        (engine, _) => engine.name(),
    };
    match family {
        Family::Alpine => {
            vec![format!("rc-update add {service}"), format!("rc-service {service} start")]
        }
        _ => vec![format!("systemctl enable --now {service}")],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn os(id: &str, like: &str, codename: &str) -> OsRelease {
        let pairs = [("ID", id), ("ID_LIKE", like), ("VERSION_CODENAME", codename)];
        pairs.map(|(key, value)| (key.into(), value.into())).into()
    }

    fn of<'a>(ways: &'a [Way], distribution: &str, engine: Engine) -> &'a Way {
        let found = |way: &&Way| way.distribution.contains(distribution) && way.engine == engine;
        ways.iter().find(found).expect("a way")
    }

    #[test]
    fn every_engine_has_a_way_on_every_distribution_and_ours_comes_first() {
        let ways = installs(&os("rocky", "rhel centos fedora", ""));
        assert_eq!(ways.len(), FAMILIES.len() * ENGINES.len());
        assert!(ways[..5].iter().all(|way| way.here && way.distribution.contains("Rocky")));
        assert!(ways[5..].iter().all(|way| !way.here && !way.commands.is_empty()));
        let all: Vec<_> = ways.iter().flat_map(|way| &way.commands).collect();
        assert!(all.iter().all(|command| !command.to_lowercase().contains("desktop")));
    }

    /// What doctor says of an engine that is missing is what it says of installing it.
    #[test]
    fn an_engine_that_is_missing_is_installed_in_the_same_way() {
        let line = |id: &str, like: &str, engine| here(engine, &os(id, like, ""));
        let rocky = line("rocky", "rhel centos fedora", Engine::Docker).unwrap();
        assert!(rocky.contains("docker-ce.repo") && rocky.contains(" && "), "{rocky}");
        assert!(!rocky.contains("moby-engine"), "{rocky}");
        assert!(line("ol", "fedora", Engine::Docker).unwrap().contains("docker-ce"));
        assert!(line("debian", "", Engine::Podman).unwrap().contains("apt-get install podman"));
        assert_eq!(line("plan9", "", Engine::Docker), None);
        assert_eq!(line("debian", "", Engine::Nspawn), None);
    }

    /// How root's rights are got stands around them, and differs.
    #[test]
    fn packages_are_called_what_they_are_called_there() {
        let ways = installs(&os("debian", "", "trixie"));
        let last = |distribution, engine| of(&ways, distribution, engine).commands.join("; ");
        assert!(last("Debian", Engine::Docker).contains("apt-get install docker.io"));
        assert!(last("Debian", Engine::Incus).contains("apt-get install incus"));
        let fedora = last("Fedora", Engine::Docker);
        let both = fedora.split_once("; ").unwrap();
        assert!(both.0.contains("dnf install moby-engine"), "{fedora}");
        assert!(both.1.contains("systemctl enable --now docker"), "{fedora}");
        assert!(last("RHEL", Engine::Docker).contains("linux/rhel/docker-ce.repo"));
        assert!(last("Alpine", Engine::Containerd).contains("apk add containerd containerd-ctr"));
        let old = installs(&os("debian", "", "bookworm"));
        let incus = of(&old, "Debian", Engine::Incus).commands.join("; ");
        assert!(incus.contains("apt-get install incus/bookworm-backports"), "{incus}");
    }
}
