//! Patterns for names of files, as Go's `filepath.Match` has them, and with it
//! docker: `*`, `?`, `[a-z]`, `[^a-z]`, `\` before what is meant as it is.

/// Whether a source is a pattern at all.
pub fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?', '['])
}

/// A pattern without wildcards means the name that is left without its escapes.
pub fn plain(pattern: &str) -> String {
    let mut chars = pattern.chars();
    let mut name = String::with_capacity(pattern.len());
    while let Some(char) = chars.next() {
        match char {
            '\\' => name.extend(chars.next()),
            other => name.push(other),
        }
    }
    name
}

/// Whether one name (no `/` in it) matches. The error is a clause: the pattern is malformed.
pub fn matches(pattern: &str, name: &str) -> Result<bool, String> {
    let (pattern, name): (Vec<_>, Vec<_>) = (pattern.chars().collect(), name.chars().collect());
    check(&pattern)?;
    Ok(here(&pattern, &name))
}

fn check(pattern: &[char]) -> Result<(), String> {
    let mut at = 0;
    while at < pattern.len() {
        at += match pattern[at] {
            '\\' if at + 1 == pattern.len() => return Err("it ends with a \\".to_owned()),
            '\\' => 2,
            '[' => class(&pattern[at..], None).ok_or("a [ in it has no end")?.1,
            _ => 1,
        };
    }
    Ok(())
}

/// With one place to come back to: the last `*`, which then takes a character more.
fn here(pattern: &[char], name: &[char]) -> bool {
    let (mut p, mut n) = (0, 0);
    let mut back: Option<(usize, usize)> = None;
    loop {
        if p < pattern.len() && pattern[p] == '*' {
            back = Some((p + 1, n));
            p += 1;
            continue;
        }
        if n == name.len() && p == pattern.len() {
            return true;
        }
        let step = match n < name.len() && p < pattern.len() {
            true => one(&pattern[p..], name[n]),
            false => None,
        };
        match (step, back) {
            (Some(length), _) => (p, n) = (p + length, n + 1),
            (None, Some((after, from))) if from < name.len() => {
                back = Some((after, from + 1));
                (p, n) = (after, from + 1);
            }
            _ => return false,
        }
    }
}

/// Whether the pattern's beginning matches this character; how long it is.
fn one(pattern: &[char], char: char) -> Option<usize> {
    match pattern[0] {
        '?' => Some(1),
        '\\' => (pattern.get(1) == Some(&char)).then_some(2),
        '[' => class(pattern, Some(char)).and_then(|(matched, length)| matched.then_some(length)),
        other => (other == char).then_some(1),
    }
}

/// `[...]`: whether it matches, and its length; `None` if it is malformed.
fn class(pattern: &[char], char: Option<char>) -> Option<(bool, usize)> {
    let mut at = 1;
    let negated = pattern.get(at) == Some(&'^');
    at += usize::from(negated);
    let (mut matched, mut ranges) = (false, 0);
    let next = |at: &mut usize| -> Option<char> {
        let escaped = *pattern.get(*at)? == '\\';
        *at += usize::from(escaped);
        let found = *pattern.get(*at)?;
        *at += 1;
        (escaped || !matches!(found, '-' | ']')).then_some(found)
    };
    loop {
        if ranges > 0 && pattern.get(at) == Some(&']') {
            return Some((matched != negated, at + 1));
        }
        let low = next(&mut at)?;
        let mut high = low;
        if pattern.get(at) == Some(&'-') {
            at += 1;
            high = next(&mut at)?;
        }
        matched |= char.is_some_and(|char| (low..=high).contains(&char));
        ranges += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Most are those of Go's own test.
    #[test]
    fn names_match_as_they_do_for_go() {
        for (pattern, name, expected) in [
            ("abc", "abc", true),
            ("*", "abc", true),
            ("*", "", true),
            ("*c", "abc", true),
            ("a*", "a", true),
            ("a*b*c*d*e*", "axbxcxdxe", true),
            ("a*b?c*x", "abxbbxdbxebxczzx", true),
            ("a*b?c*x", "abxbbxdbxebxczzy", false),
            ("ab[c]", "abc", true),
            ("ab[b-d]", "abc", true),
            ("ab[e-g]", "abc", false),
            ("ab[^c]", "abc", false),
            ("ab[^e-g]", "abc", true),
            ("a\\*b", "a*b", true),
            ("a\\*b", "ab", false),
            ("a?b", "a☺b", true),
            ("a[^a]b", "a☺b", true),
            ("a???b", "a☺b", false),
            ("[a-ζ]*", "α", true),
            ("*[a-ζ]", "A", false),
            ("[\\]a]", "]", true),
            ("[\\-]", "-", true),
            ("[x\\-]", "z", false),
            ("*.tar.gz", "a.tar.gz", true),
            ("[!a]", "!", true),
        ] {
            assert_eq!(matches(pattern, name), Ok(expected), "{pattern} {name}");
        }
        for wrong in ["[", "[^", "[a", "[]a]", "[-]", "[x-]", "[-x]", "a[", "a\\", "[^bc"] {
            assert!(matches(wrong, "a").is_err(), "{wrong}");
        }
        assert_eq!(plain("a\\*b\\\\"), "a*b\\");
    }
}
