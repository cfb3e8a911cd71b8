//! Not built yet.
use crate::{cli::*, error::*, ui::Screen};
pub fn run(_: &setup::Doctor, _: &mut Screen) -> Result<u8> {
    Err(Error::new("not built"))
}
