//! Everything that is known of this machine, as a list of facts in sections,
//! for a person to read and a program to search.

use serde::Serialize;
use serde_json::{Value, json};

use super::cgroup::Version;
use super::engines::State;
use super::userns::{self, FileSystem, Where};
use super::{Engine, Facts, Namespace, Need, Verdict, calls, identity, judge, subids, tools};
use crate::kernel::config::Config;

/// One thing that was looked up or tried.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Fact {
    /// What it belongs to.
    pub section: &'static str,
    /// What it is.
    pub name: String,
    /// What was found.
    pub value: Value,
    /// Whether that is good; null where there is nothing to judge.
    pub ok: Option<bool>,
    /// Why not.
    pub reason: Option<String>,
    /// What to type.
    pub fix: Option<String>,
}

impl Fact {
    fn plain(name: impl Into<String>, value: impl Into<Value>) -> Self {
        let (name, value) = (name.into(), value.into());
        Self { section: "", name, value, ok: None, reason: None, fix: None }
    }

    /// A trial: `good` is what is said of one that succeeded.
    fn tried(name: impl Into<String>, good: impl Into<Value>, verdict: Verdict) -> Self {
        let fact = Self::plain(name, good);
        match verdict.for_command("lesson 1") {
            Verdict::Met => Self { ok: Some(true), ..fact },
            Verdict::Missing { reason, fix } => {
                Self { value: json!("no"), ok: Some(false), reason: Some(reason), fix, ..fact }
            }
        }
    }
}

impl Facts {
    /// Every fact, looked up now. The network comes last: it takes longest.
    pub fn all(&self) -> Vec<Fact> {
        type Section = (&'static str, fn(&Facts) -> Vec<Fact>);
        let sections: [Section; 9] = [
            ("This machine", machine),
            ("You", you),
            ("User namespaces", user_namespaces),
            ("Namespaces", namespaces),
            ("Kernel", kernel),
            ("Control groups", control_groups),
            ("Engines", engines),
            ("Programs", programs),
            ("Network", network),
        ];
        let facts = sections.into_iter().flat_map(|(section, look)| {
            look(self).into_iter().map(move |fact| Fact { section, ..fact })
        });
        facts.collect()
    }
}

fn machine(facts: &Facts) -> Vec<Fact> {
    let host = facts.host();
    let none = |text: &Option<String>| json!(text.as_deref().unwrap_or("no"));
    vec![
        Fact::plain("host", host.called()),
        Fact::plain("kernel", host.kernel.clone()),
        Fact::plain("distribution", host.distribution.clone()),
        Fact::plain("architecture", host.architecture.clone()),
        Fact::plain("virtualization", none(&host.virtualization)),
        Fact::plain("wsl2", if host.wsl2 { "yes" } else { "no" }),
        Fact::plain("container", none(&host.container)),
        Fact::plain("evidence", host.evidence.join("; ")),
    ]
}

fn you(facts: &Facts) -> Vec<Fact> {
    let identity = facts.identity();
    let proc = facts.root.join("proc");
    let mut list = vec![
        Fact::plain("user", subids::user_line(identity.uid)),
        Fact::tried("root", "yes", judge(&Need::Root, facts)),
        Fact::plain("effective capabilities", identity.names()),
    ];
    if identity.uid == 0 {
        list.push(Fact::plain("capabilities lacking", identity.lacking(&proc)));
    }
    list
}

fn user_namespaces(facts: &Facts) -> Vec<Fact> {
    let ids = facts.subordinate_ids();
    let ranges = |ranges: &[(u32, u32)]| -> Vec<String> {
        ranges.iter().map(|(start, count)| format!("{start}:{count}")).collect()
    };
    let mut list = vec![Fact::tried("user namespace", "made", judge(&Need::UserNamespace, facts))];
    for (name, system) in [("tmpfs in it", FileSystem::Tmpfs), ("proc in it", FileSystem::Proc)] {
        list.push(Fact::tried(name, "mounted", facts.mounting(system, Where::Inside)));
    }
    list.push(Fact::tried("overlay in it", "mounted", facts.overlay(Where::Inside)));
    list.push(Fact::plain("subuids", ranges(&ids.uids)));
    list.push(Fact::plain("subgids", ranges(&ids.gids)));
    for ((path, privilege), name) in ids.helpers.iter().zip(["newuidmap", "newgidmap"]) {
        let value = match privilege {
            Some(privilege) => format!("{}, {privilege}", path.display()),
            None if path.as_os_str().is_empty() => "not installed".to_owned(),
            None => format!("{}, without privileges", path.display()),
        };
        list.push(Fact::plain(name, value));
    }
    list.push(Fact::tried("a range of ids", "mapped", judge(&Need::SubordinateIds, facts)));
    list
}

fn namespaces(facts: &Facts) -> Vec<Fact> {
    let made =
        |kind: Namespace| Fact::tried(kind.name(), "made", judge(&Need::Namespace(kind), facts));
    Namespace::ALL.into_iter().map(made).collect()
}

fn kernel(facts: &Facts) -> Vec<Fact> {
    let place = facts.place();
    let api = userns::try_mount_api(place);
    let mut list = vec![
        Fact::tried("overlayfs", "mounted", judge(&Need::Overlay, facts)),
        Fact::tried("fsopen, move_mount", "mounted", facts.explain(&api, place)),
        Fact::tried("seccomp", "a filter was installed", judge(&Need::Seccomp, facts)),
        Fact::tried("clone3", "there", calls::clone3()),
        Fact::tried("openat2", "there", calls::openat2()),
    ];
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    let Some(config) = Config::read(&facts.root, &release) else {
        list.push(Fact::plain(
            "configuration",
            "not to be had (no /proc/config.gz, nothing in /boot)",
        ));
        return list;
    };
    list.push(Fact::plain("configuration", config.path.display().to_string()));
    for option in ["RT_GROUP_SCHED", "SCHED_CLASS_EXT", "SCHED_AUTOGROUP", "USER_NS", "OVERLAY_FS"]
    {
        list.push(Fact::plain(format!("CONFIG_{option}"), config.get(option).unwrap_or("not set")));
    }
    list
}

fn control_groups(facts: &Facts) -> Vec<Fact> {
    let cgroups = facts.cgroups();
    let mut list = vec![
        Fact::plain("layout", cgroups.layout()),
        Fact::tried("version 1", "writable", judge(&Need::CgroupV1, facts)),
        Fact::tried("version 2", "writable", judge(&Need::CgroupV2, facts)),
    ];
    for (name, version) in &cgroups.controllers {
        list.push(Fact::plain(
            name.clone(),
            match version {
                Version::V1(at) => format!("v1 at {}", at.display()),
                Version::V2 => "v2".to_owned(),
                Version::Inherent(how) => format!("v2, as {how}"),
                Version::Unused => "in no hierarchy".to_owned(),
                Version::Disabled => "disabled at boot".to_owned(),
            },
        ));
    }
    if let Some(at) = &cgroups.unified {
        list.push(Fact::plain("unified hierarchy", at.display().to_string()));
    }
    if facts.identity().uid != 0 {
        list.push(Fact::plain(
            "delegated to you",
            cgroups.delegated().map_or(json!("no"), |controllers| json!(controllers)),
        ));
    }
    list
}

fn engines(facts: &Facts) -> Vec<Fact> {
    let fact = |engine: Engine| {
        let found = facts.engine(engine);
        let described = found.described();
        match found.state {
            // Not having an engine is nothing to repair: only lessons may ask for one.
            State::Absent => Fact::plain(engine.name(), described),
            _ => {
                let verdict = judge(&Need::Engine(engine), facts);
                Fact { value: json!(described), ..Fact::tried(engine.name(), "", verdict) }
            }
        }
    };
    Engine::ALL.into_iter().map(fact).collect()
}

fn programs(facts: &Facts) -> Vec<Fact> {
    let fact = |name: &&str| {
        let path = tools::find(name).map(|path| path.display().to_string());
        let verdict = judge(&Need::Tool((*name).to_owned()), facts);
        Fact::tried(*name, path.unwrap_or_default(), verdict)
    };
    let mut list = vec![Fact::plain("this program", identity::program().display().to_string())];
    list.extend(tools::USUAL.iter().map(fact));
    list
}

fn network(facts: &Facts) -> Vec<Fact> {
    if facts.offline {
        return vec![Fact::plain("reach", "not asked (--offline)")];
    }
    let fact = |(address, answer): &super::network::Reach| match answer {
        Ok(status) => Fact {
            ok: Some(true),
            ..Fact::plain(address.clone(), format!("reached (HTTP {status})"))
        },
        Err(reason) => {
            let reason = reason.clone();
            Fact {
                ok: Some(false),
                reason: Some(reason),
                ..Fact::plain(address.clone(), "not reached")
            }
        }
    };
    facts.network().iter().map(fact).collect()
}
