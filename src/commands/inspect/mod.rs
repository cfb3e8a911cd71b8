//! `inspect`: looking at this machine. Nothing here changes anything.

mod host;
mod ns;
mod process;
mod tree;

use std::path::Path;

use crate::cli::inspect::Inspect;
use crate::error::Result;
use crate::ui::Screen;

/// Where everything about processes is read.
const PROC: &str = "/proc";

/// What the columns of `inspect ns` say, for its `--help`.
pub fn ns_columns() -> String {
    ns::columns()
}

/// Performs `inspect host`, `inspect ns` or `inspect process`.
pub fn run(command: &Inspect, screen: &mut Screen) -> Result<u8> {
    match command {
        Inspect::Host => host::run(Path::new("/"), screen),
        Inspect::Ns(args) => ns::run(Path::new(PROC), args, screen),
        Inspect::Process(args) => process::run(Path::new(PROC), args, screen),
    }
}
