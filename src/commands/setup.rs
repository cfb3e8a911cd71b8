//! `completions` and `man`: both made from the clap types.

use clap::CommandFactory;

use crate::cli::Cli;
use crate::cli::setup::{Completions, Man};
use crate::error::{Context, Error, Result};
use crate::ui::Screen;

const NAME: &str = "under-the-hood";

/// Prints the completion script for a shell.
pub fn completions(args: &Completions, screen: &mut Screen) -> Result<u8> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut visible(), NAME, &mut script);
    screen.out(&String::from_utf8_lossy(&script))?;
    Ok(0)
}

/// The command line without what only this program itself uses: completion
/// scripts would offer hidden commands, too.
fn visible() -> clap::Command {
    let whole = Cli::command();
    let commands = whole.get_subcommands().filter(|command| !command.is_hide_set());
    let options = whole.get_arguments().filter(|argument| !argument.is_hide_set());
    let program = clap::Command::new(NAME).version(env!("CARGO_PKG_VERSION"));
    program.args(options.cloned()).subcommands(commands.cloned())
}

/// Prints the manual page of the program or of one command, in roff, as `man -l` takes it.
pub fn man(args: &Man, screen: &mut Screen) -> Result<u8> {
    let mut program = Cli::command();
    program.build(); // hands the global options and the full names down to the commands
    let mut command = &program;
    for word in &args.command {
        command = command.find_subcommand(word).ok_or_else(|| {
            Error::usage(format!("{NAME} {} is no command", args.command.join(" ")))
                .hint(format!("`{} --help` lists them.", command.get_bin_name().unwrap_or(NAME)))
        })?;
    }
    let title = command.get_display_name().unwrap_or(NAME).to_owned();
    let mut page = Vec::new();
    clap_mangen::Man::new(command.clone())
        .title(title)
        .render(&mut page)
        .tried(|| "writing the manual page")?;
    screen.out(&String::from_utf8_lossy(&page))?;
    Ok(0)
}
