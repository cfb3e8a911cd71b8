//! The image that was asked for or, where it cannot be had, `base`: so that a
//! lesson goes on without a network.

use super::pull;
use crate::cli::run::PullWhen;
use crate::error::{Error, Result};
use crate::image::base::{self, Host};
use crate::image::oci::Platform;
use crate::image::reference::{Name, Reference};
use crate::image::registry::{Options, Pulled, Wanted};
use crate::image::store::Store;
use crate::ui::Screen;

/// The image if it is here or, where `when` allows that, can be fetched soon; else
/// `base`, and a line that says why.
pub fn or_base(image: &str, when: PullWhen, screen: &mut Screen) -> Result<String> {
    let Reference::Named(name) = image.parse()? else {
        return Err(Error::usage(format!(
            "--or-base goes with a name that a registry has: {image}"
        ))
        .hint("What is in a file or a directory is there, or it is not."));
    };
    let here = name.is_local() || Store::find()?.resolve(&name)?.is_some();
    if here && (name.is_local() || when != PullWhen::Always) {
        return Ok(image.to_owned());
    }
    let reason = match when {
        PullWhen::Never => "it is not here".to_owned(),
        _ => match fetched(&name, Options::default(), screen) {
            Ok(_) => return Ok(image.to_owned()),
            Err(reason) => reason,
        },
    };
    if here {
        screen.note(&format!("{reason}. {} is here, from before.", name.familiar()));
        return Ok(image.to_owned());
    }
    instead(&name, &reason, screen);
    Ok("base".to_owned())
}

/// What `image pull --or-base` found: the image if it is here (then nobody is asked:
/// a class behind one address soon has no more pulls) or was fetched, or `base`, which
/// is then in the store, so that it can be taken apart like any other.
pub fn pulled(wanted: Wanted, screen: &mut Screen) -> Result<Either> {
    if Store::find()?.resolve(&wanted.name)?.is_some() {
        let name = wanted.name.familiar();
        screen.note(&format!("{name} is here already: no network needed."));
        return Ok(Either::Here(wanted.name.to_string()));
    }
    match fetched(&wanted.name, wanted.options, screen) {
        Ok(pulled) => Ok(Either::Pulled(Box::new(pulled))),
        Err(reason) => {
            instead(&wanted.name, &reason, screen);
            let name: Name = base::NAME.parse()?;
            if base::find()?.is_none() || Store::find()?.resolve(&name)?.is_none() {
                let plan = base::Plan::of(&Host("/".into()), None)?;
                plan.make(screen)?;
                base::stored::enter(&plan, screen)?;
            }
            Ok(Either::Here(name.to_string()))
        }
    }
}

/// What was found.
pub enum Either {
    /// It came from a registry.
    Pulled(Box<Pulled>),
    /// It is here: its name.
    Here(String),
}

/// Fetches it, if a registry answers soon; else why not.
fn fetched(name: &Name, options: Options, screen: &mut Screen) -> Result<Pulled, String> {
    let options = Options { soon: true, ..options };
    let wanted = Wanted { name: name.clone(), platform: Platform::host(), options };
    pull::pull(&wanted, screen).map_err(|error| error.said.unwrap_or(error.tried))
}

fn instead(name: &Name, reason: &str, screen: &mut Screen) {
    screen.note(&format!(
        "{} cannot be had: {reason}. So this is `base` instead: programs of this machine.",
        name.familiar()
    ));
}
