//! The scheduler: `sched ps`.

use clap::{Args, Subcommand, ValueEnum};

/// Who gets the CPU: classes, priorities and nice values.
#[derive(Debug, Subcommand)]
pub enum Sched {
    /// Every process with its class and priority, and what they mean
    ///
    /// The first five columns are those of `ps -e -o pid,class,rtprio,ni,comm`.
    /// Reads /proc and changes nothing.
    Ps(Ps),
}

/// `sched ps`
#[derive(Debug, Args)]
#[command(after_long_help = crate::commands::sched::ps_columns())]
pub struct Ps {
    /// One line for each thread: the scheduler knows nothing of processes
    #[arg(long, short = 'L')]
    pub threads: bool,
    /// Only these classes (several: `ff,rr`)
    #[arg(long, value_enum, value_delimiter = ',', value_name = "CLASS")]
    pub class: Vec<ClassName>,
    /// Only what belongs to this container (a pid in it, NAME or ENGINE:NAME)
    #[arg(long, value_name = "TARGET")]
    pub container: Option<String>,
    /// Order; with a minus in front the other way round (`-time`)
    #[arg(long, value_parser = sort, allow_hyphen_values = true, default_value = "pid", value_name = "KEY",
        help = "Order by pid, class, rtprio, ni, comm, time or owner; `-time`: the largest first")]
    pub sort: Sort,
}

/// The classes, by the letters that `ps` prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[allow(missing_docs)]
pub enum ClassName {
    Ts,
    Ff,
    Rr,
    B,
    Idl,
    Dln,
    Ext,
}

/// An order of lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sort {
    /// By what.
    pub key: SortKey,
    /// The largest first.
    pub reverse: bool,
}

/// What lines are ordered by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[allow(missing_docs)]
pub enum SortKey {
    Pid,
    Class,
    Rtprio,
    Ni,
    Comm,
    Time,
    Owner,
}

fn sort(text: &str) -> Result<Sort, String> {
    let (reverse, name) = match text.strip_prefix('-') {
        Some(name) => (true, name),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let key = SortKey::from_str(name, true)
        .map_err(|_| "one of pid, class, rtprio, ni, comm, time, owner".to_owned())?;
    Ok(Sort { key, reverse })
}
