//! `inspect host`: one kernel, shared by all containers; one distribution,
//! which is only files.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value as Json, json};

use crate::error::Result;
use crate::kernel::host::{self, Guest, Kernel, Modules};
use crate::kernel::raw;
use crate::ui::{Align, Column, Screen, Style, Table, Value};

/// One fact, and what it means for containers.
struct Fact {
    name: &'static str,
    value: String,
    note: &'static str,
}

const FACTS: Table<Fact> = Table(&[
    Column {
        name: "WHAT",
        align: Align::Left,
        help: "The fact",
        value: |fact| Value::Text(fact.name.into()),
    },
    Column {
        name: "HERE",
        align: Align::Left,
        help: "What it is on this machine",
        value: |fact| Value::Text(fact.value.clone()),
    },
]);

/// Prints what this machine is.
pub fn run(root: &Path, screen: &mut Screen) -> Result<u8> {
    let proc = root.join("proc");
    let kernel = host::kernel();
    let os = host::os_release(root);
    let (boot, uptime) = host::boot(&proc)?;
    let modules = host::modules(&proc)?;
    let (machine, container) = (host::virtual_machine(root), host::container(root));
    if screen.json_wanted() {
        let guest = |guest: &Option<Guest>| match guest {
            Some(guest) => json!({ "kind": guest.of, "evidence": guest.evidence }),
            None => Json::Null,
        };
        screen.json(&json!({
            "kernel": { "name": kernel.name, "release": kernel.release, "version": kernel.version },
            "architecture": kernel.architecture,
            "hostname": kernel.hostname,
            "os_release": os.as_ref().map(lower_case),
            "boot_time": boot,
            "uptime_seconds": uptime,
            "virtual_machine": guest(&machine),
            "container": guest(&container),
            "modules": match modules { Modules::Loaded(count) => json!(count), Modules::NotSupported => Json::Null },
            "modules_supported": modules != Modules::NotSupported,
        }))?;
        return Ok(0);
    }
    let mut facts = of_software(&kernel, os.as_ref(), modules);
    facts.extend(of_machine(&kernel, boot, uptime, machine.as_ref(), container.as_ref()));
    print(&facts, screen)?;
    Ok(0)
}

/// Keys as everywhere in our JSON.
fn lower_case(os: &BTreeMap<String, String>) -> BTreeMap<String, &str> {
    os.iter().map(|(name, value)| (name.to_lowercase(), value.as_str())).collect()
}

fn of_software(
    kernel: &Kernel,
    os: Option<&BTreeMap<String, String>>,
    modules: Modules,
) -> Vec<Fact> {
    let field = |name: &str| os.and_then(|os| os.get(name)).cloned();
    let distribution = field("PRETTY_NAME").or_else(|| field("NAME"));
    let (count, note) = match modules {
        Modules::Loaded(count) => (
            format!("{count} loaded"),
            "Modules are loaded into the one kernel, so a container sees the same list and may not add to it.",
        ),
        Modules::NotSupported => (
            "none: this kernel was built without modules".to_owned(),
            "There is no /proc/modules (CONFIG_MODULES is off): all that this kernel can do is built in, for containers too.",
        ),
    };
    vec![
        Fact {
            name: "kernel",
            value: format!("{} {}", kernel.name, kernel.release),
            note: "`uname -s -r`. There is one, and every container on this machine gets the same answer.",
        },
        Fact {
            name: "distribution",
            value: distribution.unwrap_or_else(|| "unknown: there is no os-release".to_owned()),
            note: "/etc/os-release: a file. A container brings its own, and so looks like another machine.",
        },
        Fact { name: "kernel modules", value: count, note },
    ]
}

fn of_machine(
    kernel: &Kernel,
    boot: u64,
    uptime: u64,
    machine: Option<&Guest>,
    container: Option<&Guest>,
) -> Vec<Fact> {
    let mut facts = vec![
        Fact {
            name: "architecture",
            value: kernel.architecture.clone(),
            note: "`uname -m`. An image is made for one; a container cannot change it.",
        },
        Fact {
            name: "host name",
            value: kernel.hostname.clone(),
            note: "`uname -n`. It belongs to the UTS namespace: a container can have another.",
        },
        Fact {
            name: "started",
            value: format!("{} ({} ago)", moment(boot), duration(uptime)),
            note: "btime in /proc/stat. Starting a container boots nothing.",
        },
    ];
    let of = |guest: &Guest| match guest.of.as_str() {
        "unknown" => format!("yes, of an unknown kind ({})", guest.evidence),
        of => format!("{of} ({})", guest.evidence),
    };
    facts.push(match machine {
        Some(guest) => Fact {
            name: "virtual machine",
            value: of(guest),
            note: "This kernel has a hypervisor below it. Containers are not that: they share this kernel.",
        },
        None => Fact {
            name: "virtual machine",
            value: "no sign of one".to_owned(),
            note: "Nothing in the firmware's names, the clocks or the processor's flags speaks for a hypervisor.",
        },
    });
    if let Some(guest) = container {
        facts.push(Fact {
            name: "container",
            value: of(guest),
            note: "We are inside a container ourselves: \"host\" means this container in all that follows.",
        });
    }
    facts
}

/// Each fact with what it means below it.
fn print(facts: &[Fact], screen: &mut Screen) -> Result<()> {
    if screen.settings().quiet {
        return screen.table(&FACTS, facts);
    }
    let widest = facts.iter().map(|fact| fact.name.len()).max().unwrap_or(0);
    for fact in facts {
        let value = crate::ui::table::printable(&fact.value);
        let name = screen.paint(&format!("{:widest$}", fact.name), Style::Heading);
        let hang = " ".repeat(widest + 2);
        let room = screen.width().min(100).saturating_sub(widest + 2).max(16);
        let value = crate::ui::wrap(&value, room, "").replace('\n', &format!("\n{hang}"));
        screen.out(&format!("{name}  {value}"))?;
        for line in crate::ui::wrap(fact.note, room, "").lines() {
            screen.out(&format!("{hang}{}", screen.paint(line, Style::Dim)))?;
        }
    }
    Ok(())
}

/// A moment as the machine's own clock shows it.
fn moment(seconds: u64) -> String {
    match i64::try_from(seconds).ok().and_then(raw::local_time) {
        Some(t) => format!(
            "{:04}-{:02}-{:02} {:02}:{:02}:{:02}",
            i64::from(t.tm_year) + 1900,
            t.tm_mon + 1,
            t.tm_mday,
            t.tm_hour,
            t.tm_min,
            t.tm_sec
        ),
        None => seconds.to_string(),
    }
}

fn duration(seconds: u64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, minutes) => format!("{minutes} min"),
        (0, hours, minutes) => format!("{hours} h {minutes} min"),
        (days, hours, _) => format!("{days} d {hours} h"),
    }
}
