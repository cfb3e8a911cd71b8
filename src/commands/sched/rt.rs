//! `sched rt`: what keeps real-time tasks from starving the machine, read and tried.

use std::path::Path;

use serde_json::json;

use super::race::percent;
use crate::cli::Global;
use crate::cli::sched::Rt;
use crate::container::race::{self, Outcome, Racer, Request};
use crate::effect::Policy;
use crate::error::{Error, Result};
use crate::kernel::cgroup::unit::time;
use crate::kernel::scheduler::realtime::{self, Budget, FairServer, Guard, Mechanism};
use crate::kernel::scheduler::{Class, affinity};
use crate::ui::Screen;

/// Reads it, tries it, and shows both.
pub fn run(proc: &Path, args: &Rt, global: &Global, screen: &mut Screen) -> Result<u8> {
    let guard = Guard::read(proc)?;
    let request = request(args, &guard);
    if global.dry_run {
        return screen.plan(&request?.steps()?).map(|()| 0);
    }
    if !screen.json_wanted() {
        describe(&guard, screen)?;
    }
    if args.read_only {
        return report(&guard, None, screen).map(|()| 0);
    }
    let tried = request.and_then(|request| {
        screen.note(&format!(
            "Trying it: a SCHED_FIFO loop beside an ordinary one, {} s on CPU {}.",
            request.seconds, request.cpu
        ));
        let outcome = race::run(&request, screen, &mut |_| {})?;
        Ok((request.cpu, outcome))
    });
    match tried {
        Ok((cpu, outcome)) => report(&guard, Some((cpu, &outcome)), screen).map(|()| 0),
        Err(error) => {
            report(&guard, None, screen)?;
            Err(elsewhere(error, &guard))
        }
    }
}

/// Where the group of this shell has no real-time budget, one above it has, and
/// there it can be seen all the same.
fn elsewhere(error: Error, guard: &Guard) -> Error {
    let none = |budget: &Budget| budget.runtime == Some(0);
    let Some((file, _)) = guard.group.as_ref().filter(|(_, budget)| none(budget)) else {
        return error;
    };
    let hint = error.hint.clone().unwrap_or_default();
    let sudo = if rustix::process::geteuid().is_root() { "" } else { "sudo " };
    let typed = |group: &Path| {
        let group = group.display();
        format!("{sudo}sh -c 'echo $$ >{group}/cgroup.procs; under-the-hood sched rt'")
    };
    error.hint(match realtime::budgeted(file) {
        Some(group) => format!(
            "{hint}\nTo see it all the same, try it from the group above that has a budget:\n{}",
            typed(&group)
        ),
        None => format!(
            "{hint}\nNo group above it that can be seen from here has one: try it outside of this container."
        ),
    })
}

/// The experiment, unless it could not end well.
fn request(args: &Rt, guard: &Guard) -> Result<Request> {
    let allowed = affinity::affinity(0)?;
    let cpu = args.cpu.or(allowed.last().copied()).unwrap_or(0);
    if !allowed.contains(&cpu) {
        return Err(Error::usage(format!("--cpu {cpu}"))
            .hint(format!("This shell may use CPUs {}.", affinity::text(&allowed))));
    }
    let elsewhere: Vec<_> = allowed.into_iter().filter(|other| *other != cpu).collect();
    if elsewhere.is_empty() {
        return Err(Error::cannot("a real-time loop on the only CPU there is").hint(
            "Nothing else would run for most of that time, this program included. It is tried only \
             where another CPU stays free.",
        ));
    }
    if guard.mechanism() == Mechanism::Nothing {
        return Err(Error::cannot("a real-time loop where nothing keeps time for the others").hint(
            "It was switched off on this machine (sched_rt_runtime_us is -1, or the fair server's \
             runtime 0): what else runs on that CPU would stand still, and that is not tried.",
        ));
    }
    let fifo = Policy { number: Class::Ff.number(), priority: 1, ..Policy::default() };
    let racer = |policy| Racer { policy, group: None };
    Ok(Request {
        racers: vec![racer(fifo), racer(Policy::default())],
        cpu,
        elsewhere,
        seconds: args.seconds,
        own_session: false,
    })
}

fn describe(guard: &Guard, screen: &mut Screen) -> Result<()> {
    let Budget { runtime, period } = guard.all;
    let kept = match (&guard.server, guard.mechanism()) {
        (FairServer::Read(servers), Mechanism::FairServer) => {
            let each = |server: &crate::kernel::scheduler::realtime::Server| {
                format!(
                    "CPU {}: {} in every {}",
                    server.cpu,
                    time(server.runtime),
                    time(server.period)
                )
            };
            let each: Vec<_> = servers.iter().map(each).collect();
            format!(
                "The fair server: when ordinary tasks starve, the kernel runs them from a reserve that \
                 comes before every real-time task. {} (debugfs, sched/fair_server).",
                each.join("; ")
            )
        }
        (FairServer::Closed(error), _) => format!(
            "The fair server: when ordinary tasks starve, the kernel runs them from a reserve that comes \
             before every real-time task (since Linux 6.12). How much cannot be read here ({}); by \
             default it is 50 ms in every second of each CPU.",
            error.tried
        ),
        (_, Mechanism::Throttling) => format!(
            "RT throttling: real-time tasks together may use {} of every {} of each CPU \
             (sched_rt_runtime_us, sched_rt_period_us); then they pause.",
            time(runtime.unwrap_or(0) * 1000),
            time(period * 1000)
        ),
        _ => "Nothing: it was switched off here. A real-time loop would have its CPU for ever."
            .to_owned(),
    };
    screen.prose(&kept)?;
    if let Some((file, budget)) = &guard.group {
        let budget = match budget.runtime {
            Some(0) => "none: real-time classes are refused in it".to_owned(),
            Some(runtime) => {
                format!("{} in every {}", time(runtime * 1000), time(budget.period * 1000))
            }
            None => "without a limit".to_owned(),
        };
        screen.prose(&format!(
            "Besides, this kernel gives each cgroup a real-time budget (CONFIG_RT_GROUP_SCHED). \
             This shell's: {budget} ({}).",
            file.display()
        ))?;
    }
    Ok(())
}

fn report(guard: &Guard, tried: Option<(usize, &Outcome)>, screen: &mut Screen) -> Result<()> {
    let cpu = tried.map_or(0, |(cpu, _)| cpu);
    let (promised, read) = guard.promised(cpu);
    if screen.json_wanted() {
        return screen.json(&json!({
            "mechanism": match guard.mechanism() {
                Mechanism::FairServer => "fair-server",
                Mechanism::Throttling => "rt-throttling",
                Mechanism::Nothing => "nothing",
            },
            "rt_runtime_us": guard.all.runtime,
            "rt_period_us": guard.all.period,
            "fair_server": match &guard.server {
                FairServer::Read(servers) => servers.iter().map(|server| json!({
                    "cpu": server.cpu, "runtime_ns": server.runtime, "period_ns": server.period,
                })).collect(),
                FairServer::Closed(error) => json!({ "not_read": error.tried }),
                FairServer::None => json!(null),
            },
            "group_rt_runtime_us": guard.group.as_ref().map(|(_, budget)| budget.runtime),
            "promised_share": promised,
            "promise_was_read": read,
            "experiment": tried.map(|(cpu, outcome)| json!({
                "cpu": cpu,
                "wall_ns": outcome.lap.wall,
                "real_time": { "pid": outcome.pids[0], "cpu_ns": outcome.lap.cpu[0] },
                "ordinary": { "pid": outcome.pids[1], "cpu_ns": outcome.lap.cpu[1] },
                "left_share": left(outcome),
                "ordinary_share": outcome.lap.cpu[1] as f64 / outcome.lap.wall.max(1) as f64,
            })),
        }));
    }
    let Some((cpu, outcome)) = tried else { return Ok(()) };
    let lap = &outcome.lap;
    screen.out("")?;
    screen.prose(&format!(
        "Tried on CPU {cpu} for {}: the SCHED_FIFO loop had {}, the ordinary one {}. The real-time \
         loop, which never waits, left {} of the CPU to everything else; {} is {}.",
        time(lap.wall),
        time(lap.cpu[0]),
        time(lap.cpu[1]),
        percent(left(outcome)),
        percent(promised),
        if read { "promised" } else { "the kernel's default" },
    ))
}

/// What the real-time loop left of its CPU.
fn left(outcome: &Outcome) -> f64 {
    1.0 - (outcome.lap.cpu[0] as f64 / outcome.lap.wall.max(1) as f64).min(1.0)
}
