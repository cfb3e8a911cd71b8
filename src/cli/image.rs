//! Images: `image base`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

/// Images and root file systems.
#[derive(Debug, Subcommand)]
pub enum Image {
    /// Make the base image from programs of this machine (no network needed)
    ///
    /// `run` makes it by itself when it is needed first, and keeps it. Run this
    /// to see what is in it, to make it anew after an upgrade of this machine,
    /// or to take it elsewhere.
    Base(Base),
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
