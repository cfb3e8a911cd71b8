//! The image that somebody means, and how its texts are shown.

use std::path::PathBuf;

use super::pull;
use crate::cli::dissect::Which;
use crate::error::Result;
use crate::image::dissect::foreign;
use crate::image::oci::{Config, History};
use crate::image::reference::Reference;
use crate::image::registry::{self, Options, Wanted};
use crate::image::source::{self, Image};
use crate::image::store::Store;
use crate::image::text;
use crate::ui::{Screen, shown};

impl Which {
    /// Opens it.
    pub(super) fn open(&self) -> Result<Image> {
        open(&self.image, self.platform.as_deref())
    }

    /// The file, if it is an image of a runtime's that knows no layers.
    pub(super) fn foreign(&self) -> Result<Option<PathBuf>> {
        match self.image.parse()? {
            Reference::Path(path) if foreign::recognise(&path)? => Ok(Some(path)),
            _ => Ok(None),
        }
    }

    /// Whether a registry has to be asked: the image is not here, or `docker://` says so.
    pub(super) fn is_elsewhere(&self) -> Result<bool> {
        Ok(match self.image.parse()? {
            Reference::Named(name) if name.is_local() => false,
            Reference::Named(_) if self.image.starts_with(REGISTRY) => true,
            Reference::Named(name) => Store::find()?.resolve(&name)?.is_none(),
            _ => false,
        })
    }

    /// What was typed, as a name.
    pub(super) fn name(&self) -> &str {
        self.image.strip_prefix(REGISTRY).unwrap_or(&self.image)
    }

    /// Its documents: if it is not here, those that a registry has. No layer is fetched.
    pub(super) fn documents(&self, screen: &mut Screen) -> Result<Image> {
        let platform = pull::platform(self.platform.as_deref())?;
        match self.image.parse()? {
            Reference::Named(name) if self.is_elsewhere()? => {
                screen.note(&format!(
                    "{} is asked for the documents of {}, and for no layer.",
                    name.registry(),
                    name.familiar()
                ));
                registry::documents(&Wanted { name, platform, options: Options::default() }, screen)
            }
            reference => source::open(&reference, &platform),
        }
    }
}

/// skopeo's word for: in a registry.
const REGISTRY: &str = "docker://";

/// Instead of the step that made a layer.
pub(super) const NOT_SAID: &str = "(the history does not say)";

/// Opens the image of this name, for that platform or this machine's.
pub(super) fn open(image: &str, platform: Option<&str>) -> Result<Image> {
    source::open(&image.parse()?, &pull::platform(platform)?)
}

/// A path of an image, for people.
pub(super) fn path(bytes: &[u8]) -> String {
    shown(&path_json(bytes))
}

/// A path of an image, for programs: the root is `.`.
pub(super) fn path_json(bytes: &[u8]) -> String {
    if bytes.is_empty() { ".".to_owned() } else { text::of(bytes) }
}

/// A step of the history, for people.
pub(super) fn step(history: &History) -> String {
    let text = history.step();
    match (text.as_str(), &history.comment) {
        ("", Some(comment)) => shown(comment.trim()),
        ("", None) => NOT_SAID.to_owned(),
        _ => shown(&text),
    }
}

/// What to say if the history does not fit the layers.
pub(super) fn misfit(config: &Config) -> Option<String> {
    let steps = config.history.iter().filter(|step| !step.empty_layer).count();
    let layers = config.rootfs.diff_ids.len();
    match steps {
        _ if steps == layers => None,
        _ if config.history.is_empty() => Some(
            "This image has no history: nobody wrote down which step made which layer.".to_owned(),
        ),
        _ => Some(format!(
            "The history knows {steps} steps that made a layer, and there are {layers}: they are joined from \
             the bottom, and some of it may be wrong."
        )),
    }
}
