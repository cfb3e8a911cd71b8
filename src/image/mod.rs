//! Root file systems, and where they come from.
//!
//! An image is files and a few defaults. The base image is made from programs
//! that are on this machine already, so that everything works without a network.

pub mod ahead;
pub mod alpine;
pub mod archive;
pub mod base;
pub mod diff;
pub mod dissect;
pub mod download;
pub mod export;
pub mod export_directory;
pub mod fresh;
pub mod lay_out;
pub mod oci;
pub mod reference;
pub mod registry;
pub mod remote;
pub mod rootfs;
pub mod save;
pub mod share;
pub mod source;
pub mod stack;
pub mod store;
pub mod text;
pub mod unpack;
