//! Here-documents: `<<EOF` and what follows.

/// Whether a line is one here-document's name and nothing else.
pub fn is_alone(line: &str) -> bool {
    line.starts_with("<<")
}
