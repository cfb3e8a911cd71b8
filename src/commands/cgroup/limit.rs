//! `cgroup limit`: a command in a group of its own, with live gauges and a
//! closing report from the kernel's counters.

use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};

use crate::cli::Global;
use crate::cli::cgroup::Limit;
use crate::commands::limits::{ask_systemd, must_ask, of_limit};
use crate::container::limited::{self, Outcome, Plan, Request};
use crate::error::{Error, Result};
use crate::kernel::cgroup::unit::{bytes, cpus, time};
use crate::kernel::cgroup::{Bound, Usage};
use crate::kernel::watcher::Status;
use crate::ui::Screen;
use crate::ui::gauge::bar;

/// Runs it.
pub fn run(args: &Limit, global: &Global, screen: &mut Screen) -> Result<u8> {
    let limits = of_limit(args)?;
    if limits.is_empty() {
        return Err(Error::usage("cgroup limit without a limit").hint(
            "Say what is limited: `under-the-hood cgroup limit --cpus 0.2 --memory 64M -- CMD`.",
        ));
    }
    if must_ask() {
        return ask_systemd(limits.cpu_weight(), global, screen);
    }
    if global.dry_run {
        let plan = Plan::new(&limits, &args.command, "$id")?;
        return screen.plan(&plan.steps()).map(|()| 0);
    }
    let request = Request { limits, command: args.command.clone(), silent: false };
    let gauges = screen.shows_gauges();
    let mut last: Option<(Instant, Usage)> = None;
    // The screen hears of steps before the command starts, and ticks come after.
    let width = screen.width();
    let settings = crate::ui::Settings::from_environment(global.format, global.color);
    let painter = Screen::new(settings);
    let mut tick = |usage: &Usage| {
        if gauges {
            painter.gauge(&line(usage, last.as_ref(), width));
        }
        last = Some((Instant::now(), usage.clone()));
    };
    let outcome = limited::run(&request, screen, &mut tick);
    if gauges {
        screen.gauge_end();
    }
    let outcome = outcome?;
    report(&outcome, screen)?;
    for error in &outcome.left {
        screen
            .warn(&format!("could not be undone: {error}. `under-the-hood cleanup` tries again."));
    }
    Ok(outcome.status.code())
}

/// One line of gauges.
pub(super) fn line(usage: &Usage, last: Option<&(Instant, Usage)>, width: usize) -> String {
    let mut parts = Vec::new();
    if let (Some(cpu), Some((when, before))) = (usage.cpu, last) {
        let used = cpu.saturating_sub(before.cpu.unwrap_or(cpu)) as f64;
        let rate = used / when.elapsed().max(Duration::from_millis(1)).as_nanos() as f64;
        let limit = usage.quota.and_then(|q| Some(q.quota? as f64 / q.period as f64));
        parts.push(match limit {
            Some(limit) => format!(
                "cpu {} {:.0} % of {:.0} %",
                bar(rate / limit, 6),
                rate * 100.0,
                limit * 100.0
            ),
            None => format!("cpu {:.0} %", rate * 100.0),
        });
    }
    if let Some(waited) = usage.throttled_time.filter(|waited| *waited > 0) {
        parts.push(format!("throttled {}", time(waited)));
    }
    if let Some(memory) = usage.memory {
        parts.push(match usage.memory_limit {
            Some(Bound::At(limit)) => {
                let share = memory as f64 / limit.max(1) as f64;
                format!("memory {} {} of {}", bar(share, 6), bytes(memory), bytes(limit))
            }
            _ => format!("memory {}", bytes(memory)),
        });
    }
    if let Some(pids) = usage.pids {
        parts.push(match usage.pids_limit {
            Some(Bound::At(limit)) => format!("tasks {pids} of {limit}"),
            _ => format!("tasks {pids}"),
        });
    }
    for (count, what) in
        [(usage.oom_kills, "killed for memory"), (usage.pids_refused, "forks refused")]
    {
        parts.extend(count.filter(|count| *count > 0).map(|count| format!("{count} {what}")));
    }
    let pressure = ["cpu", "memory", "io"].into_iter().zip(usage.pressure);
    for (name, percent) in pressure.filter_map(|(name, p)| Some((name, p.filter(|p| *p >= 1.0)?))) {
        parts.push(format!("waits for {name} {percent:.0} %"));
    }
    parts.join("  ").chars().take(width).collect()
}

/// What the kernel counted, after the end.
fn report(outcome: &Outcome, screen: &mut Screen) -> Result<()> {
    if screen.json_wanted() {
        return screen.json(&json(outcome));
    }
    let usage = &outcome.usage;
    let mut lines = Vec::new();
    let took = outcome.took.as_nanos() as u64;
    if let Some(cpu) = usage.cpu {
        let rate = cpu as f64 / took.max(1) as f64 * 100.0;
        let quota = usage.quota.and_then(|q| Some(cpus(q.quota?, q.period)));
        let quota = quota.map_or(String::new(), |quota| format!("; limit {quota}"));
        lines.push(format!("cpu: {} in {}: {rate:.0} % of one CPU{quota}", time(cpu), time(took)));
    }
    if let (Some(throttled), Some(periods)) = (usage.throttled, usage.periods)
        && periods > 0
    {
        let waited = usage.throttled_time.map_or("not measured".to_owned(), time);
        lines.push(format!("cpu: throttled in {throttled} of {periods} periods, {waited} in all"));
    }
    if usage.memory.is_some() || usage.memory_peak.is_some() {
        let peak = usage.memory_peak.map_or("not measured".to_owned(), bytes);
        let limit = match usage.memory_limit {
            Some(Bound::At(limit)) => format!("; limit {}", bytes(limit)),
            _ => String::new(),
        };
        let hits = count(usage.memory_hits, "time at the limit", "times at the limit");
        let kills = count(usage.oom_kills, "process killed for it", "processes killed for it");
        lines.push(format!("memory: at most {peak}{limit}; {hits}, {kills}"));
    }
    if let Some(Bound::At(limit)) = usage.pids_limit {
        let refused = count(usage.pids_refused, "fork refused", "forks refused");
        lines.push(format!("tasks: limit {limit}; {refused}"));
    }
    if let (Some(read), Some(written)) = (usage.read, usage.written) {
        lines.push(format!("io: {} read, {} written", bytes(read), bytes(written)));
    }
    lines.iter().for_each(|line| screen.note(line));
    Ok(())
}

fn count(number: Option<u64>, one: &str, many: &str) -> String {
    match number {
        None => format!("{many}: not measured"),
        Some(1) => format!("1 {one}"),
        Some(number) => format!("{number} {many}"),
    }
}

fn bound(bound: Option<Bound>) -> Json {
    match bound {
        None => Json::Null,
        Some(Bound::Unlimited) => json!("max"),
        Some(Bound::At(number)) => json!(number),
    }
}

/// Usage as every `cgroup` command gives it in JSON; null is what is not measured.
pub(super) fn usage_json(usage: &Usage) -> Json {
    json!({
        "cpu_ns": usage.cpu,
        "cpu_quota_us": usage.quota.map(|q| q.quota.map_or(json!("max"), |quota| json!(quota))),
        "cpu_period_us": usage.quota.map(|q| q.period),
        "cpu_weight": usage.weight,
        "periods": usage.periods,
        "throttled": usage.throttled,
        "throttled_ns": usage.throttled_time,
        "memory": usage.memory,
        "memory_peak": usage.memory_peak,
        "memory_limit": bound(usage.memory_limit),
        "memory_hits": usage.memory_hits,
        "oom_kills": usage.oom_kills,
        "tasks": usage.pids,
        "tasks_limit": bound(usage.pids_limit),
        "tasks_refused": usage.pids_refused,
        "cpus": usage.cpus,
        "read_bytes": usage.read,
        "written_bytes": usage.written,
        "pressure": {
            "cpu": usage.pressure[0],
            "memory": usage.pressure[1],
            "io": usage.pressure[2],
        },
    })
}

fn json(outcome: &Outcome) -> Json {
    let (code, signal) = match outcome.status {
        Status::Code(code) => (Some(code), None),
        Status::Signal(signal) => (None, Some(signal)),
    };
    json!({
        "exit_code": code,
        "signal": signal,
        "took_ms": outcome.took.as_millis() as u64,
        "usage": usage_json(&outcome.usage),
    })
}
