//! Which variables there are, where: `ARG` before the first `FROM`, `ARG` of a
//! stage, `ENV`, what `--build-arg` gives, and what every build knows by itself.

use std::collections::{BTreeMap, BTreeSet};

use crate::build::dockerfile::ast::{Arg, Dockerfile};
use crate::build::dockerfile::expand;
use crate::build::state::State;
use crate::error::{Error, Result};
use crate::image::oci::Platform;

/// What a command may use without an `ARG`, and what is written down nowhere: how to
/// reach the network from here is nothing to the image.
const PROXIES: [&str; 10] = [
    "HTTP_PROXY",
    "http_proxy",
    "HTTPS_PROXY",
    "https_proxy",
    "FTP_PROXY",
    "ftp_proxy",
    "NO_PROXY",
    "no_proxy",
    "ALL_PROXY",
    "all_proxy",
];

/// Names and values.
pub type Values = Vec<(String, String)>;

/// The variables of a build, apart from those of a stage.
#[derive(Debug, Clone)]
pub struct Scope {
    given: BTreeMap<String, String>,
    /// What the machine and the wanted image are.
    known: BTreeMap<String, String>,
    /// `ARG` before the first `FROM`.
    global: BTreeMap<String, String>,
    /// Of those that were given, the ones that an `ARG` has asked for.
    used: BTreeSet<String>,
    escape: char,
}

impl Scope {
    /// Of this Dockerfile, with what `--build-arg` gives.
    pub fn new(
        file: &Dockerfile,
        given: &BTreeMap<String, String>,
        platform: &Platform,
    ) -> Result<Self> {
        let (known, global) = (known(platform), BTreeMap::new());
        let (given, used, escape) = (given.clone(), BTreeSet::new(), file.directives.escape);
        let mut scope = Self { given, known, global, used, escape };
        for arg in &file.args {
            for Arg { name, default } in &arg.args {
                let place = format!("{}:{}", file.name, arg.source.first);
                let value = default.as_ref().map(|word| scope.of_from(word, &place)).transpose()?;
                let value = scope.given.get(name).cloned().or(value);
                if scope.given.contains_key(name) {
                    scope.used.insert(name.clone());
                }
                scope.global.extend(value.map(|value| (name.clone(), value)));
            }
        }
        Ok(scope)
    }

    /// A word of `FROM`, expanded.
    pub fn of_from(&self, word: &str, place: &str) -> Result<String> {
        let find = |name: &str| self.global.get(name).or_else(|| self.known.get(name)).cloned();
        expand::word(word, &find, self.escape).map_err(|why| wrong(place, why))
    }

    /// What a name stands for in a stage: `ENV` before `ARG`.
    pub fn find(&self, state: &State, name: &str) -> Option<String> {
        let env = state.config.config.env.iter().rev();
        let set = env.filter_map(|entry| entry.split_once('='));
        let set = set.into_iter().find(|(key, _)| *key == name).map(|(_, value)| value.to_owned());
        set.or_else(|| state.args.get(name).cloned())
    }

    /// A word of a stage, expanded.
    pub fn word(&self, state: &State, word: &str, place: &str) -> Result<String> {
        let find = |name: &str| self.find(state, name);
        expand::word(word, &find, self.escape).map_err(|why| wrong(place, why))
    }

    /// Declares an `ARG` of a stage; how the history has it.
    pub fn declare(&mut self, state: &mut State, arg: &Arg, place: &str) -> Result<String> {
        let name = self.word(state, &arg.name, place)?;
        let default = arg.default.as_ref().map(|word| self.word(state, word, place)).transpose()?;
        let value = match self.given.get(&name) {
            Some(given) => {
                self.used.insert(name.clone());
                Some(given.clone())
            }
            None => default
                .or_else(|| self.global.get(&name).cloned())
                .or_else(|| self.known.get(&name).cloned()),
        };
        match value {
            Some(value) => {
                state.args.insert(name.clone(), value.clone());
                Ok(format!("{name}={value}"))
            }
            None => Ok(name),
        }
    }

    /// The escape character of the Dockerfile.
    pub fn escape(&self) -> char {
        self.escape
    }

    /// What a command has besides the variables of the image: those `ARG`s that no `ENV`
    /// of the same name covers, and the proxies that were given.
    pub fn of_command(&self, state: &State) -> (Values, Values) {
        let covered = |name: &str| {
            let mut env = state.config.config.env.iter();
            env.any(|entry| entry.split('=').next() == Some(name))
        };
        let args = state.args.iter().filter(|(name, _)| !covered(name));
        let args: Vec<_> = args.map(|(name, value)| (name.clone(), value.clone())).collect();
        let proxies = self.given.iter().filter(|(name, _)| {
            PROXIES.contains(&name.as_str()) && !state.args.contains_key(*name) && !covered(name)
        });
        (args, proxies.map(|(name, value)| (name.clone(), value.clone())).collect())
    }

    /// What was given, and no `ARG` asked for.
    pub fn unused(&self) -> Vec<&str> {
        let names = self.given.keys().map(String::as_str);
        names.filter(|name| !self.used.contains(*name) && !PROXIES.contains(name)).collect()
    }
}

/// An instruction that cannot be carried out as it stands.
pub fn wrong(place: &str, why: impl std::fmt::Display) -> Error {
    Error::new(format!("{place}: {why}"))
}

fn known(target: &Platform) -> BTreeMap<String, String> {
    let of = |prefix: &str, platform: &Platform| {
        let Platform { os, architecture, variant, .. } = platform.clone();
        [
            (format!("{prefix}PLATFORM"), platform.to_string()),
            (format!("{prefix}OS"), os),
            (format!("{prefix}ARCH"), architecture),
            (format!("{prefix}VARIANT"), variant.unwrap_or_default()),
        ]
    };
    [of("TARGET", target), of("BUILD", &Platform::host())].into_iter().flatten().collect()
}
