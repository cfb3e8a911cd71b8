//! Images, made from a Dockerfile: what is written there, and what is done about it.
//!
//! A Dockerfile is read whole, and refused whole, before anything is done
//! ([`dockerfile::parse`]); its words stay as they are written, because what a
//! variable stands for is known only when the instruction's turn has come
//! ([`dockerfile::expand`]).

pub mod dockerfile;
