//! `COPY` and `ADD`.

use super::ast::{Add, Copy, Heredoc};
use super::flags::Refused;
use super::heredoc;
use super::instruction::{Reading, Statement};
use super::part::{Part, Wrong};

/// What `COPY` can be told.
pub const COPY_FLAGS: [&str; 5] = ["from", "chown", "chmod", "link", "exclude"];

/// What `ADD` can be told.
pub const ADD_FLAGS: [&str; 5] = ["chown", "chmod", "link", "exclude", "unpack"];

/// What of `COPY` is docker's only.
pub const COPY_REFUSED: [Refused; 1] =
    [("parents", "Name the directory that it shall end in: COPY a/b/ /dest/a/b/.")];

/// What of `ADD` is docker's only: all of it is about what lies elsewhere.
pub const ADD_REFUSED: [Refused; 2] = [("checksum", NO_REMOTE), ("keep-git-dir", NO_REMOTE)];

const NO_REMOTE: &str =
    "Only files of the build context are taken: fetch it before the build, or in a RUN.";

/// What a source of `ADD` would be fetched from, were it supported.
pub fn remote(source: &str) -> Option<&'static str> {
    let git =
        ["git://", "git@", "ssh://", "github.com/"].iter().any(|start| source.starts_with(start));
    let web = source.starts_with("http://") || source.starts_with("https://");
    let path = source.split('#').next().unwrap_or_default();
    match (git || (web && path.ends_with(".git")), web) {
        (true, _) => Some("a git repository"),
        (false, true) => Some("a URL"),
        (false, false) => None,
    }
}

/// `COPY`.
pub fn copy(statement: &Statement<'_>, reading: &Reading<'_>) -> Result<Copy, Wrong> {
    let flags = &statement.flags;
    let from = flags.value("from")?;
    if from.as_ref().is_some_and(|from| from.contains('$')) {
        return Err(flags.wrong("from", "variables are not expanded in --from").hint(
            "FROM may use those declared before it: FROM $IMAGE AS source, then --from=source.",
        ));
    }
    let copy = Copy { from, ..common(statement, reading)? };
    if let Some((word, kind)) = elsewhere(statement, &copy) {
        return Err(word.wrong(format!("COPY cannot copy from {kind}")).hint(NO_REMOTE));
    }
    match (&copy.from, copy.heredocs.first()) {
        (Some(_), Some(doc)) => {
            let what = format!(
                "the here-document {} is in no stage: --from has nothing to do with it",
                doc.name
            );
            Err(flags.wrong("from", what))
        }
        _ => Ok(copy),
    }
}

/// `ADD`.
pub fn add(statement: &Statement<'_>, reading: &Reading<'_>) -> Result<Add, Wrong> {
    let copy = common(statement, reading)?;
    for word in statement.args.words() {
        let text = word.text.trim_matches(['[', ']', ',', '"', '\'']);
        if let Some(kind) =
            remote(text).filter(|_| copy.sources.iter().any(|source| source.contains(text)))
        {
            return Err(word.wrong(format!("ADD of {kind} is not supported")).hint(NO_REMOTE));
        }
    }
    Ok(Add { copy, unpack: statement.flags.switch("unpack")? })
}

/// A source that is not in the context, and what it is.
fn elsewhere<'a>(statement: &Statement<'a>, copy: &Copy) -> Option<(Part<'a>, &'static str)> {
    let kind = copy.sources.iter().find_map(|source| remote(source))?;
    let is_it = |word: &Part<'_>| remote(word.text.trim_matches(['[', ',', '"'])).is_some();
    Some((statement.args.words().into_iter().find(is_it).unwrap_or(statement.args), kind))
}

fn common(statement: &Statement<'_>, reading: &Reading<'_>) -> Result<Copy, Wrong> {
    let keyword = statement.keyword;
    let mut paths = statement.paths()?;
    let needs = format!("{keyword} needs a source and a destination");
    let Some(dest) = paths.pop().filter(|_| !paths.is_empty()) else {
        return Err(match statement.args.text {
            "" => statement.written.wrong(needs),
            _ => statement.args.wrong(needs),
        });
    };
    if heredoc::is_alone(&dest) {
        let wrong = statement.args.wrong("a here-document cannot be the destination");
        return Err(wrong.hint(format!("The destination comes last: {keyword} <<EOF /path.")));
    }
    let (mut sources, mut heredocs): (Vec<String>, Vec<Heredoc>) = (Vec::new(), Vec::new());
    for path in paths {
        // Of a JSON array no here-document was read, and none is in `reading`.
        let named = heredoc::parse(&path);
        let doc =
            named.and_then(|named| reading.heredocs.iter().rfind(|doc| doc.name == named.name));
        match doc {
            Some(doc) => heredocs.push(doc.clone()),
            None => sources.push(path),
        }
    }
    if heredocs.len() < reading.heredocs.len() {
        return Err(statement
            .args
            .wrong("a here-document is no word of its own here")
            .hint(format!("Write {keyword} <<EOF /path, without a space behind <<.")));
    }
    if let Some(source) = sources.iter().find(|source| source.is_empty()) {
        return Err(statement.args.wrong(format!("{source:?} is no source")));
    }
    Ok(Copy {
        sources,
        heredocs,
        dest,
        from: None,
        chown: statement.flags.value("chown")?,
        chmod: statement.flags.value("chmod")?,
        link: statement.flags.switch("link")?.unwrap_or(false),
        exclude: statement.flags.values("exclude")?,
    })
}

#[cfg(test)]
mod tests {
    use super::remote;

    #[test]
    fn what_lies_elsewhere_is_known_by_its_look() {
        assert_eq!(remote("https://example.com/x.tar.gz"), Some("a URL"));
        assert_eq!(remote("https://example.com/x.git#v1:dir"), Some("a git repository"));
        assert_eq!(remote("git@github.com:a/b.git"), Some("a git repository"));
        assert_eq!(remote("github.com.tar"), None);
        assert_eq!(remote("http"), None);
    }
}
