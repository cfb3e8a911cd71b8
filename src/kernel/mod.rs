//! What Linux offers. Every file is one facility of the kernel; its functions
//! return values and never print.

pub mod capability;
pub mod cgroup;
pub mod host;
pub mod mountinfo;
pub mod namespace;
pub mod process;
pub mod raw;
pub mod security;
