//! Not built yet.
use crate::{cli::*, error::*, ui::Screen};
pub fn run(_: &lesson::Lesson, _: &Global, _: &mut Screen) -> Result<u8> {
    Err(Error::new("not built"))
}
pub fn verify(_: &lesson::Verify, _: &Global, _: &mut Screen) -> Result<u8> {
    Err(Error::new("not built"))
}
