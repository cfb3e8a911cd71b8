//! What Linux offers. Every file is one facility of the kernel; its functions
//! return values and never print.

pub mod config;
pub mod probe;
pub mod raw;
