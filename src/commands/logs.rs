//! `logs` and `rm`: what is left to look at of a container, and its end.

use serde_json::json;

use crate::cli::Global;
use crate::cli::container::{Logs, Rm};
use crate::container::{kept, logs as written, registry};
use crate::error::{Error, Result};
use crate::ui::Screen;

/// `logs`
pub fn logs(args: &Logs, screen: &mut Screen) -> Result<u8> {
    if args.follow && screen.json_wanted() {
        return Err(Error::usage(
            "logs --follow --format json: JSON has an end, and this has none",
        )
        .hint("Without --follow it is what was written until now."));
    }
    let mut log = written::open(&args.target)?;
    if screen.json_wanted() {
        let mut bytes = Vec::new();
        log.rest(&mut |more| {
            bytes.extend(more);
            Ok(())
        })?;
        let text = String::from_utf8_lossy(&bytes);
        let (id, name) = (&log.container.id, &log.container.name);
        return screen.json(&json!({ "id": id, "name": name, "log": text })).map(|()| 0);
    }
    let show = &mut |bytes: &[u8]| screen.pass_on(bytes);
    match args.follow {
        true => log.follow(show),
        false => log.rest(show),
    }
    .map(|()| 0)
}

/// `rm`
pub fn rm(args: &Rm, global: &Global, screen: &mut Screen) -> Result<u8> {
    if let Ok(running) = registry::find(&args.target) {
        return Err(Error::new(format!("container {} is running", running.name))
            .hint(format!("`under-the-hood stop {}` ends it first.", running.name)));
    }
    let kept = kept::find(&args.target)?;
    if global.dry_run {
        return screen.plan(&kept::removal(&kept)?).map(|()| 0);
    }
    kept::remove(&kept, screen)?;
    screen.out(&kept.container.name).map(|()| 0)
}
