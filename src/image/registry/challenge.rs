//! `WWW-Authenticate`: what a registry wants to see (RFC 9110, 11.6.1).

use std::collections::BTreeMap;

use reqwest::header::{HeaderMap, WWW_AUTHENTICATE};

/// What would be let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Challenge {
    /// Name and password, each time.
    Basic,
    /// A token, from somewhere else.
    Bearer {
        /// Where it is to be had.
        realm: String,
        /// For whom it is.
        service: Option<String>,
    },
}

impl Challenge {
    /// The best that is offered: a token is, since it opens one repository for minutes.
    pub fn best(headers: &HeaderMap) -> Option<Self> {
        let values = headers.get_all(WWW_AUTHENTICATE).iter();
        let all: Vec<_> =
            values.filter_map(|value| value.to_str().ok()).flat_map(challenges).collect();
        let bearer = all.iter().find(|one| matches!(one, Self::Bearer { .. }));
        bearer.or(all.first()).cloned()
    }
}

/// `Bearer realm="https://auth.docker.io/token",service="registry.docker.io", Basic realm="x"`
fn challenges(text: &str) -> Vec<Challenge> {
    let mut found: Vec<(String, BTreeMap<String, String>)> = Vec::new();
    let mut rest = text.trim_start_matches([' ', ',']);
    while !rest.is_empty() {
        let end = rest.find([' ', ',', '=']).unwrap_or(rest.len());
        let word = rest[..end].to_ascii_lowercase();
        rest = rest[end..].trim_start_matches(' ');
        match (rest.strip_prefix('='), found.last_mut()) {
            (Some(after), Some((_, parameters))) => {
                let (value, after) = value(after.trim_start_matches(' '));
                parameters.insert(word, value);
                rest = after;
            }
            (Some(after), None) => rest = after,
            (None, _) => found.push((word, BTreeMap::new())),
        }
        rest = rest.trim_start_matches([' ', ',']);
    }
    let challenge = |(scheme, mut parameters): (String, BTreeMap<String, String>)| match &*scheme {
        "basic" => Some(Challenge::Basic),
        "bearer" => Some(Challenge::Bearer {
            realm: parameters.remove("realm")?,
            service: parameters.remove("service"),
        }),
        _ => None,
    };
    found.into_iter().filter_map(challenge).collect()
}

/// A value, quoted or not, and what follows it.
fn value(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([',', ' ']).unwrap_or(text.len());
        return (text[..end].to_owned(), &text[end..]);
    };
    let (mut value, mut escaped) = (String::new(), false);
    for (at, c) in quoted.char_indices() {
        match c {
            _ if escaped => {
                value.push(c);
                escaped = false;
            }
            '\\' => escaped = true,
            '"' => return (value, &quoted[at + 1..]),
            c => value.push(c),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bearer(realm: &str, service: Option<&str>) -> Challenge {
        Challenge::Bearer { realm: realm.to_owned(), service: service.map(str::to_owned) }
    }

    #[test]
    fn challenges_are_read_as_they_are_met() {
        let hub = r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:library/httpd:pull""#;
        assert_eq!(
            challenges(hub),
            [bearer("https://auth.docker.io/token", Some("registry.docker.io"))]
        );
        assert_eq!(challenges("basic"), [Challenge::Basic]);
        assert_eq!(
            challenges(r#"Basic realm="a, \"b\"", bearer realm = x , service=y"#),
            [Challenge::Basic, bearer("x", Some("y"))]
        );
        for odd in [
            "",
            ",",
            "=",
            "==",
            "Digest x=y",
            "Bearer",
            "Bearer service=\"x",
            "Bearer =\"",
            "é=é",
            "\"",
        ] {
            assert!(challenges(odd).is_empty(), "{odd}");
        }
    }

    #[test]
    fn a_token_is_asked_for_where_both_would_do() {
        let mut headers = HeaderMap::new();
        assert_eq!(Challenge::best(&headers), None);
        headers.append(WWW_AUTHENTICATE, "Basic realm=x".parse().unwrap());
        assert_eq!(Challenge::best(&headers), Some(Challenge::Basic));
        headers.append(WWW_AUTHENTICATE, "Bearer realm=y".parse().unwrap());
        assert_eq!(Challenge::best(&headers), Some(bearer("y", None)));
    }
}
