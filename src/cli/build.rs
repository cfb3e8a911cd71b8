//! `image build`, with docker's flags.

use std::path::PathBuf;

use clap::Args;

use super::run::PullWhen;

/// `image build`
#[derive(Debug, Args)]
pub struct Build {
    /// The Dockerfile; - is standard input (default: Dockerfile in the context)
    #[arg(long, short, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// A name for the image (more than once: several)
    #[arg(long, short, value_name = "NAME[:TAG]")]
    pub tag: Vec<String>,
    /// A value for an ARG; without one, that of the variable out here
    #[arg(long, value_name = "NAME[=VALUE]")]
    pub build_arg: Vec<String>,
    /// The stage to build (default: the last)
    #[arg(long, value_name = "STAGE")]
    pub target: Option<String>,
    /// Do everything anew
    #[arg(long)]
    pub no_cache: bool,
    /// The image for another platform than this machine's
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    pub platform: Option<String>,
    /// The network of RUN: none, host, bridge (as root), pasta, slirp4netns (without
    /// root) (default: a way out, bridge or pasta; where there is none, none)
    #[arg(long, value_name = "NETWORK")]
    pub network: Option<String>,
    /// Whether images of FROM and --from are fetched from their registries
    #[arg(long, value_enum, default_value_t, value_name = "WHEN")]
    pub pull: PullWhen,
    /// Write the image there, too: oci:DIR[:TAG] or docker-archive:FILE[:NAME]
    #[arg(long, short, value_name = "WHERE")]
    pub output: Option<String>,
    /// Read the Dockerfile, print its steps, and do nothing
    #[arg(long)]
    pub print_steps: bool,
    /// The build context: the directory that COPY and ADD take from
    #[arg(value_name = "DIR")]
    pub context: Option<PathBuf>,
}
