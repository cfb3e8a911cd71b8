//! Images: `image pull`, `ls`, `rm`, `save`, `load`, `base`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::{build, dissect};

/// Images and root file systems.
#[derive(Debug, Subcommand)]
pub enum Image {
    /// Make the base image from programs of this machine (no network needed)
    ///
    /// `run` makes it by itself when it is needed first, and keeps it. Run this
    /// to see what is in it, to make it anew after an upgrade of this machine,
    /// or to take it elsewhere.
    Base(Base),
    /// Make an image from a Dockerfile
    ///
    /// Each instruction is a question to the cache first: what was built before from the
    /// same things is not built again, and what is says why. RUN is a container like those
    /// of `run`, whose upper layer becomes a layer of the image; COPY and ADD write a layer
    /// and mount nothing. With SOURCE_DATE_EPOCH the same sources give the same bytes.
    ///
    /// Layers that no image has, such as those of a build that failed, stay for the next
    /// build until the next `image rm`.
    Build(Box<build::Build>),
    /// Fetch an image from a registry, verify it, and keep it
    ///
    /// What was fetched before is not fetched again; what was cut off goes on
    /// where it was. With --explain every HTTP request is shown, and what it is for.
    Pull(Pull),
    /// Bring an image to a registry
    ///
    /// What is there already, or somewhere else in the same registry, is not sent;
    /// what was cut off goes on where it was. An image for several platforms goes
    /// whole, if all of it is here. With --explain every HTTP request is shown.
    Push(Push),
    /// List the images that are here
    Ls,
    /// Remove images, and everything that only they need
    ///
    /// Without a name: only what no image needs any more. That is what earlier builds have
    /// left in the cache of `image build`, too.
    Rm(Rm),
    /// Write images into an archive that docker, containerd and Podman load, or a directory
    Save(Save),
    /// Bring images in from an archive, a directory, or docker
    Load(Load),
    /// Take an image apart: documents, layers, what each adds, changes, hides
    ///
    /// Every layer is read once and verified: its digest, its size, its diff_id.
    /// What was found is kept, so that the next look takes no time. Of an image that
    /// is not here its registry is asked: it shows the documents, the layers and
    /// their steps, and fetches no layer.
    Dissect(dissect::Dissect),
    /// The same on the whole screen: layers, their files, a file's content, what is wasted
    ///
    /// Needs a terminal. Keys are shown at the bottom; `q` ends it.
    Explore(dissect::Explore),
    /// The steps by which an image came about, and which layer each made
    History(dissect::History),
    /// What differs between two images: files, and how a container is started
    Diff(dissect::Diff),
    /// Which layers images have in common, as a picture, and what that saves
    Share(dissect::Share),
    /// Unpack an image's layers, one onto the other, into a directory
    ///
    /// Whiteouts are applied, every name is looked up inside of the directory, and
    /// every layer is verified. It is there whole in the end, or not at all.
    Unpack(dissect::Unpack),
}

/// `image pull`
#[derive(Debug, Args)]
pub struct Pull {
    /// The image: [HOST[:PORT]/]NAME[:TAG][@DIGEST]
    #[arg(value_name = "NAME")]
    pub image: String,
    /// The image for another platform than this machine's
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    pub platform: Option<String>,
    /// Where it cannot be had, make `base` instead, and say so
    #[arg(long, conflicts_with = "platform")]
    pub or_base: bool,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub registry: RegistryFlags,
}

/// `image push`
#[derive(Debug, Args)]
pub struct Push {
    /// The image: NAME[:TAG][@DIGEST], oci:DIR[:TAG], docker-archive:FILE, docker-daemon:NAME, or a path
    #[arg(value_name = "IMAGE")]
    pub image: String,
    /// Its name there: [HOST[:PORT]/]NAME[:TAG] (default: the name it has here)
    #[arg(value_name = "DEST")]
    pub dest: Option<String>,
    /// Of an image for several platforms only this one
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    pub platform: Option<String>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub access: RegistryAccess,
}

/// How registries are asked.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Registry")]
pub struct RegistryFlags {
    /// Ask there first (more than once: in this order); else, for Docker Hub's images,
    /// at UTH_MIRROR, or at the mirrors that docker is told to ask
    #[arg(long, value_name = "HOST[:PORT]")]
    pub mirror: Vec<String>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub access: RegistryAccess,
}

/// How a registry lets us in.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Registry")]
pub struct RegistryAccess {
    /// Log in as that (without a password: it is asked for, or read from standard
    /// input); else the logins that docker and podman keep are used
    #[arg(long, value_name = "USER[:PASSWORD]")]
    pub creds: Option<String>,
    /// Plain HTTP, and certificates that nobody vouches for, will do
    #[arg(long)]
    pub insecure: bool,
}

/// `image rm`
#[derive(Debug, Args)]
pub struct Rm {
    /// Names, or beginnings of ids
    #[arg(value_name = "NAME")]
    pub images: Vec<String>,
}

/// `image save`
#[derive(Debug, Args)]
pub struct Save {
    /// The archive: an OCI image layout and docker's manifest.json in one (.tar, .tar.gz, .tgz);
    /// or oci:DIR[:TAG]: the layout as a directory, which must be empty, or not there yet
    #[arg(long, short, value_name = "FILE")]
    pub output: PathBuf,
    /// The images
    #[arg(required = true, value_name = "IMAGE")]
    pub images: Vec<String>,
}

/// `image load`
#[derive(Debug, Args)]
pub struct Load {
    /// Its name here (default: the names that it has there)
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// The image for another platform than this machine's
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    pub platform: Option<String>,
    /// A path, oci:DIR[:TAG], docker-archive:FILE[:NAME] or docker-daemon:NAME
    #[arg(value_name = "SOURCE")]
    pub source: String,
}

/// `image base`
#[derive(Debug, Args)]
pub struct Base {
    /// Also write the tree as a tar archive, as `docker import` takes it (.tar, .tar.gz, .tgz)
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Take the programs from there (default: a static busybox if there is one)
    #[arg(long, value_enum, value_name = "SOURCE")]
    pub from: Option<BaseSource>,
}

/// Where the programs of the base image come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum BaseSource {
    /// One static busybox, which needs no libraries
    Busybox,
    /// Copies of this machine's programs, with the libraries they need
    Programs,
}
