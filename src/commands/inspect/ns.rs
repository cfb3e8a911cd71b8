//! `inspect ns`: every namespace of this machine, whose it is and what holds it.

use std::collections::HashMap;
use std::path::Path;

use serde_json::{Value as Json, json};

use super::{as_root, owner_json, tree};
use crate::cli::inspect::{Ns, NsType};
use crate::container::engines::{Detective, Found, Owner, Verdict};
use crate::container::target;
use crate::error::{Error, Result};
use crate::kernel::namespace::{self, Census, Family, Holder, Id, Ids, Kind, Namespace};
use crate::kernel::process::{self, Users};
use crate::ui::{Align, Column, Screen, Table, Value};

/// One namespace as it is shown.
pub(super) struct Row {
    pub id: Id,
    processes: u32,
    pid: Option<i32>,
    ppid: Option<i32>,
    uid: Option<u32>,
    user: Option<String>,
    verdict: Verdict,
    /// Further containers that are in it too.
    shared_with: Vec<Found>,
    command: String,
    holders: Vec<Holder>,
    pub family: Family,
    /// What the tree draws before the number.
    pub branch: String,
}

const NPROCS: Column<Row> = Column {
    name: "NPROCS",
    align: Align::Right,
    help: "How many processes are in it",
    value: |row| Value::Number(row.processes.into()),
};
const NS: Column<Row> = Column {
    name: "NS",
    align: Align::Right,
    help: "The inode number, which identifies the namespace",
    value: |row| Value::Number(row.id.inode),
};
const TYPE: Column<Row> = Column {
    name: "TYPE",
    align: Align::Left,
    help: "Its type: what it separates",
    value: |row| Value::Text(row.id.kind.name().into()),
};
const PID: Column<Row> = Column {
    name: "PID",
    align: Align::Right,
    help: "The lowest pid in it",
    value: |row| number(row.pid),
};
const PPID: Column<Row> = Column {
    name: "PPID",
    align: Align::Right,
    help: "That process's parent",
    value: |row| number(row.ppid),
};
const USER: Column<Row> = Column {
    name: "USER",
    align: Align::Left,
    help: "That process's user",
    value: |row| Value::maybe(row.user.clone()),
};
const OWNER: Column<Row> = Column {
    name: "OWNER",
    align: Align::Left,
    help: "host, the container it belongs to (ENGINE:NAME or ENGINE:ID), or unknown",
    value: |row| Value::Text(row.owner()),
};
const COMMAND: Column<Row> = Column {
    name: "COMMAND",
    align: Align::Left,
    help: "That process's command; in parentheses what holds a namespace without processes",
    value: |row| Value::Text(row.command.clone()),
};
const TABLE: Table<Row> = Table(&[NS, TYPE, NPROCS, PID, PPID, USER, OWNER, COMMAND]);
const TREE: Table<Row> = Table(&[
    Column {
        name: "NS",
        align: Align::Left,
        help: "Below the user namespace it belongs to, or below its parent",
        value: |row| Value::Text(format!("{}{}", row.branch, row.id.inode)),
    },
    TYPE,
    NPROCS,
    PID,
    PPID,
    USER,
    OWNER,
    COMMAND,
]);

fn number(pid: Option<i32>) -> Value {
    pid.and_then(|pid| u64::try_from(pid).ok()).map_or(Value::None, Value::Number)
}

/// What the columns say, for `--help`.
pub(super) fn columns() -> String {
    TABLE.help()
}

/// Prints the namespaces that were asked for.
pub fn run(proc: &Path, args: &Ns, screen: &mut Screen) -> Result<u8> {
    let mut detective = Detective::new(proc)?;
    let census = namespace::census(proc)?;
    let only = match (args.pid, &args.container) {
        (Some(pid), _) => Some(of_process(proc, pid)?),
        (None, Some(name)) => {
            Some(of_process(proc, target::container(proc, &census, &mut detective, name)?.pid)?)
        }
        (None, None) => None,
    };
    let hidden = process::hidden(proc);
    let related = args.tree || screen.json_wanted();
    let families =
        if related { namespace::families(proc, &census.namespaces) } else { HashMap::new() };
    let wanted = |id: &Id| {
        args.kind.is_none_or(|kind| kind_of(kind) == id.kind)
            && only.as_ref().is_none_or(|ids| ids.get(id.kind) == Some(*id))
    };
    let mut rows = rows(proc, &census, &families, &mut detective, wanted);
    if args.tree {
        rows = tree::ordered(rows);
    }
    if screen.json_wanted() {
        let host = detective.host().pid;
        screen.json(&json!({
            "namespaces": rows.iter().map(Row::json).collect::<Vec<_>>(),
            "closed_processes": census.closed.len(),
            "others_hidden": hidden,
            "host_pid": host,
        }))?;
    } else {
        screen.table(if args.tree { &TREE } else { &TABLE }, &rows)?;
        say_what_is_missing(&census, &detective, hidden, screen);
    }
    Ok(0)
}

fn of_process(proc: &Path, pid: i32) -> Result<Ids> {
    let ids = namespace::of_process(proc, pid)?;
    if ids.iter().next().is_none() {
        let call = format!("readlink(\"{}/{pid}/ns/…\")", proc.display());
        return Err(Error::call(call, nix::errno::Errno::EACCES).hint(as_root("ns")));
    }
    Ok(ids)
}

fn say_what_is_missing(census: &Census, detective: &Detective, hidden: bool, screen: &Screen) {
    if !census.closed.is_empty() {
        let what = match census.closed.len() {
            1 => "1 process was closed to us: what only it is in is not listed.".to_owned(),
            many => {
                format!("{many} processes were closed to us: what only they are in is not listed.")
            }
        };
        screen.note(&format!("{what} {}", as_root("ns")));
    }
    say_how_it_was_looked_at(detective, hidden, screen);
}

/// What else a reader must know to trust the table.
pub(super) fn say_how_it_was_looked_at(detective: &Detective, hidden: bool, screen: &Screen) {
    if hidden {
        screen.note("/proc is mounted with hidepid: processes of others are not even counted.");
    }
    if detective.host().pid != 1 {
        let what = detective.host().what;
        screen.note(&format!("Pid 1 is closed to us, so \"host\" means the namespaces of {what}."));
    }
}

fn kind_of(kind: NsType) -> Kind {
    match kind {
        NsType::Cgroup => Kind::Cgroup,
        NsType::Ipc => Kind::Ipc,
        NsType::Mnt => Kind::Mnt,
        NsType::Net => Kind::Net,
        NsType::Pid => Kind::Pid,
        NsType::Time => Kind::Time,
        NsType::User => Kind::User,
        NsType::Uts => Kind::Uts,
    }
}

fn rows(
    proc: &Path,
    census: &Census,
    families: &HashMap<Id, Family>,
    detective: &mut Detective,
    wanted: impl Fn(&Id) -> bool,
) -> Vec<Row> {
    let users = Users::read(Path::new("/etc/passwd"));
    let mut judge = Judge { proc, census, detective, verdicts: HashMap::new() };
    let mut rows: Vec<_> = census
        .namespaces
        .iter()
        .filter(|namespace| wanted(&namespace.id))
        .map(|namespace| judge.row(namespace, &users, families))
        .collect();
    let hidden = |id: &&Id| census.namespaces.binary_search_by_key(*id, |n| n.id).is_err();
    for id in families.keys().filter(hidden).filter(|id| wanted(id)) {
        let namespace = Namespace { id: *id, processes: 0, pids: Vec::new(), holders: Vec::new() };
        rows.push(judge.row(&namespace, &users, families));
    }
    rows.sort_by_key(|row| row.id);
    rows
}

/// Says of each namespace whose it is; each process is judged once.
struct Judge<'a> {
    proc: &'a Path,
    census: &'a Census,
    detective: &'a mut Detective,
    verdicts: HashMap<i32, Verdict>,
}

impl Judge<'_> {
    fn row(&mut self, namespace: &Namespace, users: &Users, families: &HashMap<Id, Family>) -> Row {
        let (verdict, shared_with) = self.owner(namespace);
        let pid = namespace.pids.first().copied();
        let brief = pid.and_then(|pid| self.detective.brief(pid)).cloned();
        let command = match (pid, &brief) {
            (Some(pid), Some(brief)) => process::command(self.proc, pid, &brief.comm),
            (Some(_), None) => "(has just ended)".to_owned(),
            (None, _) => format!("({})", self.held_by(&namespace.holders)),
        };
        Row {
            id: namespace.id,
            processes: namespace.processes,
            pid,
            ppid: brief.as_ref().map(|brief| brief.ppid),
            uid: brief.as_ref().map(|brief| brief.uid),
            user: brief.as_ref().map(|brief| users.name(brief.uid)),
            verdict,
            shared_with,
            command,
            holders: namespace.holders.clone(),
            family: families.get(&namespace.id).copied().unwrap_or_default(),
            branch: String::new(),
        }
    }

    /// The host's own are the host's, whoever else is in them. Of the
    /// containers in any other, the first (by pid) made it and the rest joined.
    fn owner(&mut self, namespace: &Namespace) -> (Verdict, Vec<Found>) {
        let Id { kind, .. } = namespace.id;
        let host = self.detective.host();
        if host.ids.get(kind) == Some(namespace.id) {
            let evidence = format!("{} is in it", host.what);
            return (Verdict { owner: Owner::Host, evidence }, Vec::new());
        }
        let mut verdicts: Vec<_> = namespace.pids.iter().map(|pid| self.verdict(*pid)).collect();
        if verdicts.is_empty() {
            verdicts = namespace.holders.iter().map(|holder| self.by_holder(holder)).collect();
        }
        let container = |verdict: &Verdict| match &verdict.owner {
            Owner::Container(found) => Some(found.clone()),
            Owner::Host | Owner::Unknown => None,
        };
        let mut all: Vec<Found> = Vec::new();
        for found in verdicts.iter().filter_map(container) {
            if !all.iter().any(|known| known.same(&found)) {
                all.push(found);
            }
        }
        let first = verdicts.iter().position(|verdict| container(verdict).is_some()).unwrap_or(0);
        let nobody = || Verdict {
            owner: Owner::Unknown,
            evidence: "no process is in it, and nothing we may see holds it".to_owned(),
        };
        let verdict = verdicts.into_iter().nth(first).unwrap_or_else(nobody);
        (verdict, all.into_iter().skip(1).collect())
    }

    fn verdict(&mut self, pid: i32) -> Verdict {
        if let Some(verdict) = self.verdicts.get(&pid) {
            return verdict.clone();
        }
        let set = self.census.sets.binary_search_by_key(&pid, |set| set.pid).ok();
        let ids = set.map(|at| self.census.sets[at].ids);
        let ids = ids.or_else(|| namespace::of_process(self.proc, pid).ok()).unwrap_or_default();
        let verdict = self.detective.owner(pid, &ids);
        self.verdicts.insert(pid, verdict.clone());
        verdict
    }

    /// A namespace without processes is whose file or mount holds it.
    fn by_holder(&mut self, holder: &Holder) -> Verdict {
        let (pid, how) = match holder {
            Holder::File { pid, fd } => (*pid, format!("open as file {fd} of pid {pid}")),
            Holder::Mount { path, pid, .. } => {
                (*pid, format!("mounted on {}", process::path_text(path)))
            }
        };
        let verdict = self.verdict(pid);
        Verdict { evidence: format!("{how}; {}", verdict.evidence), ..verdict }
    }

    /// What keeps a namespace that no process is in.
    fn held_by(&mut self, holders: &[Holder]) -> String {
        let more = match holders.len() {
            0 | 1 => String::new(),
            count => format!(", and {} more", count - 1),
        };
        match holders.first() {
            None => "no process; kept by the namespaces below it".to_owned(),
            Some(Holder::File { pid, fd }) => {
                let comm = self.detective.brief(*pid).map(|brief| brief.comm.clone());
                format!("open file {fd} of pid {pid}, {}{more}", comm.unwrap_or_default())
            }
            Some(Holder::Mount { path, namespace, .. }) => {
                let elsewhere = self.detective.host().ids.get(Kind::Mnt) != Some(*namespace);
                let place = if elsewhere { format!(" in {namespace}") } else { String::new() };
                format!("bind mount {}{place}{more}", process::path_text(path))
            }
        }
    }
}

impl Row {
    fn owner(&self) -> String {
        let label = self.verdict.owner.label();
        match self.shared_with.len() {
            0 => label,
            others => format!("{label} +{others}"),
        }
    }

    fn json(&self) -> Json {
        let held_by = |holder: &Holder| match holder {
            Holder::File { pid, fd } => json!({ "kind": "open_file", "pid": pid, "fd": fd }),
            Holder::Mount { path, namespace, pid } => json!({
                "kind": "bind_mount", "path": process::path_text(path),
                "mount_namespace": namespace.inode, "pid": pid,
            }),
        };
        let mut object = match TABLE.json(std::slice::from_ref(self)) {
            Json::Array(rows) => rows.into_iter().next().unwrap_or_default(),
            other => other,
        };
        object["owner"] = owner_json(&self.verdict);
        object["owner"]["shared_with"] = self.shared_with.iter().map(Found::label).collect();
        object["uid"] = json!(self.uid);
        object["command"] = json!(self.pid.is_some().then_some(&self.command));
        object["held_by"] = self.holders.iter().map(held_by).collect();
        object["parent"] = json!(self.family.parent.map(|id| id.inode));
        object["user_namespace"] = json!(self.family.owner.map(|id| id.inode));
        object["created_by_uid"] = json!(self.family.uid);
        object
    }
}
