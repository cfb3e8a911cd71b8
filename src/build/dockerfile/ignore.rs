//! .dockerignore: what of a build context is left out.
//!
//! One pattern a line, the last that matches counts, and `!` brings back what an
//! earlier one took. Unlike .gitignore every pattern begins at the context's root:
//! `*.log` is not `**/*.log`. What is below a directory that is left out is left out.

use std::path::{Path, PathBuf};

use super::fault::ParseError;

/// The patterns of a .dockerignore file, or of `--exclude`; none leaves nothing out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Patterns(Vec<Pattern>);

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Pattern {
    /// `!`: what it matches is not left out after all.
    back: bool,
    tokens: Vec<Token>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Char(char),
    /// `?`: a character, but no `/`.
    One,
    /// `*`: characters, but no `/`.
    Star,
    /// `[a-z]`, `[^a-z]`.
    Class {
        not: bool,
        ranges: Vec<(char, char)>,
    },
    /// `**/`: any directories, or none.
    Directories,
    /// `**` at the end (or at the beginning, before plain text): anything.
    Anything,
}

/// Where docker looks for the patterns, first to last: beside the Dockerfile under
/// its name, then in the context.
pub fn places(context: &Path, dockerfile: &Path) -> [PathBuf; 2] {
    let mut own = dockerfile.as_os_str().to_owned();
    own.push(".dockerignore");
    [own.into(), context.join(".dockerignore")]
}

impl Patterns {
    /// Reads a .dockerignore file; `name` is what an error calls it.
    pub fn parse(name: &str, bytes: &[u8]) -> Result<Self, ParseError> {
        let text = String::from_utf8_lossy(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes));
        let mut patterns = Vec::new();
        for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.starts_with('#')) {
            patterns.extend(pattern(line).map_err(|what| {
                let start = line.chars().take_while(|c| c.is_whitespace()).count();
                let place = start..start + line.trim().chars().count();
                let (name, text) = (name.to_owned(), line.to_owned());
                ParseError { name, line: index + 1, text, place, what, hint: None }
            })?);
        }
        Ok(Self(patterns))
    }

    /// Patterns that come from elsewhere; the error is a clause.
    pub fn new<'a>(patterns: impl IntoIterator<Item = &'a str>) -> Result<Self, String> {
        let each = patterns.into_iter().map(pattern).collect::<Result<Vec<_>, _>>()?;
        Ok(Self(each.into_iter().flatten().collect()))
    }

    /// Whether a path (relative to the context, `/` between, none at either end) is left out,
    /// itself or with a directory above it.
    pub fn excluded(&self, path: &str) -> bool {
        let mut out = false;
        for pattern in &self.0 {
            // Only what could change something is looked at.
            if pattern.back == out && pattern.matches_path_or_above(path) {
                out = !pattern.back;
            }
        }
        out
    }

    /// Whether something below a directory that is left out may come back in by a `!` pattern: if
    /// not, the directory needs not be read.
    pub fn may_return(&self, directory: &str) -> bool {
        let below = format!("{directory}/");
        self.0.iter().any(|pattern| pattern.back && pattern.after(&below).contains(&true))
    }
}

/// A line's pattern; none where there is none.
fn pattern(line: &str) -> Result<Option<Pattern>, String> {
    let line = line.trim();
    let (back, text) = match line.strip_prefix('!') {
        Some(rest) => (true, rest.trim()),
        None => (false, line),
    };
    if text.is_empty() {
        return if back { Err("`!` needs a pattern".to_owned()) } else { Ok(None) };
    }
    let cleaned = clean(text);
    let text = match cleaned.strip_prefix('/') {
        Some(rest) if !rest.is_empty() => rest,
        _ => &cleaned,
    };
    Ok(Some(Pattern { back, tokens: tokens(text)? }))
}

/// A path without `.`, `..` and needless `/`, as Go's `filepath.Clean` has it.
fn clean(path: &str) -> String {
    let rooted = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => drop(parts.pop()),
            ".." if rooted => {}
            part => parts.push(part),
        }
    }
    match (rooted, parts.join("/")) {
        (true, rest) => format!("/{rest}"),
        (false, rest) if rest.is_empty() => ".".to_owned(),
        (false, rest) => rest,
    }
}

fn tokens(pattern: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut chars = pattern.chars().peekable();
    // Of `**text` docker takes the end of a path; of `**text*` it does not.
    let (mut plain, mut joined) = (true, false);
    while let Some(c) = chars.next() {
        match c {
            '*' if chars.peek() == Some(&'*') => {
                chars.next();
                let slash = chars.next_if_eq(&'/').is_some();
                let last = chars.peek().is_none();
                joined = joined || (tokens.is_empty() && !slash && !last);
                plain &= tokens.is_empty();
                tokens.push(if last { Token::Anything } else { Token::Directories });
            }
            '*' => {
                plain = false;
                tokens.push(Token::Star);
            }
            '?' => {
                plain = false;
                tokens.push(Token::One);
            }
            '[' => {
                plain = false;
                tokens.push(class(&mut chars)?);
            }
            '\\' => {
                plain = false;
                let escaped = chars.next().ok_or("a pattern cannot end in `\\`")?;
                tokens.push(Token::Char(escaped));
            }
            c => tokens.push(Token::Char(c)),
        }
    }
    if plain && joined {
        tokens[0] = Token::Anything;
    }
    Ok(tokens)
}

/// `[…]`, behind the `[`.
fn class(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Result<Token, String> {
    let open = || "`[` is not closed, or has nothing in it".to_owned();
    let not = chars.next_if_eq(&'^').is_some();
    let mut ranges = Vec::new();
    let one = |chars: &mut std::iter::Peekable<std::str::Chars<'_>>| match chars.next() {
        Some('\\') => chars.next().ok_or_else(open),
        Some('-' | ']') | None => Err(open()),
        Some(c) => Ok(c),
    };
    loop {
        if !ranges.is_empty() && chars.next_if_eq(&']').is_some() {
            return Ok(Token::Class { not, ranges });
        }
        let first = one(chars)?;
        let last = if chars.next_if_eq(&'-').is_some() { one(chars)? } else { first };
        ranges.push((first, last));
    }
}

impl Token {
    fn takes(&self, c: char) -> bool {
        match self {
            Self::Char(own) => *own == c,
            Self::One | Self::Star => c != '/',
            Self::Class { not, ranges } => {
                ranges.iter().any(|(first, last)| (*first..=*last).contains(&c)) != *not
            }
            Self::Directories | Self::Anything => true,
        }
    }

    /// Whether it can stand for nothing, and for more than one character.
    fn repeats(&self) -> bool {
        matches!(self, Self::Star | Self::Directories | Self::Anything)
    }
}

impl Pattern {
    fn matches_path_or_above(&self, path: &str) -> bool {
        let ends = path.match_indices('/').map(|(at, _)| at).chain([path.len()]);
        ends.into_iter().any(|end| self.after(&path[..end])[self.tokens.len()])
    }

    /// Which tokens may come next after this much of a path, all possibilities at once.
    fn after(&self, path: &str) -> Vec<bool> {
        let mut next = vec![false; self.tokens.len() + 1];
        self.comes(0, &mut next);
        for c in path.chars() {
            let mut after = vec![false; next.len()];
            for (index, token) in self.tokens.iter().enumerate() {
                if !next[index] || !token.takes(c) {
                    continue;
                }
                // Directories are over after a `/` only.
                let over = *token != Token::Directories || c == '/';
                after[index] |= token.repeats();
                if over {
                    self.comes(index + 1, &mut after);
                }
            }
            next = after;
        }
        next
    }

    /// A token's turn has come; where it may stand for nothing, that of the one behind it, too.
    fn comes(&self, index: usize, next: &mut [bool]) {
        let nothing = self.tokens[index..].iter().take_while(|token| token.repeats()).count();
        next[index..=index + nothing].fill(true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn excluded(patterns: &str, path: &str) -> bool {
        Patterns::parse(".dockerignore", patterns.as_bytes()).unwrap().excluded(path)
    }

    /// The cases of moby's patternmatcher, as far as they are about Linux.
    #[test]
    fn paths_are_matched_as_docker_does() {
        for (pattern, path, out) in [
            ("**", "file", true),
            ("**", "file/", true),
            ("**/", "file", true),
            ("**", "dir/file", true),
            ("**/**", "dir/file", true),
            ("dir/**", "dir/file", true),
            ("dir/**", "dir/dir2/file", true),
            ("dir/**", "dir", false),
            ("**/dir", "dir", true),
            ("**/dir2/*", "dir/dir2/file", true),
            ("**/dir2/**", "dir/dir2/dir2/file", true),
            ("**file", "file", true),
            ("**file", "dir/file", true),
            ("**file", "dir/xfile", true),
            ("**/file", "dir/xfile", false),
            ("**/file", "dir/dir/file", true),
            ("**/file*", "dir/dir/file.txt", true),
            ("**/file*txt", "dir/dir/file.txt", true),
            ("**/file*.txt*", "dir/dir/file.txt", true),
            ("**/**/*.txt", "dir/dir/file.txt", true),
            ("**/**/*.txt2", "dir/dir/file.txt", false),
            ("**/*.txt", "file.txt", true),
            ("**/**/*.txt", "file.txt", true),
            ("a**/*.txt", "a/file.txt", true),
            ("a**/*.txt", "a/dir/dir/file.txt", true),
            ("a/*.txt", "a/dir/file.txt", false),
            ("a/*.txt", "a/file.txt", true),
            ("a[b-d]e", "ae", false),
            ("a[b-d]e", "ace", true),
            ("a[^b-d]e", "aze", true),
            ("a[^b-d]e", "ace", false),
            (".*", ".foo", true),
            (".*", "foo", false),
            ("abc.def", "abcdef", false),
            ("abc.def", "abc.def", true),
            ("abc?def", "abcZdef", true),
            ("abc?def", "abcdef", false),
            (r"a\\*b", r"a\b", true),
            (r"a\*b", "a*b", true),
            (r"a\*b", "axb", false),
            ("**/foo/bar", "foo/bar", true),
            ("**/foo/bar", "dir/foo/bar", true),
            ("**/foo/bar", "dir/dir2/foo/bar", true),
            ("abc/**", "abc/def/ghi", true),
            ("**/.foo", ".foo", true),
            ("**/.foo", "bar.foo", false),
            ("./bar/..", "x", false),
            ("/dir/", "dir/x", true),
            ("./dir//sub/../x", "dir/x", true),
            ("*.log", "dir/a.log", false),
            ("*", "a/b/c", true),
            ("*/temp*", "dir/temp.txt", true),
            ("*/temp*", "temp.txt", false),
            ("dir", "dir/a/b", true),
            ("dir", "dirx", false),
            ("*\n!keep", "keep", false),
            ("*\n!dir/keep", "dir/keep", false),
            ("*\n!dir/keep", "dir/other", true),
            ("*\n!dir", "dir/keep", false),
            ("*.md\n!README*.md\nREADME-secret.md", "README.md", false),
            ("*.md\n!README*.md\nREADME-secret.md", "README-secret.md", true),
            ("!keep\n*", "keep", true),
            ("# a\n #b", "#b", true),
            ("#a", "#a", false),
            ("  a  ", "a", true),
            ("! a\na", "a", true),
            ("a\n! a", "a", false),
            ("..", "a", false),
            ("a\r\nb", "a", true),
        ] {
            assert_eq!(excluded(pattern, path), out, "{pattern:?} {path:?}");
        }
        assert!(excluded("\u{feff}a", "a"));
    }

    #[test]
    fn a_wrong_pattern_is_told_with_its_line() {
        for (patterns, what) in [
            ("a\n[", "closed"),
            ("!", "needs a pattern"),
            ("a\\", "cannot end"),
            ("[]", "closed"),
            ("[a-]", "closed"),
        ] {
            let error = Patterns::parse(".dockerignore", patterns.as_bytes()).unwrap_err();
            assert!(error.what.contains(what), "{patterns:?}: {error:?}");
            assert_eq!(error.line, patterns.lines().count());
        }
    }

    #[test]
    fn a_directory_is_read_where_something_below_it_may_come_back() {
        let patterns = |text: &str| Patterns::parse("", text.as_bytes()).unwrap();
        let few = patterns("*\n!a/b/c\n!x*/y");
        assert!(few.may_return("a") && few.may_return("a/b") && few.may_return("xx"));
        assert!(!few.may_return("b") && !few.may_return("a/c") && !few.may_return("a/b/c"));
        assert!(patterns("*\n!**/keep").may_return("any/where"));
        assert!(!patterns("*").may_return("a"));
    }

    #[test]
    fn the_file_beside_the_dockerfile_is_looked_for_first() {
        let places = places(Path::new("/ctx"), Path::new("/ctx/build/Dockerfile.dev"));
        assert_eq!(places[0], Path::new("/ctx/build/Dockerfile.dev.dockerignore"));
        assert_eq!(places[1], Path::new("/ctx/.dockerignore"));
    }

    #[test]
    fn many_stars_are_no_trouble() {
        assert!(!excluded(&"**/*a".repeat(100), &"a".repeat(99)));
    }
}
