//! `sched`: who gets the CPU.

mod ps;

use std::path::Path;

use crate::cli::sched::Sched;
use crate::error::Result;
use crate::ui::Screen;

/// Where everything about processes is read.
const PROC: &str = "/proc";

/// What the columns of `sched ps` say, for its `--help`.
pub fn ps_columns() -> String {
    ps::columns()
}

/// Performs a `sched` command.
pub fn run(command: &Sched, screen: &mut Screen) -> Result<u8> {
    match command {
        Sched::Ps(args) => ps::run(Path::new(PROC), args, screen),
    }
}
