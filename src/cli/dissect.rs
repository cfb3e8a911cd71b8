//! Taking images apart: `image dissect`, `image explore`, `image history`, `image diff`,
//! `image share`, `image unpack`.

use std::path::PathBuf;

use clap::Args;

/// Which image, and for which platform.
#[derive(Debug, Args)]
pub struct Which {
    /// The image: NAME[:TAG][@DIGEST], oci:DIR[:TAG], docker-archive:FILE, docker-daemon:NAME, a path,
    /// or docker://NAME: as its registry has it
    #[arg(value_name = "IMAGE")]
    pub image: String,
    /// The image for another platform than this machine's
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    pub platform: Option<String>,
}

/// `image dissect`
#[derive(Debug, Args)]
pub struct Dissect {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub which: Which,
    /// Only this layer, with every member of its archive (1 is the lowest)
    #[arg(long, value_name = "N", conflicts_with_all = ["path", "manifest", "config"])]
    pub layer: Option<usize>,
    /// The files as a tree: of the image, or of --layer
    #[arg(long, conflicts_with_all = ["path", "manifest", "config"])]
    pub tree: bool,
    /// What every layer has to say about this path
    #[arg(long, value_name = "PATH", conflicts_with_all = ["manifest", "config"])]
    pub path: Option<String>,
    /// The manifest; through a pipe byte for byte, as its digest is of them
    #[arg(long, conflicts_with = "config")]
    pub manifest: bool,
    /// The config; through a pipe byte for byte
    #[arg(long)]
    pub config: bool,
}

/// `image explore`
#[derive(Debug, Args)]
pub struct Explore {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub which: Which,
}

/// `image history`
#[derive(Debug, Args)]
pub struct History {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub which: Which,
}

/// `image diff`
#[derive(Debug, Args)]
pub struct Diff {
    /// The one image
    #[arg(value_name = "A")]
    pub a: String,
    /// The other
    #[arg(value_name = "B")]
    pub b: String,
    /// The images for another platform than this machine's
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    pub platform: Option<String>,
}

/// `image share`
#[derive(Debug, Args)]
pub struct Share {
    /// The images (default: all that are here)
    #[arg(value_name = "IMAGE")]
    pub images: Vec<String>,
}

/// `image unpack`
#[derive(Debug, Args)]
pub struct Unpack {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub which: Which,
    /// Becomes the root of the tree; it must be empty, or not there yet
    #[arg(value_name = "DIR")]
    pub directory: PathBuf,
}
