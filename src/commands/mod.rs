//! One file per chapter's command: arguments in, kernel values out, rows to
//! the screen. No system calls here.

pub mod cgroup;
pub mod chroot;
pub mod cleanup;
pub mod container;
pub mod doctor;
pub mod image;
pub mod inspect;
pub mod lesson;
pub mod limits;
pub mod logs;
pub mod netns;
pub mod rights;
pub mod run;
pub mod sched;
pub mod setup;
