//! `image base`.

use serde_json::json;

use crate::cli::Global;
use crate::cli::image::{Base, BaseSource};
use crate::error::Result;
use crate::image::base::contents::{Library, Missing, Program};
use crate::image::base::{self, Host, Plan, Source};
use crate::image::export::{self, Export};
use crate::image::rootfs::Rootfs;
use crate::image::store::Store;
use crate::ui::{Align, Column, Screen, Table, Value};

const HONEST: &str = "These are this machine's programs under an os-release of ours: enough to see that a \
    distribution is only files. The real proof is another distribution's image, such as rockylinux.";

const PROGRAMS: Table<Program> = Table(&[
    Column {
        name: "PROGRAM",
        align: Align::Left,
        help: "its name in the image",
        value: |program| Value::Text(program.name.clone()),
    },
    Column {
        name: "FROM",
        align: Align::Left,
        help: "the file of this machine that it is a copy of",
        value: |program| Value::Text(program.from.display().to_string()),
    },
    Column {
        name: "BYTES",
        align: Align::Right,
        help: "its size",
        value: |program| Value::Number(program.bytes),
    },
    Column {
        name: "LIBRARIES",
        align: Align::Left,
        help: "what its loader will look for",
        value: |program| Value::List(program.libraries.clone()),
    },
]);

const LIBRARIES: Table<Library> = Table(&[
    Column {
        name: "LIBRARY",
        align: Align::Left,
        help: "the file of this machine that it is a copy of",
        value: |library| Value::Text(library.from.display().to_string()),
    },
    Column {
        name: "BYTES",
        align: Align::Right,
        help: "its size",
        value: |library| Value::Number(library.bytes),
    },
]);

const MISSING: Table<Missing> = Table(&[
    Column {
        name: "MISSING",
        align: Align::Left,
        help: "a program the lessons use that is not in the image",
        value: |missing| Value::Text(missing.name.clone()),
    },
    Column {
        name: "REASON",
        align: Align::Left,
        help: "why",
        value: |missing| Value::Text(missing.reason.clone()),
    },
]);

/// Makes it, shows what is in it, and writes it elsewhere if that is wanted.
pub fn run(args: &Base, global: &Global, screen: &mut Screen) -> Result<u8> {
    let source = args.from.map(|from| match from {
        BaseSource::Busybox => Source::Busybox,
        BaseSource::Programs => Source::Programs,
    });
    let export = args.output.as_ref().map(|file| Export::to(file, global.yes)).transpose()?;
    let plan = Plan::of(&Host("/".into()), source)?;
    if global.dry_run {
        let mut steps = plan.describe()?;
        steps.extend(base::stored::describe(&plan, &Store::find()?)?);
        let shell = args.output.as_deref().map(export::shell_of_tree).unwrap_or_default();
        steps.extend(export.iter().flat_map(|export| export.describe(&shell)));
        if steps.is_empty() {
            screen.note("Nothing to do: this image is there already.");
        }
        screen.plan(&steps)?;
        return Ok(0);
    }
    let (rootfs, made) = plan.make(screen)?;
    base::stored::enter(&plan, screen)?;
    let write = |export: Export| {
        let shell = args.output.as_deref().map(export::shell_of_tree).unwrap_or_default();
        export.write("image base --output", &shell, screen, |out| export::tree(&rootfs.tree, out))
    };
    let archive = export.map(write).transpose()?;
    if screen.json_wanted() {
        screen.json(&as_json(&plan, &rootfs, made, args, archive))?;
    } else {
        show(&plan, &rootfs, made, args, archive, screen)?;
    }
    Ok(0)
}

fn as_json(
    plan: &Plan,
    rootfs: &Rootfs,
    made: bool,
    args: &Base,
    archive: Option<u64>,
) -> serde_json::Value {
    let contents = &plan.contents;
    json!({
        "name": base::NAME,
        "key": rootfs.key,
        "tree": rootfs.tree,
        "made": made,
        "source": match contents.source {
            Source::Busybox => "busybox",
            Source::Programs => "programs",
        },
        "bytes": contents.bytes(),
        "programs": PROGRAMS.json(&contents.programs),
        "applets": contents.applets,
        "libraries": LIBRARIES.json(&contents.libraries),
        "missing": MISSING.json(&contents.missing),
        "archive": args.output.as_ref().zip(archive).map(|(path, bytes)| json!({ "path": path, "bytes": bytes })),
    })
}

fn show(
    plan: &Plan,
    rootfs: &Rootfs,
    made: bool,
    args: &Base,
    archive: Option<u64>,
    screen: &mut Screen,
) -> Result<()> {
    let contents = &plan.contents;
    screen.table(&PROGRAMS, &contents.programs)?;
    match contents.source {
        Source::Busybox => screen.prose(&format!(
            "\nOne static program with {} names: {}.",
            contents.applets.len(),
            contents.applets.join(" ")
        ))?,
        Source::Programs => {
            screen.out("\n")?;
            screen.table(&LIBRARIES, &contents.libraries)?;
        }
    }
    if !contents.missing.is_empty() {
        screen.out("\n")?;
        screen.table(&MISSING, &contents.missing)?;
    }
    screen.out(&format!(
        "\n{}, {}, {:.1} MiB",
        counted(contents.programs.len(), "program", "programs"),
        counted(contents.libraries.len(), "library", "libraries"),
        contents.bytes() as f64 / f64::from(1 << 20)
    ))?;
    screen.out(&format!("key   {}", rootfs.key))?;
    let again = if made { "" } else { " (was there already)" };
    screen.out(&format!("tree  {}{again}", rootfs.tree.display()))?;
    if let Some((file, bytes)) = args.output.as_ref().zip(archive) {
        screen.out(&format!("file  {} ({bytes} bytes)", file.display()))?;
    }
    screen.prose(&format!("\n{HONEST}"))
}

fn counted(number: usize, one: &str, several: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { several })
}
