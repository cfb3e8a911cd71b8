//! What `inspect compare` tells beside namespaces: files, users, powers, limits.

use std::path::Path;

use serde_json::{Value as Json, json};

use super::means;
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
    let mut fact =
        |screen: &mut Screen, name: &str, left: String, right: String, means: Option<String>| {
            if left == right {
                same.push(format!("{name} {left}"));
                return Ok(());
            }
            line(screen, name, &format!("A {left}"))?;
            line(screen, "", &format!("B {right}"))?;
            means.map_or(Ok(()), |means| line(screen, "", &format!("→ {means}")))
        };
    let means = |name: &str| meaning(name, a, b);
    let root = |side: &Side| told(&side.root, root_words);
    let another = if a.root.is_ok() && identity(a) != identity(b) && root(a) == root(b) {
        ", another one"
    } else {
        ""
    };
    fact(screen, "root", root(a), root(b) + another, means("root"))?;
    let users = Users::read(Path::new("/etc/passwd"));
    let user = |side: &Side| side.uid.map_or("not shown".to_owned(), |uid| users.name(uid));
    fact(screen, "user", user(a), user(b), means("user"))?;
    let map = |map: &Result<Vec<IdMap>>| told(map, |map| sections::id_map(map));
    fact(screen, "uid map", map(&a.uid_map), map(&b.uid_map), means("uid map"))?;
    if [a, b].iter().any(|side| map(&side.uid_map) != map(&side.gid_map)) {
        fact(screen, "gid map", map(&a.gid_map), map(&b.gid_map), means("gid map"))?;
    }
    let (left, right) = capabilities(a.capabilities("effective"), b.capabilities("effective"));
    let differ = left != right;
    fact(screen, "capabilities", left, right, means("capabilities"))?;
    if differ && a.ids.get(Kind::User) != b.ids.get(Kind::User) {
        line(screen, "", "each counts only in its own user namespace and those below it")?;
    }
    let seccomp = |side: &Side| sections::seccomp_words(side.security.seccomp);
    fact(screen, "seccomp", seccomp(a), seccomp(b), means("seccomp"))?;
    let yes = |side: &Side| match side.security.no_new_privs {
        Some(true) => "yes".to_owned(),
        Some(false) => "no".to_owned(),
        None => "not shown by this kernel".to_owned(),
    };
    fact(screen, "no_new_privs", yes(a), yes(b), means("no_new_privs"))?;
    let label = |side: &Side| side.security.label.clone().unwrap_or_else(|| "none".to_owned());
    fact(screen, "LSM label", label(a), label(b), means("LSM label"))?;
    let paths = |side: &Side| told(&side.cgroups, |all| paths(all).join(" "));
    fact(screen, "cgroup", paths(a), paths(b), means("cgroup"))?;
    let listed = |all: Result<Vec<String>>| told(&all, |all| some(all));
    fact(screen, "masked", listed(a.masked()), listed(b.masked()), means("masked"))?;
    fact(screen, "read-only", listed(a.read_only()), listed(b.read_only()), means("read-only"))?;
    let interfaces = |side: &Side| told(&side.interfaces, |all| all.join("; "));
    fact(screen, "network", interfaces(a), interfaces(b), means("network"))?;
    limits(a, b, screen, &mut same)?;
    line(screen, "both", &same.join("; "))
}

/// What a difference in one of the facts means, where that can be said in a sentence.
fn meaning(name: &str, a: &Side, b: &Side) -> Option<String> {
    match name {
        "root" => means::root(a, b),
        "uid map" => means::uid_map(a, b, &Users::read(Path::new("/etc/passwd"))),
        "capabilities" => means::capabilities(a, b),
        "seccomp" => means::seccomp(a, b),
        "no_new_privs" => means::no_new_privs(a, b),
        "masked" => means::masked(a, b),
        "read-only" => means::read_only(a, b),
        "network" => means::network(a, b),
        "limits" => means::limits(a, b),
        _ => None,
    }
}

/// A few of many, and how many there are.
fn some(all: &[String]) -> String {
    match all.len() {
        0 => "nothing".to_owned(),
        1..=6 => all.join(" "),
        many => format!("{} and {} more", all[..4].join(" "), many - 4),
    }
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
        let names = capability::names(these & !those);
        let more = match names.len() {
            0 => "none that the other lacks".to_owned(),
            some @ 1..=6 => format!("and alone {}", sections::telling(&names, some).join(" ")),
            many => {
                format!(
                    "and alone {} and {} more",
                    sections::telling(&names, 5).join(" "),
                    many - 5
                )
            }
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
pub(super) fn controls<'a>(
    a: &'a Side,
    b: &'a Side,
) -> Vec<(&'a str, Option<&'a str>, Option<&'a str>)> {
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
    if let Some(means) = means::limits(a, b) {
        line(screen, "", &format!("→ {means}"))?;
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

/// Of each difference that means something: what.
fn meanings(a: &Side, b: &Side) -> Json {
    let map = |side: &Side| side.uid_map.as_ref().ok().cloned();
    let differ = |name: &str| match name {
        "root" => identity(a) != identity(b),
        "uid map" => map(a) != map(b),
        "seccomp" => a.security.seccomp != b.security.seccomp,
        "network" => a.interfaces.as_ref().ok() != b.interfaces.as_ref().ok(),
        _ => true, // these say nothing where nothing differs
    };
    let all = [
        "root",
        "uid map",
        "capabilities",
        "seccomp",
        "no_new_privs",
        "masked",
        "read-only",
        "network",
        "limits",
    ];
    let said = all.into_iter().filter(|name| differ(name));
    let said = said.filter_map(|name| Some(json!({ "fact": name, "text": meaning(name, a, b)? })));
    said.collect()
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
        "masked_paths": both(json!(a.masked().ok()), json!(b.masked().ok())),
        "read_only_paths": both(json!(a.read_only().ok()), json!(b.read_only().ok())),
        "interfaces": both(json!(a.interfaces.as_ref().ok()), json!(b.interfaces.as_ref().ok())),
        "means": meanings(a, b),
        "cgroup_limits_that_differ": controls.collect::<Vec<_>>(),
        "limits_that_differ": limits,
    })
}
