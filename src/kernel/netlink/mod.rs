//! netlink(7): how the network is asked about and changed. A message goes down
//! a socket, one or many come back; `ip`, `ss` and `nft` do nothing else.
//!
//! [`socket`](Socket) is the conversation, [`links`] and [`routes`] read what a
//! namespace has (rtnetlink(7)), [`diag`] who listens in it (sock_diag(7)),
//! [`inside`] asks in another namespace. [`change`] holds the operations on
//! interfaces, [`lease`] finds a free address, [`nft`] is about packet rules and
//! [`barrier`] about those of others that would stop us; [`unmake`] takes all of it back.
//! The netlink crates change often; nothing outside this room knows them.
//! sock_diag is two small structures, written and read here: a crate for it
//! would be a second pinned dependency for forty lines.

pub mod barrier;
mod change;
pub mod diag;
pub mod inside;
pub mod lease;
mod legacy;
pub mod links;
pub mod nft;
pub mod routes;
mod socket;
pub mod unmake;

pub use change::{AddressAdd, BridgeAdd, INSIDE, LinkSet, LinkUp, RouteAdd, VethAdd};
pub use socket::{Protocol, Socket};
