//! The rehearsal: every step of a lesson played before the audience comes, with
//! what each command printed and when. It says at once what would fail on stage;
//! and on stage, where something fails all the same, its output can be shown,
//! as what it is: a recording.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::build::clock;
use crate::effect::Driven;
use crate::error::{Error, Result};

use super::model::Lesson;
use super::play::Player;
use super::progress;

/// What was recorded.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Rehearsal {
    /// The lesson's key.
    pub lesson: String,
    /// The kernel that it was played on.
    pub kernel: String,
    /// Everything that was performed or judged, in order.
    pub takes: Vec<Take>,
}

/// One command or one claim of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Take {
    /// The step's id.
    pub step: String,
    /// The command's line, or the claim's id.
    pub what: String,
    /// When it was done, in seconds since the epoch.
    pub at: u64,
    /// How long it took, in milliseconds.
    pub took: u64,
    /// What it printed, or the evidence.
    pub output: String,
    /// What is wrong with it, if anything is.
    pub wrong: Option<String>,
}

impl Take {
    /// Something that was done just now, and took so long.
    pub fn new(step: &str, what: &str, took: Duration, output: &str) -> Self {
        Self {
            step: step.to_owned(),
            what: what.to_owned(),
            at: now(),
            took: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            output: output.to_owned(),
            wrong: None,
        }
    }

    /// The same, wrong.
    pub fn wrong(mut self, wrong: Option<String>) -> Self {
        self.wrong = wrong;
        self
    }

    /// The moment it was recorded: `2026-11-26 11:02:13 UTC`.
    pub fn when(&self) -> String {
        let date = clock::date(self.at.try_into().unwrap_or(i64::MAX));
        format!("{} UTC", date.replace('T', " "))
    }
}

/// Seconds since the epoch.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

impl Rehearsal {
    /// What was recorded of a command or a claim in a step, if it went well.
    pub fn take(&self, step: &str, what: &str) -> Option<&Take> {
        let same = |take: &&Take| take.step == step && take.what == what && take.wrong.is_none();
        self.takes.iter().rev().find(same)
    }

    /// The last one of this lesson; none if it was never rehearsed.
    pub fn load(lesson: &Lesson) -> Result<Option<Self>> {
        let text = progress::read_file(&file(lesson))?;
        let wrong = |error| {
            Error::new("reading the rehearsal").said(error).hint(format!(
                "`under-the-hood lesson {} --rehearse` makes a new one.",
                lesson.key()
            ))
        };
        text.map(|text| serde_json::from_str(&text).map_err(wrong)).transpose()
    }

    /// Keeps it, in place of the one before; of what has failed now, what went well then.
    pub fn keep(&self, lesson: &Lesson) -> Result<()> {
        let mut kept = self.clone();
        let before = Self::load(lesson).ok().flatten().unwrap_or_default();
        let failed = self.takes.iter().filter(|take| self.take(&take.step, &take.what).is_none());
        kept.takes.extend(failed.filter_map(|take| before.take(&take.step, &take.what)).cloned());
        let text = serde_json::to_string_pretty(&kept)
            .map_err(|error| Error::new("writing the rehearsal").said(error))?;
        progress::write_file(&file(lesson), &text)
    }
}

/// A lesson of one's own is known by its path.
fn file(lesson: &Lesson) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    format!("rehearsal-{}.json", lesson.key().chars().map(plain).collect::<String>())
}

/// Plays every step; `told` hears of each when it is done: its place, and how long it took.
pub fn rehearse(
    lesson: &Lesson,
    offline: bool,
    engine: Option<Driven>,
    mut told: impl FnMut(usize, Duration, &[Take]) -> Result<()>,
) -> Result<Rehearsal> {
    let mut player = Player::silent(lesson)?;
    if offline {
        player.stage().go_offline()?;
    }
    engine.into_iter().for_each(|engine| player.stage().drive(engine));
    if let Some((reason, fix)) = player.lacks() {
        player.end()?;
        let tried = format!("lesson {} cannot be played here", lesson.key());
        return Err(Error { hint: fix, ..Error::cannot(tried).said(reason) });
    }
    player.rehearse();
    let kernel = rustix::system::uname().release().to_string_lossy().into_owned();
    let mut rehearsal = Rehearsal { lesson: lesson.key(), kernel, takes: Vec::new() };
    let played = (|| {
        for index in 0..lesson.steps.len() {
            let begun = std::time::Instant::now();
            player.step(index)?;
            let takes = player.recorded();
            told(index, begun.elapsed(), &takes)?;
            rehearsal.takes.extend(takes);
        }
        Ok(())
    })();
    // What went wrong first is what is told.
    let ended = player.end();
    played.and(ended).map(|_| rehearsal)
}
