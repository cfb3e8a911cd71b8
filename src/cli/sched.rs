//! The scheduler: `sched ps`, `sched set`, `sched race`, `sched rt`.

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
    /// Give a process another class, priority, nice value, or other CPUs
    ///
    /// All its threads get them; what is not said stays as it is. What they had is
    /// written down: `sched set TARGET --back` gives it back, and `cleanup` does.
    Set(Set),
    /// What keeps real-time tasks from starving the machine, read and tried
    ///
    /// Reads the fair server, RT throttling and the cgroup's real-time budget, then
    /// lets a SCHED_FIFO loop that never waits run beside an ordinary one, for a few
    /// seconds on one CPU: what is left for the ordinary one is what the kernel
    /// keeps. Another CPU stays free, and both loops end by themselves.
    Rt(Rt),
}

/// `sched set`
#[derive(Debug, Args)]
pub struct Set {
    /// A pid, a container's name or id, or ENGINE:NAME
    pub target: String,
    /// The class
    #[arg(long, value_enum, value_name = "CLASS")]
    pub policy: Option<PolicyName>,
    /// In fifo and rr: 1 to 99, the highest
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=99))]
    pub priority: Option<u32>,
    /// In other and batch: -20, the greediest, to 19
    #[arg(long, value_name = "N", allow_hyphen_values = true,
        value_parser = clap::value_parser!(i32).range(-20..=19))]
    pub nice: Option<i32>,
    /// In deadline: so much CPU time in each period, as 10ms
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub runtime: Option<u64>,
    /// In deadline: by then it has had it [default: the period]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub deadline: Option<u64>,
    /// In deadline: how long a period is, as 100ms
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub period: Option<u64>,
    /// The CPUs it may run on, as 0-2,5
    #[arg(long, value_name = "LIST")]
    pub cpus: Option<String>,
    /// Give back what it had
    #[arg(long, conflicts_with_all = ["policy", "priority", "nice", "runtime", "deadline", "period", "cpus"])]
    pub back: bool,
}

/// `sched rt`
#[derive(Debug, Args)]
pub struct Rt {
    /// How long it is tried, 2 to 10
    #[arg(long, value_name = "SECONDS", default_value_t = 4,
        value_parser = clap::value_parser!(u64).range(2..=10))]
    pub seconds: u64,
    /// On which CPU; without it the last one that this shell may use
    #[arg(long, value_name = "N")]
    pub cpu: Option<usize>,
    /// Only read, try nothing
    #[arg(long)]
    pub read_only: bool,
}

/// The classes, as they can be given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[allow(missing_docs)]
pub enum PolicyName {
    Other,
    Batch,
    Idle,
    Fifo,
    Rr,
    Deadline,
}

/// `10ms`: nanoseconds.
fn duration(text: &str) -> Result<u64, String> {
    let unit = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let factor = match &text[unit..] {
        "ns" => 1,
        "us" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        _ => return Err("a time with its unit: 500us, 10ms, 1s".to_owned()),
    };
    let number: Option<u64> = text[..unit].parse().ok();
    number.and_then(|number| number.checked_mul(factor)).ok_or_else(|| "a time: 10ms".to_owned())
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
    #[arg(long, value_enum, ignore_case = true, value_delimiter = ',', value_name = "CLASS")]
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
