//! What Linux offers. Every file is one facility of the kernel; its functions
//! return values and never print.

pub mod capability;
pub mod channel;
pub mod clone;
pub mod credentials;
pub mod enter;
pub mod execute;
pub mod files;
pub mod mount;
pub mod netlink;
pub mod op;
pub mod pidfd;
pub mod raw;
pub mod seccomp;
pub mod session;
pub mod tree;
pub mod undo;
pub mod user;
pub mod watcher;
