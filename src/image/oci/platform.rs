//! Operating system and processor: which of the manifests of an index is meant.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{Descriptor, Other};
use crate::error::{Error, Result};

/// `linux/amd64`, `linux/arm/v7`: names as Go has them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Platform {
    /// Operating system.
    pub os: String,
    /// Processor.
    pub architecture: String,
    /// Which kind of that processor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// Fields that matter on other systems than Linux.
    #[serde(flatten)]
    pub other: Other,
}

impl Platform {
    /// That of this machine.
    pub fn host() -> Self {
        Self::of_machine(&rustix::system::uname().machine().to_string_lossy())
    }

    /// By the kernel's name of the processor (uname(2)).
    fn of_machine(machine: &str) -> Self {
        let (architecture, variant) = match machine {
            "x86_64" => ("amd64", None),
            "i386" | "i486" | "i586" | "i686" => ("386", None),
            "aarch64" => ("arm64", Some("v8")),
            "armv8l" | "armv7l" => ("arm", Some("v7")),
            "armv6l" => ("arm", Some("v6")),
            "loongarch64" => ("loong64", None),
            other => (other, None),
        };
        Self::new("linux", architecture, variant)
    }

    /// A platform by its names.
    pub fn new(os: &str, architecture: &str, variant: Option<&str>) -> Self {
        let (os, architecture) = (os.to_owned(), architecture.to_owned());
        Self { os, architecture, variant: variant.map(str::to_owned), other: Other::new() }
    }

    /// How well an image for `other` runs here: none if not at all, else less is better.
    fn distance(&self, other: &Self) -> Option<u32> {
        if (&self.os, &self.architecture) != (&other.os, &other.architecture) {
            return None;
        }
        let level = |platform: &Self| match (&platform.variant, &*platform.architecture) {
            (Some(variant), _) => variant.strip_prefix('v')?.parse::<u32>().ok(),
            (None, "arm64") => Some(8),
            (None, "arm") => Some(7),
            (None, _) => Some(1),
        };
        match (level(self), level(other)) {
            // A processor runs what its predecessors ran.
            (Some(here), Some(there)) => here.checked_sub(there),
            _ => (self.variant == other.variant).then_some(0),
        }
    }

    /// The one of several manifests that runs best on this platform.
    pub fn choose<'a>(&self, manifests: &'a [Descriptor]) -> Result<&'a Descriptor> {
        let images = || manifests.iter().filter(|manifest| !manifest.is_attestation());
        let fitting = images()
            .filter_map(|manifest| Some((self.distance(manifest.platform.as_ref()?)?, manifest)));
        if let Some((_, best)) = fitting.min_by_key(|(distance, _)| *distance) {
            return Ok(best);
        }
        // One that does not say for whom it is, alone: then it is meant.
        if let [only] = images().collect::<Vec<_>>()[..]
            && only.platform.is_none()
        {
            return Ok(only);
        }
        let mut known: Vec<_> =
            images().filter_map(|manifest| Some(manifest.platform.as_ref()?.to_string())).collect();
        known.dedup();
        known.truncate(20);
        Err(Error::new(format!("there is no image for {self} in it")).hint(
            match known.as_slice() {
                [] => "Its index names no image at all.".to_owned(),
                known => format!(
                    "It is there for {}; --platform takes one of these.",
                    known.join(", ").escape_debug()
                ),
            },
        ))
    }
}

impl FromStr for Platform {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let good = |part: &&str| {
            !part.is_empty()
                && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b))
        };
        let parts: Vec<_> = text.split('/').filter(good).collect();
        match (text.split('/').count() == parts.len(), parts.as_slice()) {
            (true, [os, architecture]) => Ok(Self::new(os, architecture, None)),
            (true, [os, architecture, variant]) => Ok(Self::new(os, architecture, Some(variant))),
            _ => Err(Error::usage(format!("{text:?} is no platform"))
                .hint("OS/ARCHITECTURE[/VARIANT], as in linux/arm64 or linux/arm/v7.")),
        }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        self.variant.as_ref().map_or(Ok(()), |variant| write!(f, "/{variant}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::oci::{Digest, media};

    fn index(platforms: &[&str]) -> Vec<Descriptor> {
        let one = |name: &&str| {
            let mut manifest = Descriptor::new(media::MANIFEST, Digest::of(name.as_bytes()), 1);
            manifest.platform = (!name.is_empty()).then(|| name.parse().unwrap());
            manifest
        };
        platforms.iter().map(one).collect()
    }

    fn chosen(machine: &str, platforms: &[&str]) -> Option<String> {
        let manifests = index(platforms);
        let best = Platform::of_machine(machine).choose(&manifests).ok()?;
        Some(best.platform.as_ref().map(ToString::to_string).unwrap_or_default())
    }

    #[test]
    fn a_machine_gets_the_best_that_it_can_run() {
        let all = ["linux/amd64", "linux/arm/v5", "linux/arm/v7", "linux/arm64/v8", "linux/386"];
        for (machine, best) in [
            ("x86_64", "linux/amd64"),
            ("aarch64", "linux/arm64/v8"),
            ("armv7l", "linux/arm/v7"),
            ("armv6l", "linux/arm/v5"),
            ("i686", "linux/386"),
        ] {
            assert_eq!(chosen(machine, &all).as_deref(), Some(best));
        }
        assert_eq!(chosen("aarch64", &["linux/arm64"]).as_deref(), Some("linux/arm64"));
        assert_eq!(chosen("x86_64", &["windows/amd64", "linux/amd64/v3"]), None);
        assert_eq!(chosen("s390x", &all), None);
        assert_eq!(chosen("s390x", &[""]).as_deref(), Some(""), "it does not say");
        assert_eq!(chosen("x86_64", &["unknown/unknown"]), None);
    }

    #[test]
    fn what_is_there_is_told_to_whom_it_does_not_fit() {
        let manifests = index(&["linux/amd64", "unknown/unknown", "linux/386"]);
        let error = "linux/arm64".parse::<Platform>().unwrap().choose(&manifests).unwrap_err();
        assert!(error.hint.unwrap().contains("for linux/amd64, linux/386;"));
        for wrong in ["", "linux", "linux/", "/amd64", "a/b/c/d", "linux/am d64", "linux//v8"] {
            assert!(wrong.parse::<Platform>().is_err(), "{wrong}");
        }
    }
}
