//! Who gets how much of a CPU: measured for a moment, by the processes' own clocks.

use std::path::Path;

use crate::kernel::cgroup;
use crate::lesson::check::{World, beside, watched};
use crate::ui::picture::{Cpu, Picture, Runner};

use super::{Drawn, called, pid, told};

/// Of one container its processes; of several, each as a whole.
pub fn gather(world: &World, who: &[String]) -> Drawn {
    let mut all: Vec<(String, i32)> = Vec::new();
    for name in who {
        let first = pid(world, name)?;
        let pids = if name == "self" { vec![first] } else { beside(first).map_err(told)? };
        all.extend(pids.into_iter().map(|pid| (name.clone(), pid)));
    }
    let pids: Vec<_> = all.iter().map(|(_, pid)| *pid).collect();
    let (got, took) = watched(&pids);
    if got.iter().all(Option::is_none) {
        return Err("this kernel tells no clocks of processes (/proc/PID/schedstat)".to_owned());
    }
    let share = |n: usize| got[n].unwrap_or_default().as_secs_f64() / took.as_secs_f64();
    let together = |name: &String| {
        let of = (0..all.len()).filter(|n| all[*n].0 == *name);
        container(world, name, of.map(share).sum())
    };
    let runners = match who {
        // What only waits for the others (a shell that has started them) competes with nobody.
        [name] => match running(&pids, share) {
            runners if runners.len() > 1 => runners,
            _ => vec![together(name)?],
        },
        _ => who.iter().map(together).collect::<Result<_, _>>()?,
    };
    Ok(Picture::Cpu(Cpu { seconds: took.as_secs_f64(), runners }))
}

fn running(pids: &[i32], share: impl Fn(usize) -> f64) -> Vec<Runner> {
    let all = (0..pids.len()).filter(|n| share(*n) >= 0.005);
    all.map(|n| process(pids[n], share(n))).collect()
}

fn process(pid: i32, share: f64) -> Runner {
    let nice = procfs::process::Process::new(pid).and_then(|process| process.stat());
    let about = nice.map(|stat| format!("nice {}", stat.nice)).unwrap_or_default();
    Runner { name: format!("process {pid}"), about, share, allowed: None }
}

fn container(world: &World, name: &str, share: f64) -> Result<Runner, String> {
    let pid = pid(world, name)?;
    let usage = cgroup::Group::of_process(Path::new("/proc"), pid).map(|group| group.usage());
    let usage = usage.unwrap_or_default();
    let allowed = usage.quota.and_then(|quota| Some(quota.quota? as f64 / quota.period as f64));
    let about = usage.weight.map(|weight| format!("weight {weight}")).unwrap_or_default();
    Ok(Runner { name: called(name), about, share, allowed })
}
