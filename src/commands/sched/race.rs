//! `sched race`: who gets how much of one CPU, beside what the weights say.

use std::path::Path;

use serde_json::json;

use crate::cli::Global;
use crate::cli::sched::Race;
use crate::commands::limits::{ask_systemd, must_ask};
use crate::container::race::{self, Lap, Outcome, Racer, Request, Rule};
use crate::effect::Policy;
use crate::error::{Error, Result};
use crate::kernel::cgroup::unit::time;
use crate::kernel::scheduler::{affinity, autogroup};
use crate::ui::gauge::marked_bar;
use crate::ui::{Align, Column, Screen, Table, Value};

/// A racer and how it did.
struct Row {
    name: String,
    pid: i32,
    weight: u64,
    cpu: u64,
    share: f64,
    predicted: f64,
}

const TABLE: Table<Row> = Table(&[
    Column {
        name: "RACER",
        align: Align::Left,
        help: "Its nice value, or the weight of its group",
        value: |row| Value::Text(row.name.clone()),
    },
    Column {
        name: "WEIGHT",
        align: Align::Right,
        help: "What the kernel weighs it with",
        value: |row| Value::Number(row.weight),
    },
    Column {
        name: "CPU TIME",
        align: Align::Right,
        help: "What it got",
        value: |row| Value::Text(time(row.cpu)),
    },
    Column {
        name: "MEASURED",
        align: Align::Right,
        help: "Its share of what all racers got",
        value: |row| Value::Text(percent(row.share)),
    },
    Column {
        name: "PREDICTED",
        align: Align::Right,
        help: "Its weight's share of all weights",
        value: |row| Value::Text(percent(row.predicted)),
    },
    Column {
        name: "OFF BY",
        align: Align::Right,
        help: "In percentage points",
        value: |row| Value::Text(points(row.share - row.predicted)),
    },
]);

pub(super) fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

/// A difference in percentage points; one that rounds to nothing has no sign.
fn points(difference: f64) -> String {
    let points = format!("{:+.1}", difference * 100.0);
    if points.ends_with("0.0") && points.len() == 4 { "0.0".to_owned() } else { points }
}

/// Holds the race and shows it.
pub fn run(args: &Race, global: &Global, screen: &mut Screen) -> Result<u8> {
    let request = request(args)?;
    if !args.weight.is_empty() && must_ask() {
        return ask_systemd(None, global, screen);
    }
    if global.dry_run {
        return screen.plan(&request.steps()?).map(|()| 0);
    }
    if request.elsewhere.is_empty() {
        screen.note(
            "There is one CPU only, so this program and everything else race along. Nothing is \
             locked out: whoever wants the CPU gets its share.",
        );
    }
    let rule = request.rule();
    let (names, predicted) = (names(&request), request.predicted(rule));
    let mut live = Live::new(screen, global, &names, &predicted);
    let outcome = race::run(&request, screen, &mut |lap| live.show(lap));
    live.end();
    report(&request, rule, &outcome?, screen)?;
    Ok(0)
}

fn request(args: &Race) -> Result<Request> {
    let nice = match (args.nice.as_slice(), args.weight.as_slice()) {
        ([], []) => vec![0, 5],
        ([], weights) => vec![0; weights.len()],
        (nice, _) => nice.to_vec(),
    };
    if !args.weight.is_empty() && args.weight.len() != nice.len() {
        return Err(Error::usage("--nice and --weight name different numbers of racers")
            .hint("The first nice value goes with the first weight, and so on: as many of both."));
    }
    if !(2..=8).contains(&nice.len()) {
        return Err(Error::usage(format!("a race of {}", nice.len()))
            .hint("Two to eight take part: `under-the-hood sched race --nice 0,5,10`."));
    }
    let racer = |(n, nice): (usize, &i32)| Racer {
        policy: Policy { nice: *nice, ..Policy::default() },
        group: args.weight.get(n).copied(),
    };
    let allowed = affinity::affinity(0)?;
    let cpu = args.cpu.or(allowed.last().copied()).unwrap_or(0);
    if !allowed.contains(&cpu) {
        return Err(Error::usage(format!("--cpu {cpu}"))
            .hint(format!("This shell may use CPUs {}.", affinity::text(&allowed))));
    }
    Ok(Request {
        racers: nice.iter().enumerate().map(racer).collect(),
        cpu,
        elsewhere: allowed.into_iter().filter(|other| *other != cpu).collect(),
        seconds: args.seconds.min(race::LONGEST),
        own_session: args.own_session,
    })
}

fn names(request: &Request) -> Vec<String> {
    let name = |racer: &Racer| match racer.group {
        None => format!("nice {}", racer.policy.nice),
        Some(weight) if racer.policy.nice == 0 => format!("group {weight}"),
        Some(weight) => format!("group {weight} (nice {})", racer.policy.nice),
    };
    request.racers.iter().map(name).collect()
}

/// How it stands while it runs: bars on a terminal, else a line each second.
struct Live<'a> {
    painter: Screen,
    names: &'a [String],
    predicted: &'a [f64],
    bars: bool,
    lines: bool,
    drawn: usize,
    told: u64,
}

impl<'a> Live<'a> {
    fn new(screen: &Screen, global: &Global, names: &'a [String], predicted: &'a [f64]) -> Self {
        let mut settings = crate::ui::Settings::from_environment(global.format, global.color);
        settings.quiet = global.quiet;
        let bars = screen.shows_gauges();
        let lines = !bars && !screen.json_wanted();
        Self { painter: Screen::new(settings), names, predicted, bars, lines, drawn: 0, told: 0 }
    }

    fn show(&mut self, lap: &Lap) {
        let shares = lap.shares();
        if self.bars {
            let widest = self.names.iter().map(String::len).max().unwrap_or(0);
            let room = self.painter.width().saturating_sub(widest + 14).min(60);
            let line = |((name, share), predicted): ((&String, &f64), &f64)| {
                let bar = marked_bar(*share, *predicted, room);
                format!("{name:widest$}  {bar} {:>8}", percent(*share))
            };
            let all = self.names.iter().zip(&shares).zip(self.predicted);
            let lines: Vec<_> = all.map(line).collect();
            self.painter.plot(&lines, self.drawn);
            self.drawn = lines.len();
        } else if self.lines && lap.wall / 1_000_000_000 > self.told {
            self.told = lap.wall / 1_000_000_000;
            let each = self.names.iter().zip(&shares);
            let each: Vec<_> =
                each.map(|(name, share)| format!("{name}: {}", percent(*share))).collect();
            self.painter.note(&format!("{} s  {}", self.told, each.join(", ")));
        }
    }

    fn end(&mut self) {
        if self.bars {
            self.painter.plot(&[], self.drawn);
        }
    }
}

fn report(request: &Request, rule: Rule, outcome: &Outcome, screen: &mut Screen) -> Result<()> {
    let weights = request.weights(rule);
    let (shares, predicted) = (outcome.lap.shares(), request.predicted(rule));
    let row = |(n, name): (usize, String)| Row {
        name,
        pid: outcome.pids[n],
        weight: weights[n],
        cpu: outcome.lap.cpu[n],
        share: shares[n],
        predicted: predicted[n],
    };
    let rows: Vec<_> = names(request).into_iter().enumerate().map(row).collect();
    let furthest = rows.iter().map(|row| (row.share - row.predicted).abs()).fold(0.0, f64::max);
    let idle = outcome.idle.map(|idle| idle as f64 / outcome.lap.wall.max(1) as f64);
    for error in &outcome.left {
        screen
            .warn(&format!("could not be undone: {error}. `under-the-hood cleanup` tries again."));
    }
    if screen.json_wanted() {
        return screen.json(&json!({
            "cpu": request.cpu,
            "weights_of": match rule {
                Rule::Nice => "nice",
                Rule::Cgroup => "cgroup",
                Rule::Autogroup => "autogroup",
            },
            "wall_ns": outcome.lap.wall,
            "racers": rows.iter().zip(&request.racers).map(|(row, racer)| json!({
                "pid": row.pid,
                "nice": racer.policy.nice,
                "group_weight": racer.group,
                "weight": row.weight,
                "cpu_ns": row.cpu,
                "share": row.share,
                "predicted": row.predicted,
                "deviation": row.share - row.predicted,
            })).collect::<Vec<_>>(),
            "largest_deviation": furthest,
            "others_share": outcome.lap.others(),
            "idle_share": idle,
        }));
    }
    screen.table(&TABLE, &rows)?;
    screen.out("")?;
    screen.prose(why(rule))?;
    if request.own_session && rule == Rule::Nice {
        screen.prose(&no_autogroups())?;
    }
    screen.prose(&around(request.cpu, &outcome.lap, idle))
}

/// What the prediction rests on.
fn why(rule: Rule) -> &'static str {
    match rule {
        Rule::Nice => {
            "Predicted from the kernel's table sched_prio_to_weight (kernel/sched/core.c): each step \
             of nice is a quarter more or less. Measured in /proc/PID/schedstat."
        }
        Rule::Cgroup => {
            "Each racer is in a cgroup of its own, and the groups are weighed against each other \
             (cpu.weight; cpu.shares in version 1). Nice counts only within a group, so here for \
             nothing. Measured in /proc/PID/schedstat."
        }
        Rule::Autogroup => {
            "Each racer is in a session of its own. The kernel makes a group of every session \
             (autogroup), the groups weigh the same, and nice counts only within one: between two \
             terminals it counts for nothing. Measured in /proc/PID/schedstat."
        }
    }
}

/// Why sessions of their own made no difference.
fn no_autogroups() -> String {
    let proc = Path::new("/proc");
    match autogroup::cpu_group(proc, std::process::id().cast_signed()) {
        _ if !autogroup::is_enabled(proc) => "Sessions of their own make no difference here: \
             autogroups are off (kernel.sched_autogroup_enabled)."
            .to_owned(),
        Some(group) => format!(
            "Sessions of their own make no difference here: this shell is in a cgroup with a CPU \
             weight, and then that group counts, not the autogroup ({}).",
            group.display()
        ),
        None => String::new(),
    }
}

/// What else there was on that CPU.
fn around(cpu: usize, lap: &Lap, idle: Option<f64>) -> String {
    let mut text = format!(
        "Of CPU {cpu}'s time, {} went to others: what else runs there, interrupts, the hypervisor.",
        percent((lap.others() - idle.unwrap_or(0.0)).max(0.0))
    );
    if let Some(idle) = idle.filter(|idle| *idle > 0.02) {
        text.push_str(&format!(
            " And {} of it nobody had, though the racers wanted it: a quota of a group above holds \
             them back.",
            percent(idle)
        ));
    }
    text
}
