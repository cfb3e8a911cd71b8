//! From the command line to a command, and from its result to an exit code.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};

use crate::cli::{Cli, Command, OnlyRun, RunFirst};
use crate::error::Result;
use crate::kernel::{raw, standby};
use crate::ui::{ColorChoice, Format, Screen, Settings, guard};
use crate::{commands, error};

/// Parses the command line, runs the command, prints the error if there is one.
pub fn main() -> ExitCode {
    raw::default_sigpipe();
    // In a container every moment counts, and there is nothing to parse.
    match std::env::args_os().nth(1) {
        Some(word) if word == "__init" => return ExitCode::from(commands::container::init()),
        Some(word) if word == standby::COMMAND => return ExitCode::from(standby::watch()),
        Some(word) if word == guard::COMMAND => return ExitCode::from(guard::serve()),
        _ => {}
    }
    let cli = match typed(std::env::args_os().collect()) {
        Ok(cli) => cli,
        Err(error) => return not_a_command(&error),
    };
    let mut settings = Settings::from_environment(cli.global.format, cli.global.color);
    settings.quiet = cli.global.quiet;
    settings.explain = cli.global.explain;
    settings.plain |= cli.global.plain;
    settings.report = cli.global.report_fd.and_then(raw::adopt_fd);
    let mut screen = Screen::new(settings);
    match run(cli, &mut screen) {
        Ok(exit) => ExitCode::from(exit),
        Err(error) => {
            screen.error(&error);
            ExitCode::from(error.exit.code())
        }
    }
}

/// The command line, read.
fn typed(words: Vec<OsString>) -> clap::error::Result<Cli> {
    if words.get(1).is_some_and(|word| word == "run")
        && let Ok(RunFirst { global, command: OnlyRun::Run(run) }) =
            RunFirst::try_parse_from(&words)
    {
        return Ok(Cli { global, command: Command::Run(run) });
    }
    Cli::try_parse_from(words)
}

/// Help and version are results like any other; all else is said on standard error.
fn not_a_command(error: &clap::Error) -> ExitCode {
    let settings = Settings::from_environment(Format::default(), colour_asked());
    let colour = settings.color_out;
    let mut screen = Screen::new(settings);
    let (plain, coloured) = (error.render().to_string(), error.render().ansi().to_string());
    if error.use_stderr() {
        screen.usage(&plain, &coloured);
        return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
    }
    match screen.out(if colour { &coloured } else { &plain }) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            screen.error(&error);
            ExitCode::from(error.exit.code())
        }
    }
}

/// `--color`, from a command line that clap has not taken.
fn colour_asked() -> ColorChoice {
    let mut words = std::env::args().skip(1).take_while(|word| word != "--");
    let mut asked = None;
    while let Some(word) = words.next() {
        match word.strip_prefix("--color") {
            Some("") => asked = words.next(),
            Some(value) => asked = value.strip_prefix('=').map(str::to_owned).or(asked),
            None => {}
        }
    }
    asked.and_then(|value| ColorChoice::from_str(&value, false).ok()).unwrap_or_default()
}

/// Performs one command; the number is what the process exits with.
fn run(cli: Cli, screen: &mut Screen) -> Result<u8, error::Error> {
    let global = &cli.global;
    match cli.command {
        Command::Doctor(args) => commands::doctor::run(&args, screen),
        Command::Lesson(args) => commands::lesson::run(&args, global, screen),
        Command::Verify(args) => commands::lesson::verify(&args, global, screen),
        Command::Inspect(args) => commands::inspect::run(&args, screen),
        Command::Netns(command) => commands::netns::run(&command, global, screen),
        Command::Run(args) => commands::run::run(&args, global, screen),
        Command::Exec(args) => commands::container::exec(&args, global, screen),
        Command::Stop(args) => commands::container::stop(&args, global, screen),
        Command::Logs(args) => commands::logs::logs(&args, screen),
        Command::Rm(args) => commands::logs::rm(&args, global, screen),
        Command::Sched(args) => commands::sched::run(&args, global, screen),
        Command::Cgroup(args) => commands::cgroup::run(&args, global, screen),
        Command::Chroot(args) => commands::chroot::run(&args, global, screen),
        Command::Image(args) => commands::image::run(&args, global, screen),
        Command::Cleanup(args) => commands::cleanup::run(&args, global, screen),
        Command::Completions(args) => commands::setup::completions(&args, screen),
        Command::Man(args) => commands::setup::man(&args, screen),
        Command::Load { kind, amount } => Ok(commands::cgroup::load(&kind, amount)),
        Command::Init => Ok(commands::container::init()), // `under-the-hood -q __init`
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `run` means does not depend on which tree of commands reads it.
    #[test]
    fn the_short_way_to_run_reads_what_the_long_one_reads() {
        for line in [
            "run base",
            "run --network none base /bin/true",
            "run --explain -q --format json --name x -it -v /a:/b:ro --cap-add ALL base sh -c -- -x --help",
            "run -d --memory 64M base sleep 1 --quiet",
            "run",
            "run --no-such-flag base",
            "run --help",
            "run --version",
        ] {
            let words: Vec<_> =
                ["under-the-hood"].into_iter().chain(line.split(' ')).map(OsString::from).collect();
            let told = |read: clap::error::Result<Cli>| match read {
                Ok(cli) => format!("{cli:?}"),
                Err(error) => error.render().to_string(),
            };
            let long = told(Cli::try_parse_from(&words));
            assert_eq!(told(typed(words)), long, "{line}");
        }
    }
}
