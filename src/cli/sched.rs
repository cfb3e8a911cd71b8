//! The scheduler: `sched ps`, `sched race`.

use clap::{Args, Subcommand, ValueEnum};

/// Who gets the CPU: classes, priorities and nice values.
#[derive(Debug, Subcommand)]
pub enum Sched {
    /// Every process with its class and priority, and what they mean
    ///
    /// The first five columns are those of `ps -e -o pid,class,rtprio,ni,comm`.
    /// Reads /proc and changes nothing.
    Ps(Ps),
    /// Let processes race for one CPU: what each gets, beside what its weight says
    ///
    /// Loops without end, of these nice values or in cgroups of these weights, all
    /// want the same CPU. The kernel's table of weights predicts what each gets;
    /// its own counters say what it did. They end with the race, and with this
    /// program.
    Race(Race),
}

/// `sched race`
#[derive(Debug, Args)]
pub struct Race {
    /// A racer for each nice value, -20 to 19 (below 0 wants root) [default: 0,5]
    #[arg(long, value_name = "N,N,...", value_delimiter = ',', allow_hyphen_values = true,
        value_parser = clap::value_parser!(i32).range(-20..=19))]
    pub nice: Vec<i32>,
    /// A racer for each weight, 1 to 10000, in a cgroup of its own; with --nice
    /// the racers have those as well, and it does not matter
    #[arg(long, value_name = "N,N,...", value_delimiter = ',',
        value_parser = clap::value_parser!(u64).range(1..=10000))]
    pub weight: Vec<u64>,
    /// How long, 1 to 15
    #[arg(long, value_name = "SECONDS", default_value_t = 3,
        value_parser = clap::value_parser!(u64).range(1..=15))]
    pub seconds: u64,
    /// Which CPU; without it the last one that this shell may use
    #[arg(long, value_name = "N")]
    pub cpu: Option<usize>,
    /// Each racer in a session of its own, as if started from different terminals
    #[arg(long)]
    pub own_session: bool,
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
