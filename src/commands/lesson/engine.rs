//! `--engine`: which engine's containers a lesson is played with.

use crate::cli::lesson::EngineFlag;
use crate::container::engines::drive::{self, Driven};
use crate::error::Result;
use crate::ui::Screen;

/// The engine, if it is not ours; of `auto` it is said which, and why.
pub(super) fn chosen(flag: &EngineFlag, screen: &mut Screen) -> Result<Option<Driven>> {
    let (engine, why) = drive::choose(&flag.engine)?;
    if let Some(why) = why {
        let name = engine.map_or("builtin", Driven::name);
        screen.note(&format!("Engine: {name} ({why})."));
    }
    Ok(engine)
}
