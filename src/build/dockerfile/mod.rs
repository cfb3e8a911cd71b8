//! The language of Dockerfiles, as docker (BuildKit's `frontend/dockerfile`) reads it.
//!
//! ```text
//! bytes -> lines -> instruction -> stages     lines.rs, instruction.rs, stages.rs: a Dockerfile
//! word -> expand -> what it stands for        when the instruction's turn has come
//! path -> ignore -> in the context or not     .dockerignore
//! ```
//!
//! What docker reads and this program cannot do (`RUN --mount`, `ADD` of a URL) is
//! refused here, by its name and with its place, before anything is done.

pub mod ast;
mod copy;
pub mod expand;
pub mod fault;
mod flags;
mod health;
mod heredoc;
pub mod ignore;
mod instruction;
mod lines;
mod part;
mod port;
pub mod print;
mod stages;
mod words;

pub use ast::Dockerfile;
pub use copy::remote;
pub use fault::ParseError;
pub use port::exposed;

/// Reads a Dockerfile; `name` is what an error calls it.
pub fn parse(name: &str, bytes: &[u8]) -> Result<Dockerfile, ParseError> {
    stages::Reader::new(name, bytes)?.read()
}

/// Reads the trigger of an `ONBUILD` as an image's config has it; `name` is the image.
pub fn trigger(name: &str, text: &str) -> Result<ast::Instruction, ParseError> {
    stages::Reader::new(name, text.as_bytes())?.only()
}
