//! What `inspect compare` tells beside namespaces: files, users, powers, limits.

use std::path::Path;

use serde_json::{Value as Json, json};

use super::sections::{self, line};
use crate::container::compare::{Root, Side, differing};
use crate::error::{Error, Result};
use crate::kernel::capability;
use crate::kernel::cgroup::Controller;
use crate::kernel::namespace::Kind;
use crate::kernel::process::{IdMap, Limit, Users};
use crate::ui::Screen;

/// Prints each fact where they differ, one below the other, and then what is
/// the same for both.
pub(super) fn print(a: &Side, b: &Side, screen: &mut Screen) -> Result<()> {
    let mut same = Vec::new();
    let mut fact = |screen: &mut Screen, name: &str, left: String, right: String| {
        if left == right {
            same.push(format!("{name} {left}"));
            return Ok(());
        }
        line(screen, name, &format!("A {left}"))?;
        line(screen, "", &format!("B {right}"))
    };
    let root = |side: &Side| told(&side.root, root_words);
    let another = if a.root.is_ok() && identity(a) != identity(b) && root(a) == root(b) {
        ", another one"
    } else {
        ""
    };
    fact(screen, "root", root(a), root(b) + another)?;
    let users = Users::read(Path::new("/etc/passwd"));
    let user = |side: &Side| side.uid.map_or("not shown".to_owned(), |uid| users.name(uid));
    fact(screen, "user", user(a), user(b))?;
    let map = |map: &Result<Vec<IdMap>>| told(map, |map| sections::id_map(map));
    fact(screen, "uid map", map(&a.uid_map), map(&b.uid_map))?;
    if [a, b].iter().any(|side| map(&side.uid_map) != map(&side.gid_map)) {
        fact(screen, "gid map", map(&a.gid_map), map(&b.gid_map))?;
    }
    let (left, right) = capabilities(a.capabilities("effective"), b.capabilities("effective"));
    let differ = left != right;
    fact(screen, "capabilities", left, right)?;
    if differ && a.ids.get(Kind::User) != b.ids.get(Kind::User) {
        line(screen, "", "each counts only in its own user namespace and those below it")?;
    }
    let seccomp = |side: &Side| sections::seccomp_words(side.security.seccomp);
    fact(screen, "seccomp", seccomp(a), seccomp(b))?;
    let yes = |side: &Side| match side.security.no_new_privs {
        Some(true) => "yes".to_owned(),
        Some(false) => "no".to_owned(),
        None => "not shown by this kernel".to_owned(),
    };
    fact(screen, "no_new_privs", yes(a), yes(b))?;
    let label = |side: &Side| side.security.label.clone().unwrap_or_else(|| "none".to_owned());
    fact(screen, "LSM label", label(a), label(b))?;
    let paths = |side: &Side| told(&side.cgroups, |all| paths(all).join(" "));
    fact(screen, "cgroup", paths(a), paths(b))?;
    limits(a, b, screen, &mut same)?;
    line(screen, "both", &same.join("; "))
}

fn identity(side: &Side) -> Option<(u64, u64)> {
    side.root.as_ref().ok().map(|root| root.identity)
}

fn told<T>(part: &Result<T>, words: impl Fn(&T) -> String) -> String {
    let closed = |error: &Error| format!("closed to us: {}", error.tried);
    part.as_ref().map_or_else(closed, words)
}

fn root_words(root: &Root) -> String {
    let Some(mount) = &root.mount else { return format!("the directory {}", root.path) };
    let source = match mount.source.as_str() {
        source if source == mount.fs_type || source == "none" => String::new(),
        source => format!(" {source}"),
    };
    let part = match crate::kernel::process::path_text(&mount.root) {
        whole if whole == "/" => String::new(),
        part => format!(", its directory {part}"),
    };
    let below = if root.path == "/" { String::new() } else { format!(", and there {}", root.path) };
    format!("{}{source}{part}{below}", mount.fs_type)
}

/// Those that tell most about a process, before the others.
const TELLING: [&str; 6] = [
    "CAP_SYS_ADMIN",
    "CAP_NET_ADMIN",
    "CAP_SYS_MODULE",
    "CAP_SYS_PTRACE",
    "CAP_SYS_TIME",
    "CAP_DAC_OVERRIDE",
];

/// Of two sets how many are in each, and what the other lacks of it.
fn capabilities(a: u64, b: u64) -> (String, String) {
    if a == b {
        let told = match capability::names(a) {
            names if names.len() > 4 => format!("{} of {}", names.len(), capability::LAST + 1),
            _ => sections::capabilities(a),
        };
        return (told.clone(), told);
    }
    let told = |these: u64, those: u64| {
        let mut names = capability::names(these & !those);
        names.sort_by_key(|name| !TELLING.contains(&name.as_str()));
        let more = match names.len() {
            0 => "none that the other lacks".to_owned(),
            1..=6 => format!("and alone {}", names.join(" ")),
            many => format!("and alone {} and {} more", names[..5].join(" "), many - 5),
        };
        format!("{}, {more}", these.count_ones())
    };
    (told(a, b), told(b, a))
}

/// The distinct paths, in the order of the controllers.
fn paths(cgroups: &[Controller]) -> Vec<String> {
    let mut paths: Vec<String> = Vec::new();
    for cgroup in cgroups {
        if !paths.contains(&cgroup.path) {
            paths.push(cgroup.path.clone());
        }
    }
    paths
}

/// What a controller allows, where that is not the same for both.
fn controls<'a>(a: &'a Side, b: &'a Side) -> Vec<(&'a str, Option<&'a str>, Option<&'a str>)> {
    let of = |side: &'a Side| -> Vec<(&'a str, &'a str)> {
        let values = side.cgroups.as_ref().map(Vec::as_slice).unwrap_or_default().iter();
        let values = values.flat_map(|c| c.values.iter().map(|(n, v)| (n.as_str(), v.as_str())));
        // What is used is no limit.
        let used = |name: &str| name.ends_with("current") || name.ends_with("usage_in_bytes");
        values.filter(|(name, _)| !used(name)).collect()
    };
    let (left, right) = (of(a), of(b));
    let get = |list: &[(&'a str, &'a str)], name| list.iter().find(|l| l.0 == name).map(|l| l.1);
    let mut names: Vec<_> = left.iter().chain(&right).map(|(name, _)| *name).collect();
    names.sort_unstable();
    names.dedup();
    let all = names.into_iter().map(|name| (name, get(&left, name), get(&right, name)));
    all.filter(|(_, a, b)| a != b).collect()
}

fn limits(a: &Side, b: &Side, screen: &mut Screen, same: &mut Vec<String>) -> Result<()> {
    let value = |value: Option<&str>| value.map_or("no limit", sections::limit).to_owned();
    for (name, left, right) in controls(a, b) {
        line(screen, "cgroup limit", &format!("{name}: A {}, B {}", value(left), value(right)))?;
    }
    let (Ok(left), Ok(right)) = (&a.limits, &b.limits) else {
        let words = |limits: &Result<Vec<Limit>>| told(limits, |_| "can be read".to_owned());
        return line(screen, "limits", &format!("A {}, B {}", words(&a.limits), words(&b.limits)));
    };
    let differing = differing(left, right);
    if differing.is_empty() {
        same.push(format!("{} resource limits", left.len()));
    }
    for (at, (left, right)) in differing.iter().enumerate() {
        let words = |limit: &Limit| match limit.soft == limit.hard {
            true => limit.soft.clone(),
            false => format!("{} (up to {})", limit.soft, limit.hard),
        };
        let text = format!("{}: A {}, B {}", left.name, words(left), words(right));
        line(screen, if at == 0 { "limits" } else { "" }, &text)?;
    }
    Ok(())
}

/// The same as JSON: of each fact both values, and whether they are the same.
pub(super) fn json(a: &Side, b: &Side) -> Json {
    let both = |a: Json, b: Json| json!({ "same": a == b, "a": a, "b": b });
    let root = |side: &Side| {
        side.root.as_ref().ok().map(|root| {
            json!({
                "path": root.path,
                "device": root.identity.0,
                "inode": root.identity.1,
                "type": root.mount.as_ref().map(|mount| &mount.fs_type),
                "source": root.mount.as_ref().map(|mount| &mount.source),
            })
        })
    };
    let set = |set: &str| {
        let (left, right) = (a.capabilities(set), b.capabilities(set));
        json!({
            "same": left == right,
            "both": capability::names(left & right),
            "only_a": capability::names(left & !right),
            "only_b": capability::names(right & !left),
        })
    };
    let seccomp = |side: &Side| {
        let (mode, filters) = sections::seccomp(side.security.seccomp);
        json!({ "mode": mode, "filters": filters })
    };
    let cgroups = |side: &Side| json!(side.cgroups.as_ref().ok().map(|all| paths(all)));
    let controls = controls(a, b).into_iter();
    let controls = controls.map(|(name, a, b)| json!({ "name": name, "a": a, "b": b }));
    let limits = match (&a.limits, &b.limits) {
        (Ok(left), Ok(right)) => {
            let differing = differing(left, right).into_iter();
            Some(differing.map(|(a, b)| json!({ "name": a.name, "a": a, "b": b })).collect())
        }
        _ => None::<Vec<Json>>,
    };
    json!({
        "root": { "same": a.root.is_ok() && identity(a) == identity(b), "a": root(a), "b": root(b) },
        "uid_map": both(json!(a.uid_map.as_ref().ok()), json!(b.uid_map.as_ref().ok())),
        "gid_map": both(json!(a.gid_map.as_ref().ok()), json!(b.gid_map.as_ref().ok())),
        "capabilities": { "effective": set("effective"), "bounding": set("bounding") },
        "seccomp": both(seccomp(a), seccomp(b)),
        "no_new_privs": both(json!(a.security.no_new_privs), json!(b.security.no_new_privs)),
        "lsm_label": both(json!(a.security.label), json!(b.security.label)),
        "cgroups": both(cgroups(a), cgroups(b)),
        "cgroup_limits_that_differ": controls.collect::<Vec<_>>(),
        "limits_that_differ": limits,
    })
}
