//! `image pull`.

use serde_json::json;

use super::either::{self, Either};
use crate::cli::Global;
use crate::cli::image::{Pull, RegistryAccess, RegistryFlags};
use crate::cli::run::PullWhen;
use crate::error::{Error, Result};
use crate::image::oci::Platform;
use crate::image::reference::{Name, Reference};
use crate::image::registry::{self, Login, Options, Pulled, Wanted};
use crate::image::store::Store;
use crate::ui::{Screen, keys};

/// `image pull`
pub fn run(args: &Pull, global: &Global, screen: &mut Screen) -> Result<u8> {
    let wanted = Wanted {
        name: name(&args.image)?,
        platform: platform(args.platform.as_deref())?,
        options: options(&args.registry, screen)?,
    };
    if global.dry_run {
        screen.plan(&registry::describe(&wanted)?)?;
        return Ok(0);
    }
    let pulled = match args.or_base {
        false => pull(&wanted, screen)?,
        true => match either::pulled(wanted.clone(), screen)? {
            Either::Pulled(pulled) => *pulled,
            // Nothing came, so there is nothing to be told of it.
            Either::Here(name) if screen.json_wanted() => {
                return screen.json(&json!({ "reference": name, "new": false })).map(|()| 0);
            }
            Either::Here(name) => return screen.out(&name).map(|()| 0),
        },
    };
    if screen.json_wanted() {
        screen.json(&as_json(&pulled))?;
        return Ok(0);
    }
    if !global.quiet {
        screen.out(&format!("Digest: {}", pulled.digest))?;
        let status = if pulled.new { "Downloaded newer image" } else { "Image is up to date" };
        screen.out(&format!("Status: {status} for {}", wanted.name.familiar()))?;
    }
    screen.out(&pulled.reference).map(|()| 0)
}

/// Pulls, and says what, as docker does.
pub fn pull(wanted: &Wanted, screen: &mut Screen) -> Result<Pulled> {
    let name = &wanted.name;
    screen.note(&format!("{}: Pulling from {}", name.wanted(), name.repository()));
    registry::pull(wanted, screen)
}

/// What `run` needs is here, or fetched, as docker does it.
pub fn ensure(image: &str, when: PullWhen, screen: &mut Screen) -> Result<()> {
    let Reference::Named(name) = image.parse()? else { return Ok(()) };
    if name.is_local() || when == PullWhen::Never {
        return Ok(());
    }
    if when == PullWhen::Missing {
        if Store::find()?.resolve(&name)?.is_some() {
            return Ok(());
        }
        screen.note(&format!("There is no image {} here.", name.familiar()));
    }
    let wanted = Wanted { name, platform: Platform::host(), options: Options::default() };
    pull(&wanted, screen).map(drop)
}

fn as_json(pulled: &Pulled) -> serde_json::Value {
    json!({
        "reference": pulled.reference,
        "digest": pulled.digest,
        "manifest": pulled.manifest,
        "platform": pulled.platform,
        "new": pulled.new,
        "layers": pulled.layers.iter().map(|layer| json!({
            "digest": layer.digest, "size": layer.size, "existed": layer.existed,
        })).collect::<Vec<_>>(),
    })
}

/// What a registry can be asked for.
pub fn name(text: &str) -> Result<Name> {
    match text.parse()? {
        Reference::Named(name) if name.is_local() => Err(Error::usage(format!(
            "{} is made on this machine and never pulled",
            name.familiar()
        ))
        .hint("`under-the-hood image base` makes it; no network is needed.")),
        Reference::Named(name) => Ok(name),
        other => Err(Error::usage(format!("{other} is in no registry")).hint(
            "What is on this machine need not be pulled: the other commands take it as it is.",
        )),
    }
}

/// The platform that was asked for; else this machine's.
pub fn platform(asked: Option<&str>) -> Result<Platform> {
    asked.map_or_else(|| Ok(Platform::host()), str::parse)
}

/// What the flags say; a password that is not among them is asked for.
pub fn options(flags: &RegistryFlags, screen: &mut Screen) -> Result<Options> {
    Ok(Options { mirrors: flags.mirror.clone(), ..access(&flags.access, screen)? })
}

/// The same where no mirror will do.
pub fn access(flags: &RegistryAccess, screen: &mut Screen) -> Result<Options> {
    let login = flags.creds.as_deref().map(|creds| login(creds, screen)).transpose()?;
    Ok(Options { insecure: flags.insecure, login, ..Options::default() })
}

fn login(creds: &str, screen: &mut Screen) -> Result<Login> {
    let (user, password) = match creds.split_once(':') {
        Some((user, password)) => (user, Some(password.to_owned())),
        None => (creds, None),
    };
    if user.is_empty() {
        return Err(Error::usage("--creds names no user").hint("--creds USER[:PASSWORD]"));
    }
    let password = match password {
        Some(password) => password,
        None => {
            screen.note(&format!("Password of {user}:"));
            keys::secret()?.ok_or_else(|| Error::usage("there is no password for --creds"))?
        }
    };
    Ok(Login::Password(user.to_owned(), password))
}
