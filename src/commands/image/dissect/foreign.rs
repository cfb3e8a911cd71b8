//! `image dissect FILE`, where the file is an image of another runtime's: what it is,
//! what its document says, what is in its root file system.

use std::path::Path;

use serde_json::json;

use super::json::File;
use super::{biggest_of, document, views};
use crate::cli::dissect::Dissect;
use crate::commands::image::which::path;
use crate::error::{Error, Result};
use crate::image::dissect::foreign::{self, Foreign, Format};
use crate::image::dissect::stack::Stack;
use crate::image::dissect::{Layer, distribution};
use crate::kernel::cgroup::unit::bytes;
use crate::ui::{Screen, Style, shown, wrap};

/// One root file system and a document, instead of layers.
pub(super) fn run(args: &Dissect, file: &Path, screen: &mut Screen) -> Result<u8> {
    if args.layer.is_some() || args.path.is_some() {
        return Err(Error::usage("--layer and --path are for images that have layers")
            .said(format!("{} has none", file.display()))
            .hint("--tree shows its files, --config its document."));
    }
    let it = foreign::read(file)?;
    if args.config || args.manifest {
        show_document(&it, file, screen)?;
        return Ok(0);
    }
    let layers: Vec<Layer> = it.root.iter().cloned().collect();
    let stack = Stack::of(&layers);
    match (args.tree, layers.is_empty()) {
        (true, true) => {
            return Err(Error::new(format!("there is no root file system in {}", file.display()))
                .said(it.format.told()));
        }
        (true, false) => views::tree(&layers, &stack, None, screen)?,
        (false, _) if screen.json_wanted() => screen.json(&as_json(&it, file, &layers, &stack))?,
        (false, _) => show(&it, file, (&layers, &stack), screen)?,
    }
    Ok(0)
}

fn show_document(it: &Foreign, file: &Path, screen: &mut Screen) -> Result<()> {
    if it.document.is_empty() {
        return Err(Error::new(format!("there is no document in {}", file.display()))
            .said(it.format.told()));
    }
    match it.format {
        Format::Aci => document(&it.document, screen),
        // YAML: as it is through a pipe, made harmless for a terminal.
        _ if std::io::IsTerminal::is_terminal(&std::io::stdout()) => {
            let text = String::from_utf8_lossy(&it.document);
            screen.out(&text.lines().map(shown).collect::<Vec<_>>().join("\n"))
        }
        _ => screen.pass_on(&it.document),
    }
}

fn show(
    it: &Foreign,
    file: &Path,
    (layers, stack): (&[Layer], &Stack<'_>),
    screen: &mut Screen,
) -> Result<()> {
    let name = screen.paint(&shown(&file.to_string_lossy()), Style::Heading);
    screen.out(&name)?;
    screen.prose(&format!("This is {}.", it.format.told()))?;
    screen.out("")?;
    let width = screen.width().min(100);
    for (what, value) in &it.facts {
        screen.out(&wrap(&format!("{what:<9}{}", shown(value)), width, "         "))?;
    }
    let Some(root) = layers.first() else {
        screen.out(&format!("file     {}", bytes(it.stored)))?;
        return screen.prose(&format!("\n{}", elsewhere(it.format, file)));
    };
    let files = format!("{} of files in {} members", bytes(root.files_size()), root.listing.len());
    screen.lines(&format!("file     {}, {files}", bytes(it.stored)))?;
    let inside = match distribution::of(layers, stack) {
        Some(found) => format!("{}, says {}", shown(&found.name), path(&found.path)),
        None => "no distribution says its name (there is no os-release)".to_owned(),
    };
    screen.lines(&format!("inside   {inside}"))?;
    screen.lines("layers   none: all files are in one archive, and nothing can be shared")?;
    biggest_of(stack, false, screen)?;
    screen.out("")?;
    screen.prose(&format!(
        "Its files can be entered: `mkdir D; tar -xpf {} -C D; under-the-hood chroot D/rootfs`.",
        file.display()
    ))
}

/// Where what is not in this file can be looked at.
fn elsewhere(format: Format, file: &Path) -> String {
    let file = file.display();
    match format {
        Format::Squashfs => format!(
            "The kernel reads it: `mount -t squashfs -o loop,ro {file} DIR`, then `under-the-hood chroot DIR`; \
             `unsquashfs -l {file}` lists it."
        ),
        Format::Disk => format!("`qemu-img info {file}` says more."),
        _ => "Its root file system is in another file.".to_owned(),
    }
}

fn as_json(it: &Foreign, file: &Path, layers: &[Layer], stack: &Stack<'_>) -> serde_json::Value {
    let facts: serde_json::Map<_, _> =
        it.facts.iter().map(|(what, value)| ((*what).to_owned(), json!(value))).collect();
    let files = layers.first().map(|root| {
        let all = root.listing.iter().zip(&stack.changes[0]);
        all.map(|(entry, change)| File::of(&entry, *change)).collect::<Vec<_>>()
    });
    json!({
        "reference": file, "format": it.format.name(), "stored_bytes": it.stored,
        "digest": layers.first().map(|root| &root.digest),
        "size": layers.first().map(Layer::files_size), "facts": facts, "files": files,
    })
}
