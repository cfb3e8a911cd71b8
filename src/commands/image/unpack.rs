//! `image unpack IMAGE DIR`: the layers, one onto the other, become a root directory.

use crate::cli::Global;
use crate::cli::dissect::Unpack;
use crate::error::Result;
use crate::image::fresh::{Plan, Source};
use crate::image::unpack::Unpacked;
use crate::kernel::cgroup::unit::bytes;
use crate::ui::{Screen, shown};

/// `image unpack`
pub fn run(args: &Unpack, global: &Global, screen: &mut Screen) -> Result<u8> {
    let image = args.which.open()?;
    let layers = image.layers().len();
    let (name, digest) = (image.name.clone(), image.descriptor.digest.clone());
    let plan = Plan::new(Source::Image(Box::new(image)), Some(&args.directory))?;
    if global.dry_run {
        return screen.plan(&plan.describe()).map(|()| 0);
    }
    let mut fresh = plan.make(&format!("image unpack {}", args.which.image), screen)?;
    let unpacked = fresh.unpacked.take().unwrap_or_default();
    let tree = fresh.tree.clone();
    for left in fresh.end() {
        screen.warn(&format!("could not be undone: {left}. `under-the-hood cleanup` tries again."));
    }
    if let Some(left_out) = unpacked.left_out.sentence() {
        screen.warn(&format!("{left_out} Only root can keep all of it."));
    }
    let Unpacked { entries, bytes: size, left_out } = unpacked;
    if screen.json_wanted() {
        screen.json(&serde_json::json!({
            "reference": name, "digest": digest, "tree": tree, "layers": layers, "members": entries,
            "bytes": size, "complete": left_out == Default::default(),
        }))?;
    } else {
        let layers = if layers == 1 { "1 layer".to_owned() } else { format!("{layers} layers") };
        screen.out(&format!(
            "{}: {layers}, {entries} members, {}\ntree  {}",
            shown(&name),
            bytes(size),
            tree.display()
        ))?;
    }
    Ok(0)
}
