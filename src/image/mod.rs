//! Root file systems, and where they come from.
//!
//! An image is files and a few defaults. The base image is made from programs
//! that are on this machine already, so that everything works without a network.

pub mod alpine;
pub mod archive;
pub mod base;
pub mod download;
pub mod export;
pub mod fresh;
pub mod oci;
pub mod reference;
pub mod remote;
pub mod source;
pub mod stack;
pub mod store;
pub mod unpack;

use crate::error::{Error, Result};

/// What an image's name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Image {
    /// `localhost/under-the-hood/base`: made here, never pulled.
    Base,
}

/// Finds out which image a name means.
pub fn resolve(name: &str) -> Result<Image> {
    match name.strip_suffix(":latest").unwrap_or(name) {
        "base" | "localhost/under-the-hood/base" => Ok(Image::Base),
        _ => Err(Error::new(format!("there is no image {name} here")).hint(
            "This version does not pull images from registries yet. `base` is always there and needs \
             no network: `under-the-hood run -it base`.",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base_is_reserved_under_all_its_names() {
        for name in [
            "base",
            "base:latest",
            "localhost/under-the-hood/base",
            "localhost/under-the-hood/base:latest",
        ] {
            assert_eq!(resolve(name), Ok(Image::Base));
        }
        for name in ["", "base:1", "alpine", "docker.io/library/base"] {
            assert!(resolve(name).unwrap_err().hint.unwrap().contains("no network"));
        }
    }
}
