//! `image`: one file for each of its verbs.

mod base;
mod build;
mod diff;
mod dissect;
pub mod either;
mod explore;
mod history;
mod load;
mod ls;
pub mod pull;
mod push;
mod rm;
mod save;
mod share;
mod unpack;
mod which;

use crate::cli::Global;
use crate::cli::image::Image;
use crate::error::Result;
use crate::ui::Screen;

/// Performs one of the `image` commands.
pub fn run(image: &Image, global: &Global, screen: &mut Screen) -> Result<u8> {
    match image {
        Image::Base(args) => base::run(args, global, screen),
        Image::Build(args) => build::run(args, global, screen),
        Image::Diff(args) => diff::run(args, screen),
        Image::Dissect(args) => dissect::run(args, screen),
        Image::Explore(args) => explore::run(args, screen),
        Image::History(args) => history::run(args, screen),
        Image::Load(args) => load::run(args, global, screen),
        Image::Ls => ls::run(screen),
        Image::Pull(args) => pull::run(args, global, screen),
        Image::Push(args) => push::run(args, global, screen),
        Image::Rm(args) => rm::run(args, global, screen),
        Image::Save(args) => save::run(args, global, screen),
        Image::Share(args) => share::run(args, screen),
        Image::Unpack(args) => unpack::run(args, global, screen),
    }
}
