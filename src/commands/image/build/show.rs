//! What is shown of a build while it goes on.

use serde_json::{Value, json};

use super::super::pull;
use crate::build::cache::Made;
use crate::build::report::{Done, Heading, Outcome, Outside};
use crate::cli::run::PullWhen;
use crate::error::{Error, Result};
use crate::image::base::{self, Host, Plan};
use crate::image::oci::Platform;
use crate::image::reference::{Name, Reference};
use crate::image::registry::{Options, Wanted};
use crate::image::source::{self, Image};
use crate::image::store::Store;
use crate::step::{Observer, Step};
use crate::ui::{Screen, shown};

/// The screen, for a build.
pub struct Shown<'a> {
    screen: &'a mut Screen,
    pull: PullWhen,
    /// Nothing is done: what would be is shown.
    dry: bool,
    steps: Vec<Value>,
    planned: Vec<Step>,
}

impl<'a> Shown<'a> {
    /// On this screen.
    pub fn new(screen: &'a mut Screen, pull: PullWhen, dry: bool) -> Self {
        Self { screen, pull, dry, steps: Vec::new(), planned: Vec::new() }
    }

    /// The plan, with what comes last in it.
    pub fn plan(mut self, last: Vec<Step>) -> Result<()> {
        self.planned.extend(last);
        self.screen.plan(&self.planned)
    }

    /// All steps, for programs.
    pub fn finish(self) -> Vec<Value> {
        self.steps
    }

    /// The base image, made if it is not there.
    fn base(&mut self, platform: &Platform) -> Result<Image> {
        let reference: Reference = base::NAME.parse()?;
        let there = base::find()?.is_some();
        let stored = source::open(&reference, platform);
        if let (true, Ok(image)) = (there, stored) {
            return Ok(image);
        }
        if self.dry {
            return Err(Error::new("base is not made yet, and a plan makes nothing")
                .hint("`under-the-hood image base` makes it."));
        }
        let plan = Plan::of(&Host("/".into()), None)?;
        plan.make(self.screen)?;
        base::stored::enter(&plan, self.screen)?;
        source::open(&reference, platform)
    }

    /// Whether this very image must be fetched.
    fn fetch(&mut self, name: &Name, platform: &Platform) -> Result<()> {
        let here = Store::find()?.resolve(name)?.is_some();
        match self.pull {
            PullWhen::Never => return Ok(()),
            PullWhen::Missing if here => return Ok(()),
            _ => {}
        }
        let (name, platform) = (name.clone(), platform.clone());
        pull::pull(&Wanted { name, platform, options: Options::default() }, self.screen).map(drop)
    }
}

impl Outside for Shown<'_> {
    fn image(&mut self, name: &str, platform: &Platform) -> Result<Image> {
        let name: Name = name.parse()?;
        if name.is_base() && name.tag() == Some("latest") {
            return self.base(platform);
        }
        if !name.is_local() && !self.dry {
            self.fetch(&name, platform)?;
        }
        source::open(&Reference::Named(name), platform)
    }

    fn begins(&mut self, heading: &Heading) {
        let Heading { number, total, stage, text, .. } = heading;
        let stage = stage.as_ref().map(|stage| format!("{stage} ")).unwrap_or_default();
        self.screen.listed(&shown(&format!("[{stage}{number}/{total}] {text}")));
    }

    fn ended(&mut self, heading: &Heading, done: &Done) {
        let mut line = outcome(&done.outcome);
        if let Outcome::Planned(steps) = &done.outcome {
            self.planned.extend_from_slice(steps);
        }
        match &done.cached {
            None => {}
            Some(Ok(())) => line.push_str("; from the cache"),
            Some(Err(why)) if self.dry => line.push_str(&format!(" ({why})")),
            Some(Err(why)) => {
                line.push_str(&format!("; {:.2} s ({why})", done.took.as_secs_f64()));
            }
        }
        self.screen.listed(&format!("    {}", shown(&line)));
        self.steps.push(as_json(heading, done));
    }
}

fn outcome(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Base(None) => "nothing: no layer, and PATH in the config".to_owned(),
        Outcome::Base(Some((_, digest, layers))) => {
            format!("{} of {}", counted(*layers as u64, "layer"), short(digest))
        }
        Outcome::Stage(layers) => format!("{} of that stage", counted(*layers as u64, "layer")),
        Outcome::Layer(made) => layer(made),
        Outcome::Planned(steps) => counted(steps.len() as u64, "operation"),
        Outcome::Config(changes) if changes.is_empty() => "no layer".to_owned(),
        Outcome::Config(changes) => format!("no layer; config: {}", changes.join(", ")),
    }
}

fn layer(made: &Made) -> String {
    let Made { descriptor, files, gone, bytes, .. } = made;
    format!(
        "layer {}: {}{}, {}, {} compressed",
        descriptor.digest.short(),
        counted(*files, "file"),
        if *gone > 0 { format!(", {gone} gone") } else { String::new() },
        counted(*bytes, "byte"),
        descriptor.size
    )
}

fn counted(number: u64, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

fn short(digest: &str) -> &str {
    digest.split_once(':').and_then(|(_, hex)| hex.get(..12)).unwrap_or(digest)
}

fn as_json(heading: &Heading, done: &Done) -> Value {
    let mut value = json!({
        "number": heading.number,
        "stage": heading.stage,
        "line": heading.line,
        "instruction": heading.text,
        "cached": done.cached.as_ref().map(std::result::Result::is_ok),
        "reason": done.cached.as_ref().and_then(|cached| cached.as_ref().err()),
        "seconds": done.took.as_secs_f64(),
    });
    match &done.outcome {
        Outcome::Layer(made) => {
            let Made { descriptor, diff_id, files, gone, bytes } = &**made;
            value["layer"] = json!({
                "digest": descriptor.digest, "diff_id": diff_id, "size": descriptor.size,
                "files": files, "gone": gone, "bytes": bytes,
            });
        }
        Outcome::Config(changes) => value["config"] = json!(changes),
        Outcome::Base(Some((name, digest, layers))) => {
            value["base"] = json!({ "image": name, "digest": digest, "layers": layers });
        }
        Outcome::Base(None) | Outcome::Stage(_) | Outcome::Planned(_) => {}
    }
    value
}

impl Observer for Shown<'_> {
    fn step(&mut self, step: &Step) {
        Observer::step(self.screen, step);
    }

    fn wants_steps(&self) -> bool {
        self.screen.wants_steps()
    }

    fn progress(&mut self, what: &str, done: u64, total: u64) {
        self.screen.progress(what, done, total);
    }

    fn progress_over(&mut self, what: &str) {
        self.screen.progress_over(what);
    }

    fn note(&mut self, text: &str) {
        Screen::note(self.screen, text);
    }
}
