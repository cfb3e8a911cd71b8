//! The tests that look at the program from outside: one binary, one module a
//! room. `harness` is what they share; start there.
//!
//! A test that cannot run here says why (`skipped: NAME: why`, on standard
//! error, whatever the test runner hides); see [`need!`].
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test may fail by panicking")]

#[macro_use]
mod skip;
mod harness;
mod images;
mod machine;
mod tracer;

mod authors;
mod backwards;
mod base;
mod browser;
mod build;
mod by_keys;
mod cgroup;
mod cgroup_rules;
mod chroot;
mod commands;
mod containers;
mod dissect;
mod dockerfile;
mod doctor;
mod engines;
mod exercises;
mod explain;
mod explore;
mod fallback;
#[cfg(target_arch = "x86_64")]
mod faults;
mod foreign;
mod input;
mod inside;
mod inspect;
mod interop;
mod interop_images;
mod interop_lessons;
mod interop_wide;
mod kill;
mod layers;
mod layout;
mod lessons;
mod lessons_fetched;
mod life;
mod many;
mod netns;
mod network;
mod notebook;
mod plain;
mod player;
mod readme;
mod ready_machines;
mod registry;
mod reports;
mod rights;
mod run;
mod run_files;
mod run_process;
mod sched;
mod score;
mod search;
mod stage;
mod terminal;
mod tree;
mod two_players;
mod unpack;
mod vm;
