//! `inspect process`: one process under the hood, section by section.

use std::path::Path;

use serde_json::{Value as Json, json};

use super::{as_root, sections};
use crate::cli::inspect::Process;
use crate::container::engines::{Detective, Host, Owner, Verdict};
use crate::container::target;
use crate::error::{Context, Error, Result};
use crate::kernel::capability;
use crate::kernel::cgroup::{self, Controller};
use crate::kernel::mountinfo::{self, Mount};
use crate::kernel::namespace::{self, Ids};
use crate::kernel::process::{self, IdMap, Ps, Status, Users};
use crate::kernel::security::{self, Security};
use crate::ui::Screen;

/// All that is shown of a process. What may be closed to us is a `Result`:
/// one closed part does not hide the others.
pub(super) struct View {
    pub pid: i32,
    /// Its pids in the pid namespaces it is in, from ours inwards.
    pub pids: Vec<i32>,
    pub verdict: Verdict,
    pub chain: Vec<Ps>,
    pub users: Users,
    pub host: Host,
    pub ids: Ids,
    pub root: Result<String>,
    pub mounts: Result<Vec<Mount>>,
    pub cgroups: Result<Vec<Controller>>,
    pub uid_map: Result<Vec<IdMap>>,
    pub gid_map: Result<Vec<IdMap>>,
    pub security: Security,
}

/// Prints what the kernel shows of one process.
pub fn run(proc: &Path, args: &Process, screen: &mut Screen) -> Result<u8> {
    let target = target::resolve(proc, &args.target)?;
    let view = look(proc, target.pid)?;
    if screen.json_wanted() {
        screen.json(&view.json())?;
    } else {
        sections::print(&view, screen)?;
        if let Some(error) = view.closed().first() {
            screen.note(&format!(
                "Some parts are closed to us ({}). {}",
                error.1.tried,
                as_root("process")
            ));
        }
    }
    Ok(0)
}

fn look(proc: &Path, pid: i32) -> Result<View> {
    let status = Status::read(proc, pid)?;
    let chain = process::ancestry(proc, pid)?;
    let mut detective = Detective::new(proc)?;
    let ids = namespace::of_process(proc, pid)?;
    let verdict = if ids.iter().next().is_some() {
        detective.owner(pid, &ids)
    } else {
        let evidence = "its namespaces are closed to us".to_owned();
        Verdict { owner: Owner::Unknown, evidence }
    };
    let root = proc.join(format!("{pid}/root"));
    Ok(View {
        pid,
        pids: status
            .field("NSpid")
            .unwrap_or_default()
            .split_whitespace()
            .flat_map(str::parse)
            .collect(),
        verdict,
        chain,
        users: Users::read(Path::new("/etc/passwd")),
        host: detective.host().clone(),
        ids,
        root: std::fs::read_link(&root)
            .tried(|| format!("readlink({root:?})"))
            .map(|path| process::path_text(&path)),
        mounts: mountinfo::list(proc, pid),
        cgroups: cgroup::of_process(proc, pid),
        uid_map: process::id_map(proc, pid, "uid_map"),
        gid_map: process::id_map(proc, pid, "gid_map"),
        security: security::of_process(proc, pid, &status),
    })
}

impl View {
    /// The parts that could not be read, and why.
    fn closed(&self) -> Vec<(&'static str, &Error)> {
        let parts = [
            ("root", self.root.as_ref().err()),
            ("mounts", self.mounts.as_ref().err()),
            ("cgroups", self.cgroups.as_ref().err()),
            ("uid_map", self.uid_map.as_ref().err()),
            ("gid_map", self.gid_map.as_ref().err()),
        ];
        parts.into_iter().filter_map(|(part, error)| Some((part, error?))).collect()
    }

    fn json(&self) -> Json {
        let mount = |mount: &Mount| {
            json!({
                "mount_point": process::path_text(&mount.mount_point),
                "root": process::path_text(&mount.root),
                "type": mount.fs_type,
                "source": mount.source,
                "options": mount.options,
                "super_options": mount.super_options,
                "propagation": mount.propagation,
            })
        };
        let mounts = self.mounts.as_ref().ok().map(|all| all.iter().map(mount).collect::<Vec<_>>());
        let security = &self.security;
        let sets = security.capabilities.iter();
        let sets = sets.map(|(set, mask)| ((*set).to_owned(), json!(capability::names(*mask))));
        let (mode, filters) = sections::seccomp(security.seccomp);
        json!({
            "pid": self.pid,
            "ns_pids": self.pids,
            "owner": super::owner_json(&self.verdict),
            "ancestry": sections::PS.json(&sections::chain(self)),
            "compared_with_pid": self.host.pid,
            "namespaces": sections::NAMESPACES.json(&sections::namespaces(self)),
            "root": self.root.as_ref().ok(),
            "mounts": mounts,
            "cgroups": self.cgroups.as_ref().ok().map(|all| all.iter().map(controller).collect::<Vec<_>>()),
            "uid_map": self.uid_map.as_ref().ok(),
            "gid_map": self.gid_map.as_ref().ok(),
            "capabilities": sets.collect::<serde_json::Map<_, _>>(),
            "seccomp": { "mode": mode, "filters": filters },
            "no_new_privs": security.no_new_privs,
            "lsm_label": security.label,
            "closed": self.closed().iter().map(|(part, error)| json!({ "part": part, "error": error.tried })).collect::<Vec<_>>(),
        })
    }
}

fn controller(controller: &Controller) -> Json {
    let values = controller.values.iter().map(|(name, value)| (name.clone(), json!(value)));
    json!({
        "controller": (!controller.name.is_empty()).then_some(&controller.name),
        "version": controller.version,
        "path": controller.path,
        "directory": controller.directory.as_deref().map(process::path_text),
        "values": values.collect::<serde_json::Map<_, _>>(),
    })
}
