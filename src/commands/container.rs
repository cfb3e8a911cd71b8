//! Not built yet.
use crate::{cli::*, error::*, ui::Screen};
pub fn run(_: &container::Run, _: &Global, _: &mut Screen) -> Result<u8> {
    Err(Error::new("not built"))
}
pub fn exec(_: &container::Exec, _: &Global, _: &mut Screen) -> Result<u8> {
    Err(Error::new("not built"))
}
pub fn stop(_: &container::Stop, _: &Global, _: &mut Screen) -> Result<u8> {
    Err(Error::new("not built"))
}
pub fn init() -> u8 {
    1
}
