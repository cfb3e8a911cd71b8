//! `under-the-hood` teaches what a container really is by doing it on the
//! reader's own Linux kernel.
//!
//! # The house
//!
//! Arrows point down only; no file imports from a floor above its own. From
//! the ground up:
//!
//! | floor | what it is for |
//! | --- | --- |
//! | [`error`] | what was tried, what the kernel said, what to do about it |
//! | [`home`], [`lock`], [`http`] | where files are kept, and why they may be trusted; locks; an HTTP client |
//! | [`step`], [`effect`] | plain data: what is shown of an operation, and what it leaves |
//! | [`journal`] | effects on disk: written before the deed, so that they can be undone |
//! | [`kernel`], [`ui`] | what Linux offers; the screen. Neither knows the other |
//! | [`image`] | root file systems and where they come from |
//! | [`container`] | kernel pieces put together: a specification becomes a list of operations |
//! | [`build`] | images, made from a Dockerfile |
//! | [`lesson`] | lessons: read, played, checked |
//! | [`commands`], [`cli`] | one file per chapter: arguments in, rows out |
//!
//! Start reading at `kernel/op.rs`: everything that changes the machine is an
//! operation that describes itself, performs itself and says what it leaves.

#[cfg(not(target_os = "linux"))]
compile_error!(
    "under-the-hood works on the Linux kernel itself, so it only builds on Linux. \
     Get a Linux kernel to try it on: on macOS `limactl start` (https://lima-vm.io) or \
     `multipass launch` (https://multipass.run), on Windows `wsl --install`; \
     then build it in there."
);

#[cfg(target_os = "linux")]
pub mod build;
#[cfg(target_os = "linux")]
pub mod cli;
#[cfg(target_os = "linux")]
pub mod commands;
#[cfg(target_os = "linux")]
pub mod container;
#[cfg(target_os = "linux")]
pub mod effect;
#[cfg(target_os = "linux")]
pub mod error;
#[cfg(target_os = "linux")]
pub mod home;
#[cfg(target_os = "linux")]
pub mod http;
#[cfg(target_os = "linux")]
pub mod image;
#[cfg(target_os = "linux")]
pub mod journal;
#[cfg(target_os = "linux")]
pub mod kernel;
#[cfg(target_os = "linux")]
pub mod lesson;
#[cfg(target_os = "linux")]
pub mod lock;
#[cfg(target_os = "linux")]
mod nearest;
#[cfg(target_os = "linux")]
mod shell;
#[cfg(target_os = "linux")]
pub mod step;
#[cfg(target_os = "linux")]
pub mod ui;

#[cfg(target_os = "linux")]
pub use dispatch::main;

#[cfg(target_os = "linux")]
mod dispatch;
