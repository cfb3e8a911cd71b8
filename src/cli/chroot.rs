//! `chroot`: another directory as `/`.

use std::path::PathBuf;

use clap::Args;

/// Start a command (a shell) with another directory as its `/`.
///
/// `chroot DIR`: any directory. `chroot base`: a copy of the base image, made
/// from programs of this machine; needs no network. `chroot alpine`: Alpine
/// Linux, fetched from its mirror, verified and unpacked, as in the article.
/// `chroot IMAGE`: a copy of an image that is here (`httpd:2.4`, `oci:DIR:TAG`).
/// `chroot escape`: shows, in a sandbox, that root can leave a chroot, and that
/// it cannot leave after pivot_root. A directory with one of these names is
/// written `./alpine`.
///
/// The trees of `base`, `alpine` and images are removed when the command ends; --keep
/// keeps them. Exits as chroot(1) does: the command's own code, 125 when the
/// root could not be changed, 126 and 127 when the command could not be started.
#[derive(Debug, Args)]
pub struct Chroot {
    /// pivot_root in a mount namespace of its own instead of chroot
    #[arg(long)]
    pub pivot: bool,
    /// Keep the tree in this directory (absent or empty); `cleanup` removes it
    #[arg(long, value_name = "DIR")]
    pub keep: Option<PathBuf>,
    /// Alpine: this version (default: the one that is here already, else the latest)
    #[arg(long, value_name = "VERSION")]
    pub version: Option<String>,
    /// Alpine: fetch from this mirror
    #[arg(long, value_name = "URL", default_value = crate::image::alpine::MIRROR)]
    pub mirror: String,
    /// Alpine: unpack this archive instead (tar, plain or gzip, zstd, xz); needs no network
    #[arg(long, value_name = "FILE", conflicts_with_all = ["version", "refresh"])]
    pub file: Option<PathBuf>,
    /// Alpine: ask the mirror for the latest although one is here
    #[arg(long)]
    pub refresh: bool,
    /// Alpine: where it cannot be had, enter `base` instead, and say so
    #[arg(long)]
    pub or_base: bool,
    /// Alpine: raise a limit of unpacking: bytes=N, entries=N, depth=N, pax=N
    #[arg(long, value_name = "NAME=N")]
    pub limit: Vec<String>,
    /// A directory, `base`, `alpine`, an image, or `escape`
    pub target: String,
    /// The command and its arguments (default: sh)
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "CMD")]
    pub command: Vec<String>,
}
