//! Not built yet.
use crate::{cli::*, error::*, ui::Screen};
pub fn run(_: &image::Image, _: &Global, _: &mut Screen) -> Result<u8> {
    Err(Error::new("not built"))
}
