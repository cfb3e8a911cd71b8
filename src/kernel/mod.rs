//! What Linux offers. Every file is one facility of the kernel; its functions
//! return values and never print.

pub mod binary;
pub mod capability;
pub mod cgroup;
pub mod channel;
pub mod clone;
pub mod config;
pub mod credentials;
pub mod detached;
pub mod devices;
pub mod enter;
pub mod execute;
pub mod files;
pub mod host;
pub mod in_root;
pub mod limits;
pub mod listen;
pub mod mount;
pub mod mountinfo;
pub mod namespace;
pub mod netlink;
pub mod netns;
pub mod op;
pub mod pidfd;
pub mod probe;
pub mod process;
pub mod raw;
pub mod reaper;
pub mod scheduler;
pub mod seccomp;
pub mod security;
pub mod session;
pub mod tree;
pub mod undo;
pub mod user;
pub mod watcher;
