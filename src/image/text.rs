//! Names in an image are bytes; JSON and people want text.

/// A path or a link as text: as it is where it is UTF-8, and each byte that
/// belongs to no character as `\xNN`.
pub fn of(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02x}"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_is_no_character_is_escaped() {
        assert_eq!(super::of("tanúsítvány\\x2d.crt".as_bytes()), "tanúsítvány\\x2d.crt");
        assert_eq!(super::of(b"caf\xe9/\xc3"), "caf\\xe9/\\xc3");
    }
}
