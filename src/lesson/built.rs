//! What a run leaves in the store of images: those that it built, which are named
//! after it (`$lesson_id/site`), and the trees that were unpacked to run images
//! which had no name. They go when the stage is emptied, by the same `image rm`
//! that a reader would type. What was pulled stays: it is nobody's alone.

use std::collections::BTreeSet;
use std::ffi::OsString;

use crate::error::{Error, Result};
use crate::home::{self, Place};
use crate::image::store::Store;

use super::check::World;
use super::perform;
use super::session;

/// How the store was when the stage was empty.
pub struct Built {
    trees: BTreeSet<OsString>,
}

impl Built {
    /// Looks at it; what a player that was killed has left there is removed first.
    pub fn look(world: &World) -> Result<Self> {
        let alive: Vec<_> = session::list()?.into_iter().map(|session| session.scope).collect();
        let dead = |scope: &str| is_scope(scope) && !alive.iter().any(|alive| alive == scope);
        remove(&built(|scope| scope != world.scope && dead(scope))?, world)?;
        Ok(Self { trees: trees() })
    }

    /// Removes what the run has put there.
    pub fn clear(&self, world: &World) -> Result<()> {
        let own = built(|scope| scope == world.scope)?;
        match own.is_empty() && trees().is_subset(&self.trees) {
            true => Ok(()),
            false => remove(&own, world).and_then(|()| match own.is_empty() {
                true => image_rm(&[], world),
                false => Ok(()),
            }),
        }
    }
}

/// The names of images that begin with the scope of a run.
fn built(of: impl Fn(&str) -> bool) -> Result<Vec<String>> {
    let named = Store::find()?.list()?.into_iter().filter_map(|named| named.name);
    let names = named.map(|name| name.familiar());
    Ok(names.filter(|name| name.split_once('/').is_some_and(|(first, _)| of(first))).collect())
}

/// `lesson6-3fa2c1`
fn is_scope(word: &str) -> bool {
    let Some((lesson, token)) = word.split_once('-') else { return false };
    let number = lesson.strip_prefix("lesson");
    number.is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
        && token.len() == 6
        && token.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn remove(names: &[String], world: &World) -> Result<()> {
    if names.is_empty() { Ok(()) } else { image_rm(names, world) }
}

/// Without a name it removes what no image needs.
fn image_rm(names: &[String], world: &World) -> Result<()> {
    let words = ["image", "rm"].into_iter().map(str::to_owned);
    let words: Vec<_> = words.chain(names.iter().cloned()).collect();
    let done = perform::own(&words, world, perform::Look::default())?;
    match done.exit {
        0 => Ok(()),
        _ => Err(Error::new("removing the images that the lesson made")
            .said(done.output.trim())
            .hint("`under-the-hood image ls` shows them, `image rm` removes them.")),
    }
}

/// The unpacked root file systems, by the names of their directories.
fn trees() -> BTreeSet<OsString> {
    let Ok(data) = home::path(Place::Data) else { return BTreeSet::new() };
    let entries = std::fs::read_dir(data.join("rootfs")).into_iter().flatten().flatten();
    let directories = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    directories.map(|entry| entry.file_name()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_is_told_from_somebodys_own_name() {
        assert!(is_scope("lesson6-3fa2c1") && is_scope("lesson-3fa2c1"));
        assert!(!is_scope("lesson6") && !is_scope("lessons-3fa2c1") && !is_scope("lesson6-team"));
    }
}
