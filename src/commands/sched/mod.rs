//! `sched`: who gets the CPU.

mod ps;
mod race;
mod rt;
mod set;

use std::path::Path;

use crate::cli::Global;
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
pub fn run(command: &Sched, global: &Global, screen: &mut Screen) -> Result<u8> {
    match command {
        Sched::Ps(args) => ps::run(Path::new(PROC), args, screen),
        Sched::Race(args) => race::run(args, global, screen),
        Sched::Set(args) => set::run(Path::new(PROC), args, global, screen),
        Sched::Rt(args) => rt::run(Path::new(PROC), args, global, screen),
    }
}
