//! `--output`: the image somewhere else, too.

use std::path::Path;

use crate::cli::Global;
use crate::error::{Error, Result};
use crate::image::export::Export;
use crate::image::lay_out::LayOut;
use crate::image::reference::{Name, Reference};
use crate::image::source::Image;
use crate::image::{save, store::Store};
use crate::step::{Observer, Step};

/// Where an image is to be written, checked before anything is built.
pub enum Output {
    /// An OCI image layout.
    LayOut(LayOut),
    /// An archive for `docker load`, under this name.
    Archive(Export, Name, String),
}

impl Output {
    /// Reads it; `names` are those of `--tag`.
    pub fn parse(text: &str, names: &[Name], global: &Global) -> Result<Self> {
        let wrong = || {
            Error::usage(format!("--output {}", text.escape_debug()))
                .hint("oci:DIR[:TAG], or docker-archive:FILE[:NAME].")
        };
        match text.parse()? {
            Reference::Oci { path, tag } => {
                let first = names.first().map(ToString::to_string);
                let tag = tag.or(first).unwrap_or_else(|| "latest".to_owned());
                LayOut::to(&path, &tag).map(Self::LayOut)
            }
            Reference::DockerArchive { path, name } => {
                let name = name.or_else(|| names.first().cloned()).ok_or_else(|| {
                    Error::usage(format!(
                        "--output {}: the archive has no name for it",
                        text.escape_debug()
                    ))
                    .hint("docker-archive:FILE:NAME, or -t NAME.")
                })?;
                let shell = format!("skopeo copy oci:LAYOUT docker-archive:{}", shown(&path));
                Ok(Self::Archive(Export::to(&path, global.yes)?, name, shell))
            }
            _ => Err(wrong()),
        }
    }

    /// Writes it.
    pub fn write(&self, image: Image, store: &Store, observer: &mut dyn Observer) -> Result<()> {
        match self {
            Self::LayOut(directory) => directory.write(&image, store, observer),
            Self::Archive(export, name, shell) => {
                let images = [(name.clone(), image)];
                let fill = |out: &mut dyn std::io::Write| save::write(&images, out);
                export.write("image build --output", shell, observer, fill).map(drop)
            }
        }
    }

    /// The steps, not performed.
    pub fn describe(&self) -> Vec<Step> {
        match self {
            Self::LayOut(directory) => directory.describe(),
            Self::Archive(export, _, shell) => export.describe(shell),
        }
    }
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}
