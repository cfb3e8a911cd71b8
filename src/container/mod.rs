//! Kernel pieces put together: what somebody asked for becomes a list of
//! operations, and those a container.
//!
//! [`spec`] is what was asked for, [`machine`] what this machine offers,
//! [`plan`] what is done about it; [`launch`] and [`exec`] do it, [`attach`]
//! stays with the process until it ends, [`registry`] knows which are running,
//! [`kept`] which are not any more and stay, [`logs`] what they wrote.
//! [`foreign`] is one of another engine's, [`joined`] all that is shown of any. [`passwd`] knows the users of an image. [`engines`] tells whose a process is,
//! [`survey`] shows every container, [`target`] finds one by name, [`compare`]
//! lays two side by side; [`network`] is about network namespaces,
//! [`limited`] about a command that has limits and nothing else, [`race`] about
//! processes that want the same CPU, [`schedule`] about one that is to be scheduled
//! otherwise.

pub mod attach;
pub mod chroot;
pub mod compare;
pub mod engines;
pub mod exec;
pub mod foreign;
pub mod joined;
pub mod kept;
pub mod launch;
pub mod layers;
pub mod limited;
pub mod logs;
pub mod machine;
pub mod network;
pub mod nobody;
pub mod passwd;
pub mod plan;
pub mod race;
pub mod registry;
pub mod schedule;
pub mod scope;
pub mod spec;
pub mod stop;
pub mod survey;
pub mod target;
pub mod tried;
