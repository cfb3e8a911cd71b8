//! Performing what stands in fences, and showing what came of it.

use std::time::Instant;

use crate::error::Result;
use crate::lesson::driving::Played;
use crate::lesson::model::Fence;
use crate::lesson::perform::Done;
use crate::step::Step;

use super::present::Remedy;
use super::{Player, lacking};

/// Programs that a lesson's lines use, and the package that each is in.
const PACKAGES: [(&str, &str); 9] = [
    ("lsns", "util-linux"),
    ("nsenter", "util-linux"),
    ("unshare", "util-linux"),
    ("ps", "procps"),
    ("pgrep", "procps"),
    ("ip", "iproute2"),
    ("capsh", "libcap2-bin"),
    ("docker", "docker.io, or Docker's own packages"),
    ("ctr", "containerd"),
];

impl Player<'_> {
    /// `sh run`: our own commands, with the operations that the step is about.
    pub(super) fn run(&mut self, fence: &Fence) -> Result<()> {
        if self.cannot(fence)? {
            return Ok(());
        }
        self.performed.clear();
        for (_, line) in &fence.lines {
            while self.turn.is_none() && matches!(self.run_once(fence, line)?, Remedy::Again) {}
        }
        Ok(())
    }

    /// What an engine needs before the container that a line asks for.
    fn prepared(&mut self, played: &[Played]) -> Result<()> {
        for Played { line, done, note, of_lesson } in played {
            self.record.command(line, &Fence::default(), done, note.as_deref());
            let Some(page) = &self.page else { continue };
            let output = if *of_lesson || done.exit != 0 { &done.output } else { "" };
            let text = page.performed(line, &[], 0, output, false);
            let told = page.exit_told(done, 0, note.as_deref());
            self.put_with(text, told)?;
        }
        Ok(())
    }

    fn run_once(&mut self, fence: &Fence, line: &str) -> Result<Remedy> {
        self.type_command(line)?;
        if self.turn.is_some() {
            return Ok(Remedy::On);
        }
        let begun = Instant::now();
        let played = match self.stage.played(line, fence.or_ours) {
            Ok(played) => played,
            Err(error) => return self.not_done_there(line, error),
        };
        let Some((Played { line, done, note, .. }, before)) = played.split_last() else {
            return Ok(Remedy::On);
        };
        self.prepared(before)?;
        self.take_command(line, begun, done, fence.exit);
        self.performed.push((line.clone(), done.steps.clone()));
        // What `exec` exits with when the container has no such program.
        let missing = (done.exit == 127 && fence.exit != 127)
            .then_some("not shown: the container has no such program");
        let missing = missing.or(note.as_deref());
        self.record.command(line, fence, done, missing);
        let Some(page) = &self.page else { return Ok(Remedy::On) };
        let named =
            |step: &&Step| self.all_operations || fence.ops.iter().any(|op| is_named(step, op));
        let steps: Vec<&Step> = done.steps.iter().filter(named).collect();
        let hidden = if fence.ops.is_empty() { 0 } else { done.steps.len() - steps.len() };
        let text = page.performed(line, &steps, hidden, &done.output, fence.whole);
        self.put_with(text, page.exit_told(done, fence.exit, missing))?;
        self.failed(line, done, fence.exit)
    }

    /// A command's text, and the word on how it ended: on a stage, together.
    fn put_with(&mut self, text: String, told: Option<String>) -> Result<()> {
        match (told, self.present.is_some()) {
            (None, _) => self.put(&text),
            (Some(told), true) => self.put(&format!("{text}\n\n{told}")),
            (Some(told), false) => self.put(&text).and_then(|()| self.put(&told)),
        }
    }

    /// Whether this machine lacks what the block needs: then its lines are only shown.
    fn cannot(&mut self, fence: &Fence) -> Result<bool> {
        let Some((why, _)) = lacking(&fence.needs, &self.facts) else { return Ok(false) };
        let why = format!("not done: {why}");
        for (_, line) in &fence.lines {
            self.record.not_done(line, &why);
            let Some(page) = &self.page else { break };
            let text = page.performed(line, &[], 0, "", false);
            let told = page.exit_told(&Done::default(), fence.exit, Some(&why));
            self.put(&text)?;
            told.map_or(Ok(()), |told| self.put(&told))?;
        }
        Ok(true)
    }

    /// `sh shell`: the machine's programs, which only look.
    pub(super) fn look(&mut self, fence: &Fence) -> Result<()> {
        if (self.page.is_none() && self.recorder.is_none()) || self.cannot(fence)? {
            return Ok(());
        }
        for (_, line) in &fence.lines {
            while self.turn.is_none() && matches!(self.look_once(fence, line)?, Remedy::Again) {}
        }
        Ok(())
    }

    fn look_once(&mut self, fence: &Fence, line: &str) -> Result<Remedy> {
        self.type_command(line)?;
        if self.turn.is_some() {
            return Ok(Remedy::On);
        }
        let begun = Instant::now();
        let done = self.stage.shell(line)?;
        self.take_command(line, begun, &done, fence.exit);
        let missing = missing_program(line, &done);
        self.record.command(line, fence, &done, missing.as_deref());
        let Some(page) = &self.page else { return Ok(Remedy::On) };
        let output = if missing.is_some() { "" } else { &done.output };
        let text = page.performed(line, &[], 0, output, fence.whole);
        self.put_with(text, page.exit_told(&done, fence.exit, missing.as_deref()))?;
        self.failed(line, &done, fence.exit)
    }
}

/// `mkdir`, or with a word that its arguments must contain: `mkdir:cgroup`.
pub fn is_named(step: &Step, op: &str) -> bool {
    let (name, word) = op.split_once(':').unwrap_or((op, ""));
    step.name() == name && step.call.contains(word)
}

/// What to say when a shell did not find a program (it exits with 127 then).
pub(super) fn missing_program(line: &str, done: &Done) -> Option<String> {
    if done.exit != 127 {
        return None;
    }
    let told =
        |(program, _): &&(&str, &str)| done.output.contains(&format!("{program}: not found"));
    let known = PACKAGES.iter().find(told);
    Some(match known {
        Some((program, package)) => {
            format!("not shown: `{program}` is not installed here (package {package})")
        }
        None => format!("not shown: {}", done.output.trim().lines().next().unwrap_or(line)),
    })
}
