//! `image base`.

use crate::cli::Global;
use crate::cli::image::{Base, Image};
use crate::error::Result;
use crate::image::base::{self, Host, Plan};
use crate::ui::Screen;

/// Performs one of the `image` commands.
pub fn run(image: &Image, global: &Global, screen: &mut Screen) -> Result<u8> {
    match image {
        Image::Base(args) => make_base(args, global, screen),
    }
}

fn make_base(_args: &Base, global: &Global, screen: &mut Screen) -> Result<u8> {
    let plan = Plan::of(&Host("/".into()))?;
    if global.dry_run {
        screen.plan(&plan.describe())?;
        return Ok(0);
    }
    let (rootfs, _made) = base::make(&plan, screen)?;
    screen.out(&rootfs.key)?;
    Ok(0)
}
