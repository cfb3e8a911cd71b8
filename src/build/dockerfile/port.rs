//! The ports of `EXPOSE`.

/// What a word of `EXPOSE`, expanded, becomes in a config: `80` is `80/tcp`, and of
/// `8000-8002/udp` three become. A port of the host before it (`8080:80`) counts
/// for nothing, as in docker. The error is a clause.
pub fn exposed(word: &str) -> Result<Vec<String>, String> {
    let wrong = |why: &str| format!("{word:?} is no port: {why}");
    let (ports, protocol) = match word.split_once('/') {
        Some((ports, protocol)) => (ports, protocol.to_ascii_lowercase()),
        None => (word, "tcp".to_owned()),
    };
    if !["tcp", "udp", "sctp"].contains(&protocol.as_str()) {
        return Err(wrong("the protocol is tcp, udp or sctp"));
    }
    let ports = ports.rsplit(':').next().unwrap_or_default();
    let number = |text: &str| {
        let digits = !text.is_empty() && text.chars().all(|c| c.is_ascii_digit());
        text.parse::<u16>()
            .ok()
            .filter(|_| digits)
            .ok_or_else(|| wrong("a number from 0 to 65535 is expected"))
    };
    let (first, last) = match ports.split_once('-') {
        Some((first, last)) => (number(first)?, number(last)?),
        None => (number(ports)?, number(ports)?),
    };
    match first <= last {
        true => Ok((first..=last).map(|port| format!("{port}/{protocol}")).collect()),
        false => Err(wrong("the range ends before it begins")),
    }
}

#[cfg(test)]
mod tests {
    use super::exposed;

    #[test]
    fn ports_are_as_docker_has_them() {
        assert_eq!(exposed("80").unwrap(), ["80/tcp"]);
        assert_eq!(exposed("53/UDP").unwrap(), ["53/udp"]);
        assert_eq!(exposed("8080:80").unwrap(), ["80/tcp"]);
        assert_eq!(exposed("8000-8002/udp").unwrap(), ["8000/udp", "8001/udp", "8002/udp"]);
        for word in ["", "http", "80/", "80/icmp", "65536", "-1", "9-8", "+80", "80-"] {
            assert!(exposed(word).is_err(), "{word}");
        }
    }
}
