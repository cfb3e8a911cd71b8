//! Kernel pieces put together: a specification becomes a list of operations.

pub mod engines;
pub mod registry;
pub mod target;
