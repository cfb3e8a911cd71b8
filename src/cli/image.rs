//! Images: `image base`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// Images and root file systems.
#[derive(Debug, Subcommand)]
pub enum Image {
    /// Make the base image from programs of this machine (no network needed)
    Base(Base),
}

/// `image base`
#[derive(Debug, Args)]
pub struct Base {
    /// Also write the tree as a tar archive, as `docker import` takes it (.tar, .tar.gz)
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
}
