//! Two images side by side: what a container of each would find.

use super::dissect::listing::{Entry, Kind};
use super::dissect::stack::Stack;
use super::oci::Config;
use super::unpack::name::Name;

/// A path that is not the same in both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference<'a> {
    /// The path.
    pub path: &'a [u8],
    /// What the one image has.
    pub a: Option<Entry<'a>>,
    /// What the other has.
    pub b: Option<Entry<'a>>,
}

impl Difference<'_> {
    /// `added`, `removed` or `changed`.
    pub fn change(&self) -> &'static str {
        match (&self.a, &self.b) {
            (None, _) => "added",
            (_, None) => "removed",
            _ => "changed",
        }
    }

    /// What differs, where both have it.
    pub fn what(&self) -> Vec<&'static str> {
        let (Some(a), Some(b)) = (&self.a, &self.b) else { return Vec::new() };
        [
            ("kind", a.kind != b.kind),
            ("content", a.kind == b.kind && (a.sum, a.size) != (b.sum, b.size)),
            ("link", a.link != b.link),
            ("mode", a.mode != b.mode),
            ("owner", (a.uid, a.gid) != (b.uid, b.gid)),
        ]
        .into_iter()
        .filter_map(|(what, differs)| differs.then_some(what))
        .collect()
    }
}

/// What is seen in the end, compared by path. Times do not count.
pub fn files<'a>(a: &'a Stack<'_>, b: &'a Stack<'_>) -> Vec<Difference<'a>> {
    let mut differences = Vec::new();
    let (mut left, mut right) = (a.tree.keys().peekable(), b.tree.keys().peekable());
    loop {
        let path: &[u8] = match (left.peek(), right.peek()) {
            (None, None) => return differences,
            (Some(path), None) | (None, Some(path)) => path,
            (Some(one), Some(other)) => one.min(other),
        };
        let one = left.next_if(|next| **next == path).and_then(|path| seen(a, path));
        let other = right.next_if(|next| **next == path).and_then(|path| seen(b, path));
        let difference = Difference { path, a: one, b: other };
        if one.is_none() || other.is_none() || !difference.what().is_empty() {
            differences.push(difference);
        }
    }
}

/// What is under this name; a hard link is the file that it is another name of.
fn seen<'a>(stack: &'a Stack<'_>, path: &[u8]) -> Option<Entry<'a>> {
    let entry = stack.entry(*stack.tree.get(path)?);
    let (Kind::HardLink, Some(link)) = (entry.kind, entry.link) else { return Some(entry) };
    let name = Name::of(link, usize::MAX).ok()?;
    let last = name.last.unwrap_or_default();
    let other = match name.parent.is_empty() {
        true => last.to_vec(),
        false => [&name.parent[..], last].join(&b'/'),
    };
    match stack.tree.get(&other[..]).map(|place| stack.entry(*place)) {
        Some(file) if file.kind == Kind::File => Some(Entry { path: entry.path, ..file }),
        _ => Some(entry),
    }
}

/// A field of the config that is not the same in both.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Field {
    /// Its name: `Cmd`, `architecture`.
    pub key: String,
    /// What the one image has.
    pub a: Option<serde_json::Value>,
    /// What the other has.
    pub b: Option<serde_json::Value>,
}

/// How a container of each is started, compared field by field.
pub fn config(a: &Config, b: &Config) -> Vec<Field> {
    let fields = |config: &Config| -> super::oci::Other {
        let mut fields = match serde_json::to_value(&config.config) {
            Ok(serde_json::Value::Object(fields)) => fields,
            _ => super::oci::Other::new(),
        };
        fields.insert("platform".to_owned(), config.platform().to_string().into());
        fields
    };
    let (a, b) = (fields(a), fields(b));
    let mut keys: Vec<_> = a.keys().chain(b.keys()).collect();
    keys.sort();
    keys.dedup();
    let field =
        |key: &String| Field { key: key.clone(), a: a.get(key).cloned(), b: b.get(key).cloned() };
    keys.into_iter().map(field).filter(|field| field.a != field.b).collect()
}
