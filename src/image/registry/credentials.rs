//! Names and passwords, where docker and podman keep them.
//!
//! | file | written by |
//! | --- | --- |
//! | `$DOCKER_CONFIG/config.json`, else `~/.docker/config.json` | `docker login` |
//! | `$REGISTRY_AUTH_FILE` | whoever set it |
//! | `$XDG_RUNTIME_DIR/containers/auth.json` | `podman login`, `skopeo login` |
//! | `$XDG_CONFIG_HOME/containers/auth.json`, else below `~/.config` | podman |
//!
//! A file either has the password itself (`auths`) or names a program that knows
//! it (`credHelpers` for one registry, `credsStore` for all). What is missing or
//! broken is told and passed over: most images are public.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use crate::error::{Context, Error, Result};

/// What Docker Hub is called in these files, for old times' sake.
const HUB: &str = "https://index.docker.io/v1/";

/// The user name with which a helper says that the secret is an identity token.
const TOKEN_USER: &str = "<token>";

/// A helper that wants to be talked to on a screen would wait for ever.
const PATIENCE: Duration = Duration::from_secs(10);

/// No file of passwords, and no answer of a helper, is larger.
const LARGEST: u64 = 1 << 20;

/// What opens a registry.
#[derive(Clone, PartialEq, Eq)]
pub enum Login {
    /// A name and a password.
    Password(String, String),
    /// What a realm gives tokens for, in place of a password.
    Identity(String),
}

/// A password never gets into an error or a step.
impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Password(user, _) => write!(f, "{user}:..."),
            Self::Identity(_) => f.write_str("an identity token"),
        }
    }
}

/// A login, and where it was found, for the reader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// What to show.
    pub login: Login,
    /// `--creds`, or a file.
    pub from: String,
}

/// What is kept for a repository (`docker.io/library/httpd`) at a host; notes say what could
/// not be looked at.
pub fn find(host: &str, repository: &str, note: &mut dyn FnMut(&str)) -> Option<Found> {
    files(|name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from))
        .into_iter()
        .find_map(|path| {
            let from = path.display().to_string();
            match in_file(&path, host, repository) {
                Ok(login) => login.map(|login| Found { login, from }),
                Err(error) => {
                    note(&format!("{error}. Going on without a login."));
                    None
                }
            }
        })
}

/// The files, in the order in which they count.
fn files(env: impl Fn(&str) -> Option<PathBuf>) -> Vec<PathBuf> {
    let home = env("HOME");
    let below = |directory: &str| home.as_ref().map(|home| home.join(directory));
    let docker = env("DOCKER_CONFIG").or_else(|| below(".docker"));
    let config = env("XDG_CONFIG_HOME").or_else(|| below(".config"));
    let auth = |directory: PathBuf| directory.join("containers/auth.json");
    let all = [
        docker.map(|directory| directory.join("config.json")),
        env("REGISTRY_AUTH_FILE"),
        env("XDG_RUNTIME_DIR").map(auth),
        config.map(auth),
    ];
    all.into_iter().flatten().collect()
}

/// One of these files.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct File {
    auths: BTreeMap<String, Auth>,
    creds_store: String,
    cred_helpers: BTreeMap<String, String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "lowercase", default)]
struct Auth {
    auth: String,
    username: String,
    password: String,
    identitytoken: String,
}

fn in_file(path: &Path, host: &str, repository: &str) -> Result<Option<Login>> {
    let bytes = match std::fs::File::open(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        file => {
            let mut bytes = Vec::new();
            let file = file.tried(|| format!("open({path:?})"))?;
            file.take(LARGEST).read_to_end(&mut bytes).tried(|| format!("read({path:?})"))?;
            bytes
        }
    };
    // serde's own message could have a piece of a password in it.
    let file: File = serde_json::from_slice(&bytes).map_err(|error| {
        Error::new(format!("reading {}", path.display()))
            .said(format!("line {} is not what docker writes there", error.line()))
    })?;
    let names = names(host, repository);
    let helper = names.iter().find_map(|name| file.cred_helpers.get(name));
    let helper = helper.or(Some(&file.creds_store)).filter(|helper| !helper.is_empty());
    if let Some(helper) = helper {
        let server = if host == "docker.io" { HUB } else { host };
        if let Some(login) = ask(helper, server)? {
            return Ok(Some(login));
        }
    }
    let kept = |name: &String| {
        let entry = file.auths.iter().find(|(key, _)| bare(key) == *name)?;
        entry.1.login()
    };
    Ok(names.iter().find_map(kept))
}

/// What an entry can be called, the closest first: podman has logins for parts
/// of a registry.
fn names(host: &str, repository: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut name = repository;
    while let Some((shorter, _)) = name.rsplit_once('/') {
        names.push(name.to_owned());
        name = shorter;
    }
    names.push(host.to_owned());
    if host == "docker.io" {
        names.extend([HUB, "index.docker.io", "registry-1.docker.io"].map(str::to_owned));
    }
    names
}

/// An entry's key without scheme and old paths: `https://quay.io/v2/` is quay.io.
fn bare(key: &str) -> &str {
    if key == HUB {
        return "index.docker.io";
    }
    match key.split_once("://") {
        Some((_, rest)) => rest.split('/').next().unwrap_or(rest),
        None => key.trim_end_matches('/'),
    }
}

impl Auth {
    fn login(&self) -> Option<Login> {
        if !self.identitytoken.is_empty() {
            return Some(Login::Identity(self.identitytoken.clone()));
        }
        if !self.username.is_empty() {
            return Some(Login::Password(self.username.clone(), self.password.clone()));
        }
        let decoded = STANDARD.decode(self.auth.trim()).ok()?;
        let text = String::from_utf8(decoded).ok()?;
        let (user, password) = text.trim_end_matches('\0').split_once(':')?;
        (!user.is_empty()).then(|| Login::Password(user.to_owned(), password.to_owned()))
    }
}

/// Asks a helper, docker-credential-NAME, by its protocol: the registry on
/// standard input, JSON on standard output.
fn ask(helper: &str, server: &str) -> Result<Option<Login>> {
    let program = format!("docker-credential-{helper}");
    let failed = |said: &str| Error::new(format!("asking {program}")).said(said);
    if helper.contains('/') {
        return Err(failed("a helper is a name, not a path"));
    }
    let mut child = Command::new(&program)
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => failed("it is not installed"),
            _ => failed(&error.to_string()),
        })?;
    if let Some(mut input) = child.stdin.take() {
        // One that does not read needs nothing from us.
        let _ = input.write_all(server.as_bytes());
    }
    let output = answer(&mut child).map_err(failed)?;
    let Some(output) = output else { return Ok(None) };
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Answer {
        username: String,
        secret: String,
    }
    let answer: Answer = serde_json::from_slice(&output)
        .map_err(|_| failed("its answer is not what helpers answer"))?;
    Ok(match &*answer.username {
        "" => None,
        TOKEN_USER => Some(Login::Identity(answer.secret)),
        _ => Some(Login::Password(answer.username, answer.secret)),
    })
}

/// What it printed; none if it says (by its exit code) that it knows nothing.
fn answer(child: &mut Child) -> Result<Option<Vec<u8>>, &'static str> {
    let deadline = Instant::now() + PATIENCE;
    let stdout = child.stdout.take();
    let reader = std::thread::spawn(move || {
        let mut output = Vec::new();
        let read = stdout.map(|out| out.take(LARGEST).read_to_end(&mut output));
        read.and_then(Result::ok).map(|_| output).unwrap_or_default()
    });
    loop {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => return Ok(reader.join().ok()),
            Ok(Some(_)) => return Ok(None),
            Ok(None) if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(5)),
            _ => {
                let _ = child.kill().and_then(|()| child.wait());
                return Err("it did not answer");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn password(user: &str, password: &str) -> Option<Login> {
        Some(Login::Password(user.to_owned(), password.to_owned()))
    }

    fn kept(text: &str, host: &str, path: &str) -> Result<Option<Login>> {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("config.json");
        std::fs::write(&file, text).unwrap();
        in_file(&file, host, &format!("{host}/{path}"))
    }

    #[test]
    fn auths_are_found_by_all_their_names() {
        let text = format!(
            r#"{{"auths": {{"{HUB}": {{"auth": "{}"}}, "https://quay.io/v2/": {{"username": "q", "password": "p"}},
                "ghcr.io/team": {{"username": "team", "password": "t"}}, "ghcr.io": {{"identitytoken": "i"}},
                "broken.example": {{"auth": "%%%"}}, "empty.example": {{}}, "localhost:5000": {{"auth": "YTpiOmM="}}}},
               "HttpHeaders": {{}}}}"#,
            STANDARD.encode("me:secret")
        );
        let kept = |host: &str, path: &str| kept(&text, host, path).unwrap();
        assert_eq!(kept("docker.io", "library/httpd"), password("me", "secret"));
        assert_eq!(kept("quay.io", "a"), password("q", "p"));
        assert_eq!(kept("ghcr.io", "team/app"), password("team", "t"));
        assert_eq!(kept("ghcr.io", "teamwork/app"), Some(Login::Identity("i".to_owned())));
        assert_eq!(kept("localhost:5000", "a"), password("a", "b:c"));
        for host in
            ["broken.example", "empty.example", "evil-quay.io", "localhost:5001", "localhost"]
        {
            assert_eq!(kept(host, "a"), None, "{host}");
        }
    }

    #[test]
    fn a_missing_or_broken_file_or_helper_is_told_and_never_shows_a_password() {
        assert_eq!(in_file(Path::new("/no/such/file"), "a", "a/b").unwrap(), None);
        let broken = kept(r#"{"auths": {"a.b": {"auth": ["c2VjcmV0"]}}}"#, "a.b", "c").unwrap_err();
        assert!(!broken.to_string().contains("c2VjcmV0"), "{broken}");
        let store = kept(r#"{"credsStore": "no-such-helper"}"#, "a.b", "c").unwrap_err();
        assert!(store.to_string().contains("docker-credential-no-such-helper"));
        assert!(kept(r#"{"credHelpers": {"a.b": "../x"}}"#, "a.b", "c").is_err());
        assert_eq!(kept(r#"{"credHelpers": {"a.b": "x"}}"#, "b.c", "c").unwrap(), None);
        assert_eq!(format!("{:?}", password("me", "secret").unwrap()), "me:...");
    }

    #[test]
    fn files_are_looked_for_where_docker_and_podman_have_them() {
        let env = |name: &str| (name == "HOME").then(|| PathBuf::from("/h"));
        let found = files(env);
        assert_eq!(
            found,
            ["/h/.docker/config.json", "/h/.config/containers/auth.json"].map(PathBuf::from)
        );
        let all = files(|name| Some(PathBuf::from(format!("/{name}"))));
        let names: Vec<_> = all.iter().map(|path| path.display().to_string()).collect();
        assert_eq!(
            names,
            [
                "/DOCKER_CONFIG/config.json",
                "/REGISTRY_AUTH_FILE",
                "/XDG_RUNTIME_DIR/containers/auth.json",
                "/XDG_CONFIG_HOME/containers/auth.json"
            ]
        );
    }
}
