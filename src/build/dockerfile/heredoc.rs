//! Here-documents: `<<EOF` and what follows.

use super::ast::Heredoc;
use super::expand::{Lexer, nothing};

/// The here-documents that an instruction's line names, without their texts. A
/// line whose quotes do not close names none: it is for the shell to complain.
pub fn named(line: &str) -> Vec<Heredoc> {
    if !line.contains("<<") {
        return Vec::new();
    }
    let lexer = Lexer { raw_quotes: true, raw_escapes: true, keep_unset: true, ..Lexer::new('\\') };
    let words = lexer.lex(line, &nothing).map(|(_, words)| words).unwrap_or_default();
    words.iter().filter_map(|word| parse(word)).collect()
}

/// One word: `<<EOF`, `3<<-"EOF"`. There is no text in it yet.
pub fn parse(word: &str) -> Option<Heredoc> {
    let rest = word.trim_start_matches(|c: char| c.is_ascii_digit()).strip_prefix("<<")?;
    let (chomp, rest) = match rest.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, rest),
    };
    let rest = rest.trim_start();
    if rest.is_empty() || rest.contains('<') {
        return None;
    }
    let lex = |raw_quotes| {
        let lexer = Lexer { raw_quotes, keep_unset: true, ..Lexer::new('\\') };
        lexer.lex(rest, &nothing).ok().map(|(_, words)| words)
    };
    let (words, raw) = (lex(false)?, lex(true)?);
    let ([name], [raw]) = (words.as_slice(), raw.as_slice()) else { return None };
    // What is quoted in the one and not in the other was quoted.
    let quotes = |text: &str| text.matches(['\'', '"']).count();
    let expand = quotes(name) == quotes(raw);
    Some(Heredoc { name: name.clone(), text: String::new(), chomp, expand })
}

/// Whether a line is one here-document's name and nothing else.
pub fn is_alone(line: &str) -> bool {
    parse(line).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(line: &str) -> Vec<(String, bool, bool)> {
        named(line).into_iter().map(|doc| (doc.name, doc.chomp, doc.expand)).collect()
    }

    #[test]
    fn a_here_document_is_a_word_of_its_own() {
        let one = |name: &str, chomp, expand| vec![(name.to_owned(), chomp, expand)];
        assert_eq!(names("RUN <<EOF"), one("EOF", false, true));
        assert_eq!(names("RUN cat <<-EOF | tee x"), one("EOF", true, true));
        assert_eq!(names("RUN 3<<'EO F'"), one("EO F", false, false));
        assert_eq!(names("RUN cat << EOF"), one("EOF", false, true));
        assert_eq!(names("RUN cat <<\\EOF"), one("EOF", false, true));
        let two = names("COPY <<a <<\"b\" /x");
        assert_eq!(two.iter().map(|doc| doc.0.as_str()).collect::<Vec<_>>(), ["a", "b"]);
        for none in [
            "RUN cat",
            "RUN cat <<<EOF",
            "RUN a<<EOF",
            "RUN echo \"<<EOF\"",
            "RUN echo '<<EOF'",
            "RUN echo \\<<EOF",
            "RUN echo it's <<EOF",
            "RUN <<",
            "RUN <<''",
        ] {
            assert!(names(none).is_empty(), "{none}: {:?}", names(none));
        }
        assert!(is_alone("<<EOF") && is_alone("<<-'E F'"));
        assert!(!is_alone("<<EOF cat") && !is_alone("cat <<EOF"));
    }
}
