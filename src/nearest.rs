//! The word that was probably meant.

/// The allowed word that differs least from the one written, if it is near.
pub fn nearest<'a>(word: &str, allowed: &[&'a str]) -> Option<&'a str> {
    // What is much longer than any word that is allowed is none of them.
    let longest = allowed.iter().map(|candidate| candidate.len()).max()?;
    if word.len() > 2 * longest + 8 {
        return None;
    }
    let near = allowed.iter().map(|candidate| (distance(word, candidate), *candidate)).min()?;
    (near.0 <= 1 + word.len() / 4).then_some(near.1)
}

/// How many letters must be changed, added or taken away (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let changed = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_far_from_every_word_is_none_of_them() {
        assert_eq!(nearest("RNU", &["RUN", "ENV"]), Some("RUN"));
        assert_eq!(nearest("COYP", &["COPY", "CMD"]), Some("COPY"));
        assert_eq!(nearest("entropy", &["ns-same"]), None);
        assert_eq!(nearest(&"R".repeat(10_000), &["RUN"]), None);
        assert_eq!(nearest("x", &[]), None);
    }
}
