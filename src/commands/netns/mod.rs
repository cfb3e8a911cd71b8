//! `netns`: network namespaces, found, named, and looked into.

mod addr;
mod collide;
mod connect;
mod exec;
mod expose;
mod list;
mod ports;

use std::path::Path;

use crate::cli::Global;
use crate::cli::netns::Netns;
use crate::error::Result;
use crate::ui::Screen;

/// Where everything about processes is read.
const PROC: &str = "/proc";

/// What the columns of `netns list` say, for its `--help`.
pub fn list_columns() -> String {
    list::TABLE.help()
}

/// What the columns of `netns ports` say, for its `--help`.
pub fn ports_columns() -> String {
    ports::TABLE.help()
}

/// Performs one of them.
pub fn run(command: &Netns, global: &Global, screen: &mut Screen) -> Result<u8> {
    let proc = Path::new(PROC);
    match command {
        Netns::List => list::run(proc, screen),
        Netns::Addr(args) => addr::run(proc, args, screen),
        Netns::Ports(args) => match args.collide {
            Some(port) => collide::run(port, global, screen),
            None => ports::run(proc, screen),
        },
        Netns::Exec(args) => exec::run(proc, args, global, screen),
        Netns::Expose(args) => expose::expose(proc, args, global, screen),
        Netns::Connect(args) => connect::run(proc, args, global, screen),
        Netns::Hide(args) => expose::hide(proc, args, global, screen),
    }
}
