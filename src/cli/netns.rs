//! Network namespaces: `netns list`, `addr`, `ports`, `exec`, `expose`, `hide`.
//!
//! A TARGET is a pid, a container (NAME or ENGINE:NAME), or a name under
//! /run/netns (netns:NAME, or just NAME).

use clap::{Args, Subcommand};

use crate::cli::container::CommandLine;

/// Network namespaces: find them, name them, look and work inside them.
///
/// A TARGET is a pid, a container (NAME or ENGINE:NAME), or a name that `ip
/// netns list` shows (netns:NAME, or NAME where no container is called so).
#[derive(Debug, Subcommand)]
pub enum Netns {
    /// Every network namespace, named or not: whose it is, what is in it, what holds it
    ///
    /// `ip netns list` shows the names under /run/netns and nothing else. Without root
    /// only what may be seen.
    #[command(after_long_help = crate::commands::netns::list_columns())]
    List,
    /// The interfaces and addresses inside, as `ip addr` shows them from there
    Addr(Addr),
    /// Who listens on which address and port, in every network namespace
    #[command(after_long_help = crate::commands::netns::ports_columns())]
    Ports(Ports),
    /// Run a command in the network namespace, and only in that
    Exec(Exec),
    /// Give it a name, so that `ip netns` finds it
    ///
    /// The article's mkdir, touch and mount --bind, with what they leave out: the
    /// directory is shared and locked as `ip` does it, no name in use is overwritten,
    /// and a pid given to another process meanwhile does no harm. The name stays until
    /// `netns hide` or `cleanup`, and keeps the namespace alive.
    Expose(Expose),
    /// Take back a name that `netns expose` gave
    Hide(Hide),
    /// Give it a way out: a cable to a bridge, an address, a default route, NAT
    ///
    /// It stays connected until `--undo`, `cleanup`, or the end of the namespace.
    /// --explain shows each step. NAT is in a table of its own: no rule of others
    /// is touched.
    Connect(Connect),
}

/// `netns addr`
#[derive(Debug, Args)]
pub struct Addr {
    /// A pid, a container, or a name under /run/netns
    pub target: String,
    /// The routes too, as `ip route` shows them
    #[arg(long)]
    pub routes: bool,
}

/// `netns ports`
#[derive(Debug, Args)]
pub struct Ports {
    /// Instead, try a port three times: twice in one new namespace, once in another
    #[arg(long, value_name = "PORT", num_args = 0..=1, default_missing_value = "8080",
          value_parser = clap::value_parser!(u16).range(1..))]
    pub collide: Option<u16>,
}

/// `netns exec`
#[derive(Debug, Args)]
pub struct Exec {
    /// Also what `ip netns exec` does to mounts: a /sys of the namespace, /etc/netns/NAME over /etc
    #[arg(long)]
    pub mount: bool,
    /// A pid, a container, or a name under /run/netns
    pub target: String,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub line: CommandLine,
}

/// `netns expose`
#[derive(Debug, Args)]
pub struct Expose {
    /// A pid, a container, or a name under /run/netns
    pub target: String,
    /// The name (default: the pid, as in the article)
    #[arg(long)]
    pub name: Option<String>,
}

/// `netns hide`
#[derive(Debug, Args)]
pub struct Hide {
    /// The name
    pub name: String,
}

/// `netns connect`
#[derive(Debug, Args)]
pub struct Connect {
    /// A pid, a container, or a name under /run/netns
    pub target: String,
    /// The bridge; it is made when it is not there
    #[arg(long, default_value = crate::container::network::bridge::BRIDGE, value_name = "NAME")]
    pub bridge: String,
    /// The addresses of a new bridge (default: 10.213.0.0/24)
    #[arg(long, value_name = "ADDRESS/PREFIX")]
    pub subnet: Option<String>,
    /// Take the connection back
    #[arg(long, conflicts_with_all = ["bridge", "subnet"])]
    pub undo: bool,
}
