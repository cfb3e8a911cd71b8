//! `inspect containers --wide`: of each container all that is known, line by line.
//! A table of that width would fit no screen.

use std::collections::HashMap;
use std::path::Path;

use nix::errno::Errno;
use serde_json::{Map, Value as Json, json};

use super::containers::Row;
use super::sections::{self, line};
use crate::container::engines::{Detective, Engine, Owner};
use crate::container::joined::{Cgroup, Joined, Reader, Root, beside_the_default};
use crate::container::network::names::Name;
use crate::container::network::survey::{self, Net, Survey};
use crate::error::{Error, Result};
use crate::kernel::capability;
use crate::kernel::cgroup::{Bound, Usage, bytes};
use crate::kernel::namespace::{Census, Holder, Kind};
use crate::kernel::netlink::links::Link;
use crate::kernel::process::path_text;
use crate::kernel::security::Security;
use crate::ui::table::printable;
use crate::ui::{Screen, Style};

/// The containers, with what is read of each.
pub(super) struct Wide<'a> {
    rows: Vec<(&'a Row, Joined)>,
    survey: Survey,
    host: Option<u64>,
}

impl<'a> Wide<'a> {
    /// Reads it of these.
    pub fn read(
        proc: &Path,
        rows: impl Iterator<Item = &'a Row>,
        census: &Census,
        detective: &mut Detective,
    ) -> Self {
        let host = detective.host().clone();
        let reader = Reader::new(proc, host.pid);
        Self {
            rows: rows.map(|row| (row, reader.read(&row.seen))).collect(),
            survey: survey::of(proc, census, detective),
            host: host.ids.get(Kind::Net).map(|id| id.inode),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    fn nets(&self) -> HashMap<u64, &Net> {
        self.survey.nets.iter().map(|net| (net.id().inode, net)).collect()
    }

    /// A block of lines for each.
    pub fn print(&self, screen: &mut Screen) -> Result<()> {
        let nets = self.nets();
        for (at, (row, joined)) in self.rows.iter().enumerate() {
            if at > 0 {
                screen.out("")?;
            }
            let label = printable(&row.seen.verdict.owner.label());
            screen.out(&screen.paint(&label, Style::Heading))?;
            for (name, value) in self.lines(row, joined, &nets) {
                line(screen, name, &value)?;
            }
        }
        Ok(())
    }

    fn lines(
        &self,
        row: &Row,
        joined: &Joined,
        nets: &HashMap<u64, &Net>,
    ) -> Vec<(&'static str, String)> {
        let mut lines = Vec::new();
        if let Owner::Container(found) = &row.seen.verdict.owner
            && let (Some(_), Some(id)) = (&found.name, &found.id)
            && found.name.as_ref() != Some(id)
        {
            lines.push(("id", id.clone()));
        }
        if let Some(said) = &row.said {
            lines.extend(said.image.clone().map(|image| ("image", image)));
            if !said.ports.is_empty() {
                lines.push(("ports", said.ports.join(", ")));
            }
        }
        let count = row.seen.processes;
        let processes =
            if count == 1 { "1 process".to_owned() } else { format!("{count} processes") };
        lines.push(("pid", format!("{} ({processes}): {}", row.seen.pid, row.command)));
        lines.push(("namespaces", format!("its own: {}", super::containers::own(&row.seen))));
        lines.push(("network", self.network(row, nets)));
        lines.push(("cgroup", told(&joined.cgroup, |cgroup| cgroup.path.clone())));
        lines.push(("limits", told(&joined.cgroup, limits)));
        lines.push(("uid map", told(&joined.uid_map, |map| sections::id_map(map))));
        lines.push(("capabilities", told(&joined.security, capabilities)));
        lines.push(("seccomp", told(&joined.security, confined)));
        lines.push(("root", told(&joined.root, root)));
        lines.push(("known by", row.seen.verdict.evidence.clone()));
        lines
    }

    fn network(&self, row: &Row, nets: &HashMap<u64, &Net>) -> String {
        let Some(id) = row.seen.ids.get(Kind::Net) else { return CLOSED.to_owned() };
        if Some(id.inode) == self.host {
            return "the host's".to_owned();
        }
        let Some(net) = nets.get(&id.inode) else { return id.to_string() };
        let names = names(net);
        let named = match names.as_slice() {
            [] => format!("{id}, without a name"),
            names => format!("{id}, named {}", names.join(", ")),
        };
        match &net.links {
            Err(error) => format!("{named}; {}", closed(error)),
            Ok(links) => {
                let shown =
                    links.iter().filter(|link| link.name != "lo" || !link.addresses.is_empty());
                let shown: Vec<_> = shown.map(|link| self.link(net, link, nets)).collect();
                if shown.is_empty() {
                    format!("{named}; nothing is up in it")
                } else {
                    format!("{named}; {}", shown.join("; "))
                }
            }
        }
    }

    fn link(&self, net: &Net, link: &Link, nets: &HashMap<u64, &Net>) -> String {
        let addresses: Vec<_> = link.addresses.iter().map(ToString::to_string).collect();
        let words = match addresses.as_slice() {
            [] => format!("{} without an address", link.name),
            some => format!("{} {}", link.name, some.join(" ")),
        };
        let Some(peer) = net.peers.get(&link.index) else { return words };
        let there = nets.get(&peer.inode).map(|net| &net.verdict.owner);
        let there = there.filter(|owner| **owner != Owner::Unknown).map(Owner::label);
        let there = there.unwrap_or_else(|| format!("net:[{}]", peer.inode));
        format!("{words}, a veth to {} of {there}", peer.name)
    }

    /// All of it.
    pub fn json(&self) -> Vec<Json> {
        let nets = self.nets();
        let one = |(row, joined): &(&Row, Joined)| {
            let mut json = row.json();
            let mut closed = Map::new();
            json["network"] = self.network_json(row, &nets, &mut closed);
            let cgroup = kept(&joined.cgroup, "cgroup", &mut closed);
            json["cgroup"] = json!(cgroup.map(|cgroup| &cgroup.path));
            json["cgroup_is_hosts"] = json!(cgroup.map(|cgroup| cgroup.hosts));
            json["limits"] = json!(cgroup.map(limits_json));
            kept(&joined.uid_map, "uid_map", &mut closed);
            let security = kept(&joined.security, "security", &mut closed);
            json["capabilities"] = json!(security.map(capabilities_json));
            let (mode, filters) = sections::seccomp(security.and_then(|s| s.seccomp));
            json["seccomp"] = json!({ "mode": mode, "filters": filters });
            json["no_new_privs"] = json!(security.and_then(|s| s.no_new_privs));
            json["lsm_label"] = json!(security.and_then(|s| s.label.as_ref()));
            json["root"] = json!(kept(&joined.root, "root", &mut closed).map(root_json));
            json["closed"] = Json::Object(closed);
            json["ended"] = json!(of(row, Engine::Rkt).then_some(2020));
            json
        };
        self.rows.iter().map(one).collect()
    }

    fn network_json(
        &self,
        row: &Row,
        nets: &HashMap<u64, &Net>,
        closed: &mut Map<String, Json>,
    ) -> Json {
        let Some(id) = row.seen.ids.get(Kind::Net) else {
            closed.insert("network".to_owned(), json!(CLOSED));
            return Json::Null;
        };
        let net = nets.get(&id.inode);
        let links = net.map(|net| (net, kept(&net.links, "interfaces", closed)));
        let link = |net: &Net, link: &Link| {
            let peer = net.peers.get(&link.index);
            json!({
                "name": link.name,
                "mac": link.mac_text(),
                "addresses": link.addresses.iter().map(ToString::to_string).collect::<Vec<_>>(),
                "peer": peer.map(|peer| json!({ "name": peer.name, "ns": peer.inode })),
            })
        };
        let interfaces = links.and_then(|(net, links)| {
            Some(links?.iter().map(|one| link(net, one)).collect::<Vec<_>>())
        });
        json!({
            "ns": id.inode,
            "is_hosts": Some(id.inode) == self.host,
            "names": net.map(|net| names(net)),
            "interfaces": interfaces,
        })
    }
}

/// In the directories where names are looked for, or wherever else it is mounted.
fn names(net: &Net) -> Vec<String> {
    let known: Vec<_> = net.names.iter().map(|name| name.path.as_path()).collect();
    let mounted = net.namespace.holders.iter().filter_map(|holder| match holder {
        Holder::Mount { path, .. } if !known.contains(&path.as_path()) => Some(path_text(path)),
        _ => None,
    });
    let mut all: Vec<_> = net.names.iter().map(Name::label).chain(mounted).collect();
    all.sort_unstable();
    all.dedup();
    all
}

const CLOSED: &str = "closed to you: needs root";

pub(super) fn of(row: &Row, engine: Engine) -> bool {
    row.seen.found().is_some_and(|found| found.engine == engine)
}

fn closed(error: &Error) -> String {
    let denied = error.is(Errno::EACCES) || error.is(Errno::EPERM);
    match denied && !rustix::process::geteuid().is_root() {
        true => CLOSED.to_owned(),
        false => format!("not to be read: {error}"),
    }
}

fn told<T>(part: &Result<T>, words: impl Fn(&T) -> String) -> String {
    part.as_ref().map_or_else(closed, words)
}

fn kept<'a, T>(part: &'a Result<T>, name: &str, all: &mut Map<String, Json>) -> Option<&'a T> {
    part.as_ref().map_err(|error| all.insert(name.to_owned(), json!(closed(error)))).ok()
}

fn limits(cgroup: &Cgroup) -> String {
    if cgroup.hosts {
        return "none of its own: it is in a cgroup of the host's".to_owned();
    }
    let Usage { quota, memory_limit, pids_limit, cpus, .. } = &cgroup.usage;
    let mut parts = Vec::new();
    if let Some(quota) = quota
        && let Some(used) = quota.quota
    {
        parts.push(format!("cpu {:.2}", used as f64 / quota.period.max(1) as f64));
    }
    if let Some(Bound::At(most)) = memory_limit {
        parts.push(format!("memory {}", bytes(*most)));
    }
    if let Some(Bound::At(most)) = pids_limit {
        parts.push(format!("tasks {most}"));
    }
    if let Some(cpus) = cpus {
        parts.push(format!("CPUs {cpus}"));
    }
    if parts.is_empty() { "none".to_owned() } else { parts.join(", ") }
}

fn limits_json(cgroup: &Cgroup) -> Json {
    let bound = |bound: &Option<Bound>| match bound {
        Some(Bound::At(most)) => Some(*most),
        _ => None,
    };
    let usage = &cgroup.usage;
    let quota = usage.quota.and_then(|quota| quota.quota);
    json!({
        "cpu_quota_us": quota,
        "cpu_period_us": usage.quota.map(|quota| quota.period),
        "cpu_weight": usage.weight,
        "memory": bound(&usage.memory_limit),
        "tasks": bound(&usage.pids_limit),
        "cpus": usage.cpus,
    })
}

fn set(security: &Security, name: &str) -> u64 {
    security.capabilities.iter().find(|(set, _)| *set == name).map_or(0, |(_, mask)| *mask)
}

fn capabilities(security: &Security) -> String {
    let (now, most) = (set(security, "effective"), set(security, "bounding"));
    let (beyond, below) = beside_the_default(most);
    let mut words = match (beyond.len(), below.len()) {
        (0, 0) => "docker's default".to_owned(),
        _ if most == 0 => "none".to_owned(),
        _ => {
            let list = |names: &[String]| match names.len() {
                0..=6 => names.join(" "),
                many => format!("{} and {} more", sections::telling(names, 5).join(" "), many - 5),
            };
            let mut parts = Vec::new();
            if !beyond.is_empty() {
                parts.push(format!("beyond docker's default {}", list(&beyond)));
            }
            if !below.is_empty() {
                parts.push(format!("without {}", list(&below)));
            }
            parts.join("; ")
        }
    };
    if now != most {
        let has = match now.count_ones() {
            0 => "none".to_owned(),
            some => some.to_string(),
        };
        words = format!("its first process has {has}; the most there can be: {words}");
    }
    words
}

fn capabilities_json(security: &Security) -> Json {
    let (beyond, below) = beside_the_default(set(security, "bounding"));
    json!({
        "effective": capability::names(set(security, "effective")),
        "bounding": capability::names(set(security, "bounding")),
        "beyond_default": beyond,
        "below_default": below,
    })
}

fn confined(security: &Security) -> String {
    let mut words = sections::seccomp_words(security.seccomp);
    if let Some(on) = security.no_new_privs {
        words += if on { "; no_new_privs" } else { "; without no_new_privs" };
    }
    words + &security.label.as_ref().map_or(String::new(), |label| format!("; label {label}"))
}

fn root(root: &Root) -> String {
    let read_only = if root.read_only { ", read-only" } else { "" };
    let Some(overlay) = &root.overlay else {
        let path =
            root.path.as_deref().map_or(String::new(), |path| format!(", {}", path_text(path)));
        return format!("{}{path}{read_only}", root.kind);
    };
    let lower = match overlay.lower.len() {
        1 => "1 layer below".to_owned(),
        many => format!("{many} layers below"),
    };
    let upper = overlay.upper.as_deref().map_or("nothing of its own".to_owned(), path_text);
    format!("{}{read_only}: {upper}, {lower}", root.kind)
}

fn root_json(root: &Root) -> Json {
    let paths =
        |paths: &[std::path::PathBuf]| paths.iter().map(|p| path_text(p)).collect::<Vec<_>>();
    let overlay = root.overlay.as_ref();
    json!({
        "type": root.kind,
        "read_only": root.read_only,
        "path": root.path.as_deref().map(path_text),
        "upper": overlay.and_then(|overlay| overlay.upper.as_deref()).map(path_text),
        "work": overlay.and_then(|overlay| overlay.work.as_deref()).map(path_text),
        "lower": overlay.map(|overlay| paths(&overlay.lower)),
    })
}
