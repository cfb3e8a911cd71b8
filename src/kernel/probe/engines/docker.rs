//! Whether Docker's containers are on this kernel, by what its daemon says of itself.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{State, get};
use crate::error::Result;

/// What Docker says of itself.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Docker {
    pub version: String,
    pub system: String,
    pub kernel: String,
    pub containers: Vec<(String, i32)>,
}

impl Docker {
    /// Where its containers are: by one that runs, if there is one; else by
    /// the kernel it names and whether its daemon can be seen from here.
    pub(super) fn judge(
        &self,
        kernel: &str,
        visible: bool,
        holds: impl Fn(i32, &str) -> bool,
    ) -> State {
        let desktop = if self.system == "Docker Desktop" { "Docker Desktop: " } else { "" };
        let running = self.containers.first();
        if self.containers.iter().any(|(id, pid)| holds(*pid, id)) {
            return State::Here;
        }
        if let Some((id, pid)) = running {
            let id = id.get(..12).unwrap_or(id);
            return State::Elsewhere(format!(
                "{desktop}its container {id} has pid {pid}, which is not on this kernel"
            ));
        }
        if self.kernel != kernel {
            let theirs = &self.kernel;
            return State::Elsewhere(format!("{desktop}its kernel is {theirs}, this one {kernel}"));
        }
        if !visible || !desktop.is_empty() {
            let reason = "its daemon's process is not on this side of its socket";
            return State::Elsewhere(format!("{desktop}{reason}"));
        }
        State::Here
    }
}

pub(super) fn ask(socket: &Path) -> Result<Docker> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase", default)]
    #[derive(Default)]
    struct Info {
        operating_system: String,
        kernel_version: String,
        server_version: String,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Listed {
        id: String,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Inspected {
        state: ContainerState,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct ContainerState {
        pid: i32,
    }
    let info: Info = get(socket, "/info")?;
    let listed: Vec<Listed> = get(socket, "/containers/json?limit=3")?;
    let mut containers = Vec::new();
    for Listed { id } in listed {
        let plain = !id.is_empty() && id.chars().all(|c| c.is_ascii_hexdigit());
        if !plain {
            continue;
        }
        // It may have ended since the list was made.
        if let Ok(inspected) = get::<Inspected>(socket, &format!("/containers/{id}/json"))
            && inspected.state.pid > 0
        {
            containers.push((id, inspected.state.pid));
        }
    }
    let Info { operating_system: system, kernel_version: kernel, server_version: version } = info;
    Ok(Docker { version, system, kernel, containers })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "4f5c1b9d2e3a4f5c1b9d2e3a4f5c1b9d2e3a4f5c1b9d2e3a4f5c1b9d2e3a4f5c";

    fn says(system: &str, kernel: &str, containers: &[(&str, i32)]) -> Docker {
        let containers = containers.iter().map(|(id, pid)| ((*id).to_owned(), *pid)).collect();
        Docker {
            version: String::new(),
            system: system.to_owned(),
            kernel: kernel.to_owned(),
            containers,
        }
    }

    #[test]
    fn a_container_that_runs_decides_where_docker_is() {
        let docker = says("Debian GNU/Linux 12", "6.1", &[(ID, 4242)]);
        assert_eq!(docker.judge("6.1", true, |pid, id| (pid, id) == (4242, ID)), State::Here);
        let State::Elsewhere(reason) = docker.judge("6.1", true, |_, _| false) else {
            panic!("its pid is not here");
        };
        assert_eq!(reason, "its container 4f5c1b9d2e3a has pid 4242, which is not on this kernel");
    }

    #[test]
    fn without_containers_the_kernel_and_the_daemon_decide() {
        let none = |_: i32, _: &str| false;
        assert_eq!(says("Debian", "6.1", &[]).judge("6.1", true, none), State::Here);
        assert!(matches!(
            says("Debian", "6.1", &[]).judge("6.1", false, none),
            State::Elsewhere(_)
        ));
        let desktop = says("Docker Desktop", "6.6.12-linuxkit", &[]);
        let State::Elsewhere(reason) = desktop.judge("6.8.0-31-generic", true, none) else {
            panic!("it is elsewhere");
        };
        assert!(reason.starts_with("Docker Desktop: its kernel is 6.6.12-linuxkit"), "{reason}");
    }
}
