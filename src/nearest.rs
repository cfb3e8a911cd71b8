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

/// How many letters must be changed, added, taken away or exchanged with the next one.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut next = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let changed = row[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            next[j] = changed.min(row[j] + 1).min(next[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                next[j] = next[j].min(before[j - 2] + 1);
            }
        }
        before = std::mem::replace(&mut row, next);
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
        assert_eq!(nearest("FORM", &["FROM", "ARG"]), Some("FROM"));
        assert_eq!(nearest("entropy", &["ns-same"]), None);
        assert_eq!(nearest(&"R".repeat(10_000), &["RUN"]), None);
        assert_eq!(nearest("x", &[]), None);
    }
}
