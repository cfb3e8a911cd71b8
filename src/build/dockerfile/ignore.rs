//! .dockerignore: what of a build context is left out.

/// The patterns of a .dockerignore file, or of `--exclude`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Patterns {}

impl Patterns {
    /// Reads a .dockerignore file; the error is a clause that says which line is wrong.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        let _ = bytes;
        Ok(Self {})
    }

    /// Whether a path (relative to the context, `/` between, none at either end) is left out,
    /// itself or with a directory above it.
    pub fn excluded(&self, path: &str) -> bool {
        let _ = path;
        false
    }

    /// Whether something below a directory that is left out may come back in by a `!` pattern: if
    /// not, the directory needs not be read.
    pub fn may_return(&self, directory: &str) -> bool {
        let _ = directory;
        false
    }
}
