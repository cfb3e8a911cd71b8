//! What the documents of other runtimes' images say, a line each.

use serde::Deserialize;
use serde_json::Value;

use crate::error::{Error, Result};

/// Something that a document says: what it is about, and what it says of that.
pub type Fact = (&'static str, String);

/// The manifest of an ACI, as the appc specification has it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Aci {
    ac_kind: String,
    #[serde(default)]
    ac_version: String,
    name: String,
    #[serde(default)]
    labels: Vec<Pair>,
    app: Option<App>,
    #[serde(default)]
    dependencies: Vec<Dependency>,
    #[serde(default)]
    annotations: Vec<Pair>,
}

#[derive(Deserialize)]
struct Pair {
    name: String,
    value: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
struct App {
    exec: Vec<String>,
    user: String,
    group: String,
    working_directory: String,
    environment: Vec<Pair>,
    mount_points: Vec<Value>,
    ports: Vec<Value>,
    isolators: Vec<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Dependency {
    image_name: String,
}

/// What an ACI's manifest says.
pub fn of_aci(document: &[u8]) -> Result<Vec<Fact>> {
    let wrong = |said: String| {
        Error::new("reading the ACI's manifest").said(said).hint("It is damaged, or no ACI.")
    };
    let aci: Aci = serde_json::from_slice(document).map_err(|error| wrong(error.to_string()))?;
    if aci.ac_kind != "ImageManifest" {
        return Err(wrong(format!("it says that it is {:?}, not ImageManifest", aci.ac_kind)));
    }
    let pairs = |pairs: &[Pair]| -> Vec<String> {
        pairs.iter().map(|pair| format!("{}={}", pair.name, pair.value)).collect()
    };
    let mut facts = vec![("name", aci.name), ("appc", aci.ac_version)];
    facts.push(("labels", pairs(&aci.labels).join(" ")));
    if let Some(app) = &aci.app {
        facts.push(("runs", app.exec.join(" ")));
        facts.push(("as", [&app.user[..], &app.group].join(":")));
        facts.push(("in", app.working_directory.clone()));
        facts.push(("env", pairs(&app.environment).join(" ")));
        let names = |values: &[Value], more: &str| -> String {
            let one = |value: &Value| {
                let name = value["name"].as_str().unwrap_or_default().to_owned();
                match &value[more] {
                    Value::Null => name,
                    Value::String(text) => format!("{name} ({text})"),
                    other => format!("{name} ({other})"),
                }
            };
            values.iter().map(one).collect::<Vec<_>>().join(" ")
        };
        facts.push(("ports", names(&app.ports, "port")));
        facts.push(("mounts", names(&app.mount_points, "path")));
        facts.push(("limits", names(&app.isolators, "value")));
    }
    // The nearest thing to a layer that it has: other ACIs, laid below it.
    let below: Vec<_> = aci.dependencies.into_iter().map(|one| one.image_name).collect();
    facts.push(("below it", below.join(" ")));
    facts.push(("notes", pairs(&aci.annotations).join(" ")));
    facts.retain(|(_, value)| !matches!(value.as_str(), "" | ":"));
    Ok(facts)
}

/// What metadata.yaml says.
pub fn of_metadata(document: &[u8]) -> Result<Vec<Fact>> {
    let text = String::from_utf8_lossy(document);
    let pairs = yaml(&text);
    let find =
        |key: &str| pairs.iter().find(|(name, _)| name == key).map(|(_, value)| value.clone());
    let below = |key: &str, with_values: bool| -> String {
        let start = format!("{key}/");
        let below = pairs.iter().filter_map(|(name, value)| {
            let name = name.strip_prefix(&start)?;
            Some(if with_values { format!("{name}={value}") } else { name.to_owned() })
        });
        below.collect::<Vec<_>>().join(" ")
    };
    if find("architecture").is_none() && find("creation_date").is_none() {
        return Err(Error::new("reading metadata.yaml")
            .said("it names neither an architecture nor a creation_date")
            .hint("It is damaged, or this is no image of LXD's. `--config` shows it."));
    }
    let mut facts = vec![
        ("name", find("properties/description").unwrap_or_default()),
        ("for", find("architecture").unwrap_or_default()),
        ("made", find("creation_date").map(|date| since_1970(&date)).unwrap_or_default()),
        ("expires", find("expiry_date").map(|date| since_1970(&date)).unwrap_or_default()),
        ("says", below("properties", true)),
        ("writes", below("templates", false)),
    ];
    facts.retain(|(_, value)| !value.is_empty());
    Ok(facts)
}

fn since_1970(text: &str) -> String {
    match text.parse::<i64>() {
        Ok(0) => String::new(),
        Ok(seconds) => format!("{seconds} seconds after 1970 began (`date -d @{seconds}`)"),
        Err(_) => text.to_owned(),
    }
}

/// The scalars of a YAML document's first two levels, as `key` and `key/below`: what
/// metadata.yaml consists of. What is deeper or written otherwise is passed over, and
/// nothing is ever expanded: an alias in it stays what it is.
fn yaml(text: &str) -> Vec<(String, String)> {
    if let Ok(Value::Object(fields)) = serde_json::from_str(text) {
        return json(&fields);
    }
    let (mut found, mut top, mut inner) = (Vec::new(), String::new(), None);
    for line in text.lines() {
        let bare = line.trim_start();
        let indent = line.len() - bare.len();
        if bare.is_empty() || bare.starts_with(['#', '-']) {
            continue;
        }
        let Some((key, value)) = bare.split_once(':') else { continue };
        // Keys of templates are paths.
        let (key, value) = (unquoted(key), unquoted(value.trim()));
        if indent == 0 {
            (top, inner) = (key.clone(), None);
            found.push((key, value));
        } else if *inner.get_or_insert(indent) == indent && !top.is_empty() {
            found.push((format!("{top}/{key}"), value));
        }
    }
    found
}

fn json(fields: &serde_json::Map<String, Value>) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let mut found = Vec::new();
    for (key, value) in fields {
        match value {
            Value::Object(below) => {
                let below = below.iter();
                found.extend(below.map(|(name, value)| (format!("{key}/{name}"), text(value))));
            }
            value => found.push((key.clone(), text(value))),
        }
    }
    found
}

fn unquoted(text: &str) -> String {
    let inside = |quote: char| text.strip_prefix(quote)?.strip_suffix(quote);
    inside('"').or_else(|| inside('\'')).unwrap_or(text).to_owned()
}

/// A number of the superblock, which is written the lowest byte first.
fn little(bytes: &[u8], at: usize, length: usize) -> Option<u64> {
    let bytes = bytes.get(at..at + length)?;
    Some(bytes.iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte)))
}

/// What the superblock of a squashfs says (the kernel's squashfs_fs.h).
pub fn of_squashfs(start: &[u8]) -> Vec<Fact> {
    const PACKED: [&str; 6] = ["gzip", "lzma", "lzo", "xz", "lz4", "zstd"];
    let number = |at, length| little(start, at, length);
    let packed = number(20, 2).and_then(|id| PACKED.get(usize::try_from(id).ok()?.checked_sub(1)?));
    let facts = [
        ("made", number(8, 4).map(|seconds| since_1970(&seconds.to_string()))),
        ("files", number(4, 4).map(|inodes| format!("{inodes} inodes"))),
        ("packed", packed.map(|packed| (*packed).to_owned())),
        ("blocks", number(12, 4).map(|size| format!("{size} bytes each"))),
        ("used", number(40, 8).map(|bytes| format!("{bytes} bytes"))),
        (
            "version",
            number(28, 2).zip(number(30, 2)).map(|(major, minor)| format!("{major}.{minor}")),
        ),
    ];
    facts.into_iter().filter_map(|(what, value)| Some((what, value?))).collect()
}

/// What the header of a qcow2 says (QEMU's docs/interop/qcow2.txt).
pub fn of_qcow2(start: &[u8]) -> Vec<Fact> {
    let big = |at: usize, length: usize| {
        let bytes = start.get(at..at + length)?;
        Some(bytes.iter().fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte)))
    };
    let facts = [
        ("disk", big(24, 8).map(|bytes| format!("{bytes} bytes"))),
        ("version", big(4, 4).map(|version| version.to_string())),
    ];
    facts.into_iter().filter_map(|(what, value)| Some((what, value?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const METADATA: &str = "architecture: x86_64\ncreation_date: 1424284563\nproperties:\n  description: 'Ubuntu: 22.04'\n  \
        os: \"Ubuntu\"\n  release: jammy\ntemplates:\n  /etc/hosts:\n    when:\n    - create\n    template: hosts.tpl\n  \
        /etc/hostname:\n    template: x\n";

    #[test]
    fn metadata_says_what_it_is() {
        let facts = of_metadata(METADATA.as_bytes()).unwrap();
        let find = |what| facts.iter().find(|(name, _)| *name == what).unwrap().1.as_str();
        assert_eq!((find("name"), find("for")), ("Ubuntu: 22.04", "x86_64"));
        assert_eq!(find("says"), "description=Ubuntu: 22.04 os=Ubuntu release=jammy");
        assert_eq!(find("writes"), "/etc/hosts /etc/hostname");
        assert!(find("made").contains("@1424284563"));
        let json = br#"{"architecture": "x86_64", "properties": {"os": "Debian"}}"#;
        assert!(of_metadata(json).unwrap().contains(&("says", "os=Debian".to_owned())));
        for wrong in [&b""[..], b"- a\n- b", b"{", b"\xff\xfe", b"a: &x [*x]"] {
            assert!(of_metadata(wrong).is_err());
        }
    }

    #[test]
    fn an_acis_manifest_says_what_it_is() {
        let manifest = br#"{"acKind": "ImageManifest", "acVersion": "0.8.11", "name": "example.com/x",
            "labels": [{"name": "os", "value": "linux"}], "app": {"exec": ["/x", "-v"], "user": "0", "group": "0",
            "ports": [{"name": "http", "port": 80, "protocol": "tcp"}]}, "dependencies": [{"imageName": "example.com/base"}]}"#;
        let facts = of_aci(manifest).unwrap();
        for fact in [
            ("runs", "/x -v"),
            ("as", "0:0"),
            ("ports", "http (80)"),
            ("below it", "example.com/base"),
        ] {
            assert!(facts.contains(&(fact.0, fact.1.to_owned())), "{facts:?}");
        }
        for wrong in [&b"{}"[..], b"", br#"{"acKind": "PodManifest", "name": "x"}"#] {
            assert!(of_aci(wrong).is_err());
        }
    }

    #[test]
    fn headers_that_are_cut_say_less() {
        assert!(of_squashfs(b"hsqs").is_empty() && of_qcow2(b"QFI\xfb").is_empty());
    }
}
