//! What a build tells while it goes on, and what it must ask for.

use std::time::Duration;

use crate::build::cache::Made;
use crate::error::Result;
use crate::image::oci::Platform;
use crate::image::source::Image;
use crate::step::{Observer, Step};

/// A step of a build, before it is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heading {
    /// Which step of all that are done, from 1.
    pub number: usize,
    /// How many there are.
    pub total: usize,
    /// The stage, where there are several: its name, or its index.
    pub stage: Option<String>,
    /// The line of the Dockerfile, from 1.
    pub line: usize,
    /// The instruction on one line, as it is written.
    pub text: String,
}

/// What a step came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// `FROM`: an image, by its name, the digest of its manifest, and how many layers it has.
    Base(Option<(String, String, usize)>),
    /// `FROM` an earlier stage, which has so many layers.
    Stage(usize),
    /// A layer.
    Layer(Box<Made>),
    /// A layer that is not made, because this is a plan: what would be done for it.
    Planned(Vec<Step>),
    /// Only the config: what of it is another now.
    Config(Vec<String>),
}

/// A step that is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// What it came to.
    pub outcome: Outcome,
    /// Whether an earlier build's result is used; if not, why not. `None` where
    /// nothing could be saved.
    pub cached: Option<std::result::Result<(), String>>,
    /// How long it took.
    pub took: Duration,
}

/// Whoever a build is done for.
pub trait Outside: Observer {
    /// The image of this name, fetched if it is not here.
    fn image(&mut self, name: &str, platform: &Platform) -> Result<Image>;
    /// A step begins.
    fn begins(&mut self, heading: &Heading);
    /// It is done.
    fn ended(&mut self, heading: &Heading, done: &Done);
}
