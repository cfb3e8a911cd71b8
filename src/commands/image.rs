//! `image base`.

use crate::cli::Global;
use crate::cli::image::{Base, BaseSource, Image};
use crate::error::Result;
use crate::image::base::{Host, Plan, Source};
use crate::ui::Screen;

/// Performs one of the `image` commands.
pub fn run(image: &Image, global: &Global, screen: &mut Screen) -> Result<u8> {
    match image {
        Image::Base(args) => make_base(args, global, screen),
    }
}

fn make_base(args: &Base, global: &Global, screen: &mut Screen) -> Result<u8> {
    let source = args.from.map(|from| match from {
        BaseSource::Busybox => Source::Busybox,
        BaseSource::Programs => Source::Programs,
    });
    let plan = Plan::of(&Host("/".into()), source)?;
    if global.dry_run {
        screen.plan(&plan.describe()?)?;
        return Ok(0);
    }
    let (rootfs, _made) = plan.make(screen)?;
    for m in &plan.contents.missing { screen.out(&format!("{m:?}"))?; }
    screen.out(&format!("{:?}", plan.contents.programs))?;
    screen.out(&rootfs.key)?;
    Ok(0)
}
