//! The pictures that a lesson can show: what `draw:` takes, and gathering what is to
//! be drawn, from the kernel and from images, at the moment it is shown.

mod cgroups;
mod cpu;
mod layers;
mod network;

use std::path::Path;

use crate::kernel::namespace::{self, Kind};
use crate::ui::picture::{Namespace, Namespaces, Picture};

use super::check::{Unknown, World};
use super::fault::Fault;

/// A picture, or why there is none.
pub type Drawn = Result<Picture, String>;

/// A `draw:` line.
#[derive(Debug, Clone)]
pub struct Draw {
    /// Its line in the lesson's file.
    pub line: usize,
    kind: &'static Entry,
    arguments: Vec<String>,
}

/// One kind of picture.
struct Entry {
    name: &'static str,
    /// Its arguments: WHO is `self`, `host` or a container's name, `...` as many as you like,
    /// IMAGE what `image pull` takes.
    usage: &'static str,
    gather: fn(&World, &[String]) -> Drawn,
}

const ALL: [Entry; 5] = [
    Entry { name: "namespaces", usage: "WHO [WHO]", gather: namespaces },
    Entry { name: "cgroups", usage: "WHO...", gather: cgroups::gather },
    Entry { name: "network", usage: "WHO...", gather: network::gather },
    Entry { name: "layers", usage: "WHO|IMAGE", gather: layers::gather },
    Entry { name: "cpu", usage: "WHO...", gather: cpu::gather },
];

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl Draw {
    /// As it stands in the lesson.
    pub fn written(&self) -> String {
        let words = std::iter::once(self.kind.name);
        words.chain(self.arguments.iter().map(String::as_str)).collect::<Vec<_>>().join(" ")
    }

    /// Reads `NAME ARGUMENTS`.
    pub fn parse(line: usize, text: &str) -> Result<Self, Fault> {
        let mut words = text.trim().trim_matches('`').split_whitespace();
        let name = words.next().unwrap_or_default();
        let names: Vec<_> = ALL.iter().map(|entry| entry.name).collect();
        let Some(kind) = ALL.iter().find(|entry| entry.name == name) else {
            return Err(Fault::unknown(line, "picture", name, &names));
        };
        let arguments: Vec<_> = words.map(str::to_owned).collect();
        let most = match kind.usage {
            "WHO..." => usize::MAX,
            "WHO [WHO]" => 2,
            _ => 1,
        };
        if arguments.is_empty() || arguments.len() > most {
            let what = format!("`draw: {name}` cannot be drawn of `{}`", arguments.join(" "));
            return Err(Fault::new(line, what).allowed(format!("draw: {name} {}", kind.usage)));
        }
        Ok(Self { line, kind, arguments })
    }

    /// The containers it is of.
    pub fn targets(&self) -> Vec<&str> {
        let image = self.kind.name == "layers";
        let names = self.arguments.iter().map(String::as_str);
        names.filter(|name| !image || !is_image(name)).collect()
    }

    /// The text in which names of variables can stand.
    pub fn text(&self) -> String {
        self.arguments.join(" ")
    }

    /// Looks, now; `Err` says why there is nothing to be drawn.
    pub fn gather(&self, world: &World) -> Drawn {
        let arguments: Vec<_> = self.arguments.iter().map(|word| world.filled(word)).collect();
        (self.kind.gather)(world, &arguments)
    }
}

/// Whether it is an image rather than a container's name, which has no such characters.
fn is_image(text: &str) -> bool {
    text.contains(['$', ':', '/'])
}

fn told(unknown: Unknown) -> String {
    match unknown {
        Unknown::Absent(why) | Unknown::Untestable(why) => why,
    }
}

fn pid(world: &World, who: &str) -> Result<i32, String> {
    world.pid(who).map_err(told)
}

/// What a reader calls them.
fn called(who: &str) -> String {
    match who {
        "self" => "your shell".to_owned(),
        "host" => "this machine".to_owned(),
        name => name.to_owned(),
    }
}

fn namespaces(world: &World, who: &[String]) -> Drawn {
    let (one, other) = match who {
        [one, other] => (one.as_str(), other.as_str()),
        _ => ("self", who[0].as_str()),
    };
    let of = |who: &str| {
        namespace::of_process(Path::new("/proc"), pid(world, who)?).map_err(|e| e.to_string())
    };
    let (ours, theirs) = (of(one)?, of(other)?);
    let inode = |of: &namespace::Ids, kind| of.get(kind).map(|id| id.inode);
    let of_kind = |kind: Kind| {
        let (one, other) = (inode(&ours, kind)?, inode(&theirs, kind)?);
        Some(Namespace { name: kind.name().to_owned(), about: about(kind).to_owned(), one, other })
    };
    let types: Vec<_> = Kind::ALL.into_iter().filter_map(of_kind).collect();
    if types.is_empty() {
        return Err(format!("the namespaces of {other} are closed to you"));
    }
    Ok(Picture::Namespaces(Namespaces { one: called(one), other: called(other), types }))
}

/// In two words: a picture has no room for more.
fn about(kind: Kind) -> &'static str {
    match kind {
        Kind::Cgroup => "view of limits",
        Kind::Ipc => "message queues",
        Kind::Mnt => "mount points",
        Kind::Net => "network",
        Kind::Pid => "process numbers",
        Kind::Time => "clocks",
        Kind::User => "users, rights",
        Kind::Uts => "host name",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draw_line_is_read_or_told_what_is_allowed() {
        let draw = Draw::parse(3, "network box web").unwrap();
        assert_eq!(draw.targets(), ["box", "web"]);
        assert!(Draw::parse(3, "layers $image").unwrap().targets().is_empty());
        let fault = Draw::parse(3, "namespace box").unwrap_err();
        assert!(fault.to_string().contains("namespaces"), "{fault}");
        assert!(Draw::parse(3, "layers").unwrap_err().to_string().contains("WHO|IMAGE"));
        assert!(Draw::parse(3, "namespaces a b c").is_err());
    }

    #[test]
    fn our_own_namespaces_are_all_shared_with_us() {
        let draw = Draw::parse(1, "namespaces self").unwrap();
        let picture = draw.gather(&World::default()).unwrap();
        assert!(picture.words().contains("has 0 to itself"), "{}", picture.words());
    }

    #[test]
    fn who_is_not_there_is_said() {
        for text in ["namespaces box", "cgroups box", "network box", "layers box", "cpu box"] {
            let why = Draw::parse(1, text).unwrap().gather(&World::default()).unwrap_err();
            assert!(why.contains("no container box"), "{text}: {why}");
        }
    }
}
