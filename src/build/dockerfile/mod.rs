//! The language of Dockerfiles, as docker reads it.

pub mod ast;
pub mod expand;
pub mod fault;
mod heredoc;
pub mod ignore;

pub use ast::Dockerfile;
pub use fault::ParseError;

/// Reads a Dockerfile; `name` is what an error calls it.
pub fn parse(name: &str, bytes: &[u8]) -> Result<Dockerfile, ParseError> {
    let _ = (name, bytes);
    Ok(Dockerfile::default())
}

/// Reads the trigger of an `ONBUILD` as an image's config has it.
pub fn trigger(text: &str) -> Result<ast::Instruction, ParseError> {
    let dockerfile = parse("ONBUILD", text.as_bytes())?;
    let first = dockerfile.stages.into_iter().flat_map(|stage| stage.instructions).next();
    first.ok_or_else(|| ParseError {
        name: "ONBUILD".to_owned(),
        line: 0,
        text: text.to_owned(),
        place: 0..0,
        what: "nothing is there".to_owned(),
        hint: None,
    })
}
