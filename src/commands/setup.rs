//! `completions` and `man`: both made from the clap types.

use clap::CommandFactory;

use crate::cli::Cli;
use crate::cli::setup::Completions;
use crate::error::{Context, Result};
use crate::ui::Screen;

/// Prints the completion script for a shell.
pub fn completions(args: &Completions, screen: &mut Screen) -> Result<u8> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "under-the-hood", &mut script);
    screen.out(&String::from_utf8_lossy(&script))?;
    Ok(0)
}

/// Prints the manual page, in roff, as `man -l` takes it.
pub fn man(screen: &mut Screen) -> Result<u8> {
    let mut page = Vec::new();
    clap_mangen::Man::new(Cli::command()).render(&mut page).tried(|| "writing the manual page")?;
    screen.out(&String::from_utf8_lossy(&page))?;
    Ok(0)
}
