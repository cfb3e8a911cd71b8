//! Which distribution is inside: what `/etc/os-release` says (os-release(5)),
//! found through the layers and over symbolic links, as a container would.

use super::stack::{Place, Stack};
use super::{Layer, listing::Kind};

/// What the files say they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Distribution {
    /// `Debian GNU/Linux 12 (bookworm)`
    pub name: String,
    /// `debian`
    pub id: Option<String>,
    /// `12`
    pub version: Option<String>,
    /// The file that says so.
    pub path: Vec<u8>,
    /// The layer that it is in; the lowest is 0.
    pub layer: usize,
}

/// Symbolic links that are followed, as in the kernel.
const MOST_LINKS: usize = 40;

/// Looks for it; `None` if nothing says what this is.
pub fn of(layers: &[Layer], stack: &Stack<'_>) -> Option<Distribution> {
    let found = ["etc/os-release", "usr/lib/os-release"].map(str::as_bytes);
    found.into_iter().find_map(|path| {
        let place = follow(stack, path)?;
        let path = stack.entry(place).path;
        let content = layers[place.layer].kept.iter().find(|(kept, _)| kept == path)?;
        read(&String::from_utf8_lossy(&content.1), path, place.layer)
    })
}

fn read(text: &str, path: &[u8], layer: usize) -> Option<Distribution> {
    let value = |key: &str| {
        let line =
            text.lines().rev().find_map(|line| line.trim().strip_prefix(key)?.strip_prefix('='));
        line.map(|value| value.trim_matches(['"', '\'']).to_owned())
            .filter(|value| !value.is_empty())
    };
    let name = value("PRETTY_NAME").or_else(|| value("NAME")).or_else(|| value("ID"))?;
    let (id, version) = (value("ID"), value("VERSION_ID"));
    Some(Distribution { name, id, version, path: path.to_vec(), layer })
}

/// Where a path leads in the tree that is seen in the end: every name may be a link.
fn follow(stack: &Stack<'_>, path: &[u8]) -> Option<Place> {
    let names = |path: &[u8]| -> Vec<Vec<u8>> {
        path.split(|byte| *byte == b'/').rev().map(<[u8]>::to_vec).collect()
    };
    let (mut todo, mut here, mut links) = (names(path), Vec::<Vec<u8>>::new(), 0);
    while let Some(name) = todo.pop() {
        match &name[..] {
            b"" | b"." => continue,
            b".." => drop(here.pop()),
            _ => here.push(name),
        }
        let Some(place) = stack.tree.get(&here.join(&b'/')[..]) else { continue };
        let entry = stack.entry(*place);
        if let (Kind::Symlink, Some(link)) = (entry.kind, entry.link) {
            links += 1;
            if links > MOST_LINKS {
                return None;
            }
            here.pop();
            if link.starts_with(b"/") {
                here.clear();
            }
            todo.extend(names(link));
        }
    }
    stack.tree.get(&here.join(&b'/')[..]).copied()
}
