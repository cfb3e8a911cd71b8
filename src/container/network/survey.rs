//! Every network namespace of this machine, whose it is, what is in it, and
//! where its virtual cables end.

use std::collections::HashMap;
use std::fs::File;
use std::path::Path;

use super::names::{self, Name, RUN_NETNS};
use crate::container::engines::{Detective, Owner, Verdict};
use crate::effect::Effect;
use crate::error::{Error, Result};
use crate::kernel::namespace::{self, Census, Holder, Id, Kind, Namespace, Opener};
use crate::kernel::netlink::links::{self, Link};
use crate::kernel::netlink::{Protocol, Socket, inside};
use crate::kernel::undo;

/// One network namespace.
#[derive(Debug)]
pub struct Net {
    /// The namespace, its processes and what else holds it.
    pub namespace: Namespace,
    /// What it is called.
    pub names: Vec<Name>,
    /// Whose it is.
    pub verdict: Verdict,
    /// Its interfaces, where they may be read.
    pub links: Result<Vec<Link>>,
    /// Where each virtual cable ends: by the index of the near end.
    pub peers: HashMap<u32, Peer>,
}

/// The far end of a virtual cable (veth(4)).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// The namespace it is in.
    pub inode: u64,
    /// The interface's name there.
    pub name: String,
}

impl Net {
    /// Its number.
    pub fn id(&self) -> Id {
        self.namespace.id
    }

    /// What keeps it alive, in words.
    pub fn held_by(&self) -> String {
        let mut parts = Vec::new();
        match self.namespace.processes {
            0 => {}
            1 => parts.push("1 process".to_owned()),
            many => parts.push(format!("{many} processes")),
        }
        let count = |what: fn(&Holder) -> bool| {
            self.namespace.holders.iter().filter(|holder| what(holder)).count()
        };
        let names = count(|holder| matches!(holder, Holder::Mount { .. }));
        let files = count(|holder| matches!(holder, Holder::File { .. }));
        for (count, one, several) in
            [(names, "a name", "names"), (files, "an open file", "open files")]
        {
            match count {
                0 => {}
                1 => parts.push(one.to_owned()),
                many => parts.push(format!("{many} {several}")),
            }
        }
        match parts.as_slice() {
            [] => "nothing that we may see".to_owned(),
            parts => parts.join(", "),
        }
    }
}

/// A name that no longer does its work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stale {
    /// The name.
    pub name: Name,
    /// What is wrong with it.
    pub why: &'static str,
    /// What mends it.
    pub repair: String,
}

/// All of it.
#[derive(Debug)]
pub struct Survey {
    /// The namespaces, by number.
    pub nets: Vec<Net>,
    /// Names that name nothing, or what nobody uses any more.
    pub stale: Vec<Stale>,
    /// How many processes were closed to us.
    pub closed: u32,
}

/// Finds every network namespace and reads what is in it.
///
/// Must be called while the program has one thread.
pub fn survey(proc: &Path) -> Result<Survey> {
    let census = namespace::census(proc)?;
    Ok(of(proc, &census, &mut Detective::new(proc)?))
}

/// The same of what a census has found.
///
/// Must be called while the program has one thread.
pub fn of(proc: &Path, census: &Census, detective: &mut Detective) -> Survey {
    let all_names = names::all();
    let found: Vec<&Namespace> =
        census.namespaces.iter().filter(|found| found.id.kind == Kind::Net).collect();
    let opener = Opener::new(proc);
    let open = |n: usize| open(&opener, found[n]);
    let links = inside::each(found.len(), Protocol::Route, open, |socket, _| links::list(socket));
    let peers = peers(&found, &links, open);
    let mut named: HashMap<_, Vec<_>> = HashMap::new();
    for name in &all_names {
        named.entry(name.inode).or_default().push(name.clone());
    }
    let nets = found.iter().zip(links).zip(peers).map(|((namespace, links), peers)| Net {
        names: named.remove(&Some(namespace.id.inode)).unwrap_or_default(),
        verdict: owner(detective, census, namespace),
        namespace: without_us(namespace),
        links,
        peers,
    });
    let nets: Vec<_> = nets.collect();
    Survey {
        stale: stale(&all_names, &nets),
        nets,
        closed: u32::try_from(census.closed.len()).unwrap_or(u32::MAX),
    }
}

/// Files that this very command has open will not keep anything.
fn without_us(namespace: &Namespace) -> Namespace {
    let us = std::process::id().cast_signed();
    let mut namespace = namespace.clone();
    namespace.holders.retain(|holder| !matches!(holder, Holder::File { pid, .. } if *pid == us));
    namespace
}

fn open(opener: &Opener<'_>, namespace: &Namespace) -> Result<File> {
    opener
        .open(namespace)
        .ok_or_else(|| Error::call(format!("open({})", namespace.id), nix::errno::Errno::EACCES))
}

/// The host's is the host's; otherwise it belongs to the first container that
/// is in it, or to whoever holds it.
fn owner(detective: &mut Detective, census: &Census, namespace: &Namespace) -> Verdict {
    let host = detective.host();
    if host.ids.get(Kind::Net) == Some(namespace.id) {
        return Verdict { owner: Owner::Host, evidence: format!("{} is in it", host.what) };
    }
    let mut verdict = |pid: i32| {
        let at = census.sets.binary_search_by_key(&pid, |set| set.pid).ok()?;
        Some(detective.owner(pid, &census.sets[at].ids))
    };
    let mut verdicts: Vec<_> = namespace.pids.iter().filter_map(|pid| verdict(*pid)).collect();
    if verdicts.is_empty() {
        let holder = |holder: &Holder| match holder {
            Holder::File { pid, fd } => verdict(*pid)
                .map(|v| Verdict { evidence: format!("open file {fd} of pid {pid}"), ..v }),
            Holder::Mount { path, pid, .. } => verdict(*pid)
                .map(|v| Verdict { evidence: format!("mounted on {}", path.display()), ..v }),
        };
        verdicts = namespace.holders.iter().filter_map(holder).collect();
    }
    let first = verdicts.iter().position(|v| matches!(v.owner, Owner::Container(_))).unwrap_or(0);
    verdicts.into_iter().nth(first).unwrap_or_else(|| Verdict {
        owner: Owner::Unknown,
        evidence: "no process that we may see is in it".to_owned(),
    })
}

/// Where each veth ends. An interface says only the index at the far end; two
/// that name each other's are a pair if the kernel counts the one's namespace
/// among the other's neighbours under the number that goes with it.
fn peers(
    found: &[&Namespace],
    links: &[Result<Vec<Link>>],
    open: impl Fn(usize) -> Result<File> + Sync,
) -> Vec<HashMap<u32, Peer>> {
    let veths = |n: usize| links[n].iter().flatten().filter(|link| link.is_veth());
    let mut by_ends: HashMap<(u32, u32), Vec<usize>> = HashMap::new();
    for n in 0..found.len() {
        for link in veths(n) {
            by_ends.entry((link.index, link.tied_to.unwrap_or(0))).or_default().push(n);
        }
    }
    let far = |link: &Link| by_ends.get(&(link.tied_to.unwrap_or(0), link.index));
    // Asked from the namespace with more of them: each needs one conversation.
    let asks = |n: usize, other: usize| (veths(n).count(), other) > (veths(other).count(), n);
    let asking: Vec<usize> = (0..found.len())
        .filter(|n| {
            veths(*n).any(|link| far(link).is_some_and(|far| far.iter().any(|o| asks(*n, *o))))
        })
        .collect();
    let neighbours = |socket: &Socket, at: usize| {
        let n = asking[at];
        let mut pairs = Vec::new();
        for link in veths(n) {
            for &other in far(link).into_iter().flatten().filter(|other| asks(n, **other)) {
                let number = || links::number_of(socket, open(other)?);
                if link.tied_in.is_some() && number().ok().flatten() == link.tied_in {
                    pairs.push((link.index, other, link.tied_to.unwrap_or(0)));
                }
            }
        }
        Ok(pairs)
    };
    let answers = inside::each(asking.len(), Protocol::Route, |at| open(asking[at]), neighbours);
    let mut peers: Vec<HashMap<u32, Peer>> = vec![HashMap::new(); found.len()];
    let end = |n: usize, index: u32| Peer {
        inode: found[n].id.inode,
        name: veths(n).find(|link| link.index == index).map_or(String::new(), |l| l.name.clone()),
    };
    for (n, pairs) in asking.iter().zip(answers) {
        for (near, other, far) in pairs.unwrap_or_default() {
            peers[*n].insert(near, end(other, far));
            peers[other].insert(far, end(*n, near));
        }
    }
    // Both ends in one namespace need no question.
    for (n, peers) in peers.iter_mut().enumerate() {
        for link in veths(n).filter(|link| link.tied_in.is_none()) {
            peers.insert(link.index, end(n, link.tied_to.unwrap_or(0)));
        }
    }
    peers
}

/// Names that name nothing; and those that `netns expose` gave for a container
/// of which nothing is left but the name.
fn stale(all: &[Name], nets: &[Net]) -> Vec<Stale> {
    let ours: Vec<_> = undo::leftovers().unwrap_or_default();
    let given = |name: &Name| {
        ours.iter().any(|left| {
            matches!(&left.entry.effect, Effect::NetnsName { path, .. } if *path == name.path)
        })
    };
    let processes: HashMap<_, _> =
        nets.iter().map(|net| (net.id().inode, net.namespace.processes)).collect();
    let mut stale = Vec::new();
    for name in all {
        let hide = format!("under-the-hood netns hide {}", name.name);
        match name.inode {
            None => stale.push(Stale {
                name: name.clone(),
                why: "a plain file: whatever was mounted on it is gone",
                repair: match given(name) {
                    true => hide,
                    false => format!("rm {}", name.path.display()),
                },
            }),
            Some(inode) => {
                let alone = processes.get(&inode) == Some(&0);
                if alone && name.path.starts_with(RUN_NETNS) && given(name) {
                    stale.push(Stale {
                        name: name.clone(),
                        why: "its container is gone: only the name keeps the namespace alive",
                        repair: hide,
                    });
                }
            }
        }
    }
    stale
}
