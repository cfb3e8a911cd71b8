//! `image push`.

use serde_json::json;

use super::pull::{access, platform};
use crate::cli::Global;
use crate::cli::image::Push;
use crate::error::{Error, Result};
use crate::image::reference::{Name, Reference};
use crate::image::registry::{self, How, Pushed, Pushing};
use crate::image::source;
use crate::ui::Screen;

/// `image push`
pub fn run(args: &Push, global: &Global, screen: &mut Screen) -> Result<u8> {
    let reference: Reference = args.image.parse()?;
    let name = destination(&reference, args.dest.as_deref())?;
    let image = source::open(&reference, &platform(args.platform.as_deref())?)?;
    let pushing = Pushing {
        image: &image,
        name,
        one_platform: args.platform.is_some(),
        options: access(&args.access, screen)?,
    };
    if global.dry_run {
        let steps = registry::describe_push(&pushing, screen)?;
        screen.plan(&steps)?;
        return Ok(0);
    }
    screen.note(&format!("The push refers to repository [{}]", pushing.name.repository()));
    let pushed = registry::push(&pushing, screen)?;
    if screen.json_wanted() {
        screen.json(&as_json(&pushed))?;
        return Ok(0);
    }
    if !global.quiet {
        screen.out(&format!("Digest: {}", pushed.digest))?;
        screen.out(&format!("Size: {}", pushed.size))?;
    }
    screen.out(&pushed.reference).map(|()| 0)
}

/// Where to: what was typed, else the name that the image has here.
fn destination(image: &Reference, dest: Option<&str>) -> Result<Name> {
    let name = match (dest.map(str::parse).transpose()?, image) {
        (Some(Reference::Named(name)), _) => name,
        (Some(other), _) => {
            return Err(Error::usage(format!("{other} is in no registry")).hint(
                "`image save` writes an archive; a registry's name is [HOST[:PORT]/]NAME[:TAG].",
            ));
        }
        (None, Reference::Named(name)) => name.clone(),
        (None, other) => {
            return Err(Error::usage(format!("{other} has no name in a registry"))
                .hint("Say which it is to have there: `image push IMAGE HOST[:PORT]/NAME:TAG`."));
        }
    };
    match name.is_local() {
        true => Err(Error::usage(format!("{} is a name of this machine only", name.familiar()))
            .hint("Say which it is to have there: `image push IMAGE HOST[:PORT]/NAME:TAG`.")),
        false => Ok(name),
    }
}

fn as_json(pushed: &Pushed) -> serde_json::Value {
    let how = |how: &How| match how {
        How::Pushed => "pushed",
        How::Existed => "existed",
        How::Mounted(_) => "mounted",
    };
    let from = |how: &How| match how {
        How::Mounted(from) => Some(from.clone()),
        _ => None,
    };
    json!({
        "reference": pushed.reference,
        "digest": pushed.digest,
        "size": pushed.size,
        "index": pushed.index,
        "layers": pushed.layers.iter().map(|layer| json!({
            "digest": layer.digest, "size": layer.size, "how": how(&layer.how), "from": from(&layer.how),
        })).collect::<Vec<_>>(),
    })
}
