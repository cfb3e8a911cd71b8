//! `cgroup watch`: gauges of a running group; plain lines where there is no terminal.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::json;

use super::limit::{line, usage_json};
use crate::cli::cgroup::Watch;
use crate::error::Result;
use crate::kernel::cgroup::Usage;
use crate::kernel::interrupt::Interrupts;
use crate::ui::Screen;
use crate::ui::gauge::sparkline;

/// So many values a sparkline shows.
const SPARK: usize = 30;

/// Shows the group's use until its processes have ended, or so many times.
pub fn run(proc: &Path, args: &Watch, screen: &mut Screen) -> Result<u8> {
    let group = super::group(proc, &args.target)?.1.own();
    let every = Duration::from_secs_f64(args.interval.clamp(0.1, 3600.0));
    let (gauges, width) = (screen.shows_gauges(), screen.width());
    let mut last: Option<(Instant, Usage)> = None;
    let mut rates = Vec::new();
    let mut shown = 0;
    let mut interrupts = Interrupts::hold()?;
    let mut exit = 0;
    while args.count.is_none_or(|count| shown < count) {
        let usage = group.usage();
        if usage == Usage::default() {
            break; // its directories are gone
        }
        rates.extend(rate(&usage, last.as_ref()));
        let spark = sparkline(&rates[rates.len().saturating_sub(SPARK)..]);
        match (screen.json_wanted(), gauges) {
            (true, _) => screen
                .out(&json!({ "path": group.path, "usage": usage_json(&usage) }).to_string())?,
            (false, true) => {
                screen.gauge(&format!("{}  {spark}", line(&usage, last.as_ref(), width)))
            }
            (false, false) => screen.out(&line(&usage, last.as_ref(), usize::MAX))?,
        }
        last = Some((Instant::now(), usage));
        shown += 1;
        let more = args.count.is_none_or(|count| shown < count);
        if more && let Some(signal) = interrupts.sleep(every)? {
            exit = 128 + u8::try_from(signal).unwrap_or(0);
            break;
        }
    }
    if gauges {
        screen.gauge_end();
    }
    Ok(exit)
}

fn rate(usage: &Usage, last: Option<&(Instant, Usage)>) -> Option<f64> {
    let (when, before) = last?;
    let used = usage.cpu?.saturating_sub(before.cpu?) as f64;
    Some(used / when.elapsed().as_nanos().max(1) as f64)
}
