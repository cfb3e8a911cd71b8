//! Images, made from a Dockerfile: what is written there, and what is done about it.
//!
//! A Dockerfile is read whole, and refused whole, before anything is done
//! ([`dockerfile::parse`]); its words stay as they are written, because what a
//! variable stands for is known only when the instruction's turn has come
//! ([`dockerfile::expand`]).

pub mod cache;
pub mod chmod;
pub mod clock;
pub mod dockerfile;
pub mod executor;
pub mod glob;
pub mod layer;
pub mod pick;
pub mod place;
pub mod report;
pub mod run;
pub mod scope;
pub mod settings;
pub mod state;
mod steps;
pub mod view;
pub mod work;
