//! `image pull` and `image push`: from and to a registry of our own that is as
//! hostile as we like (server.rs, taker.rs), and a real one.

mod credentials;
mod hostile;
mod pull;
mod push;
pub mod real;
pub mod server;
mod taker;

use std::path::{Path, PathBuf};

use crate::harness::{Ran, Uth};

/// Every file of the store that an image could be made of.
fn blobs(uth: &Uth) -> Vec<PathBuf> {
    let images = uth.home().join("data/images");
    let files = |directory: &Path| -> Vec<PathBuf> {
        std::fs::read_dir(directory)
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.path())
            .collect()
    };
    let mut all: Vec<_> = ["blobs/sha256", "blobs/sha512", "partial"]
        .iter()
        .flat_map(|directory| files(&images.join(directory)))
        .collect();
    all.sort();
    all
}

/// The names of the images in the store.
fn names(uth: &Uth) -> Vec<String> {
    let text = std::fs::read(uth.home().join("data/images/index.json")).unwrap_or_default();
    let index: serde_json::Value = serde_json::from_slice(&text).unwrap_or_default();
    let name = |one: &serde_json::Value| {
        one["annotations"]["org.opencontainers.image.ref.name"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };
    index["manifests"].as_array().into_iter().flatten().map(name).collect()
}

fn pull(uth: &Uth, args: &[&str]) -> Ran {
    uth.run([&["image", "pull"], args].concat())
}

/// It failed with one error in which these words are, and nothing is left of it.
#[track_caller]
fn refused(uth: &Uth, ran: Ran, words: &[&str]) -> Ran {
    let ran = ran.one_error(1);
    let text = ran.stderr.replace("\n  ", " ");
    for word in words {
        assert!(text.contains(word), "no {word:?} in {}", ran.whole());
    }
    assert_eq!(blobs(uth), [""; 0].map(PathBuf::from), "{}", ran.whole());
    assert_eq!(names(uth), [""; 0], "{}", ran.whole());
    ran
}
