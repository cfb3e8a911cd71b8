//! `inspect process`: one process under the hood.
use crate::{cli::inspect::Process, error::*, ui::Screen};
use std::path::Path;
pub fn run(_: &Path, _: &Process, _: &mut Screen) -> Result<u8> {
    Err(Error::new("not built"))
}
