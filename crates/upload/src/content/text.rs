//! Text in the encodings that people have: spreadsheets on Windows save CSV in a regional code page, and "Unicode text" as UTF-16.

use super::Head;

/// The charset of a text, if it is certain.
const UTF_8: &str = "utf-8";

/// Whether bytes can be text: UTF-8 without NUL, UTF-16 with a byte order mark, or bytes of an older encoding.
pub(super) fn is_text(start: Head<'_>) -> bool {
    match start.bytes {
        [0xFF, 0xFE, ..] => is_utf16(start, u16::from_le_bytes),
        [0xFE, 0xFF, ..] => is_utf16(start, u16::from_be_bytes),
        bytes => is_utf8(start) || !bytes.iter().copied().any(is_binary),
    }
}

/// UTF-8, if the whole text is. Older encodings cannot be told apart, and a byte order mark names the encoding by itself.
pub(super) fn charset(start: Head<'_>) -> Option<&'static str> {
    (start.whole && is_utf8(start)).then_some(UTF_8)
}

/// The last character may be cut.
fn is_utf8(start: Head<'_>) -> bool {
    let is_utf8 = match std::str::from_utf8(start.bytes) {
        Ok(_) => true,
        Err(error) => error.error_len().is_none() && !start.whole,
    };
    is_utf8 && !start.bytes.contains(&0)
}

/// The last character may be cut.
fn is_utf16(start: Head<'_>, read: fn([u8; 2]) -> u16) -> bool {
    let (pairs, left) = start.bytes.as_chunks();
    let mut characters = char::decode_utf16(pairs.iter().map(|&pair| read(pair))).peekable();
    let mut is_text = left.is_empty() || !start.whole;
    while let Some(character) = characters.next() {
        is_text &= match character {
            Ok(character) => {
                u8::try_from(character).is_ok_and(|byte| !is_binary(byte)) || character > '\u{ff}'
            }
            Err(_) => !start.whole && characters.peek().is_none(),
        };
    }
    is_text
}

/// A byte that occurs in no encoding of text (WHATWG, MIME Sniffing, "binary data byte").
fn is_binary(byte: u8) -> bool {
    matches!(byte, 0x00..=0x08 | 0x0B | 0x0E..=0x1A | 0x1C..=0x1F)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(bytes: &[u8]) -> Head<'_> {
        Head { bytes, whole: true }
    }

    fn cut(bytes: &[u8]) -> Head<'_> {
        Head { bytes, whole: false }
    }

    fn utf16(text: &str, write: fn(u16) -> [u8; 2]) -> Vec<u8> {
        "\u{feff}".encode_utf16().chain(text.encode_utf16()).flat_map(write).collect()
    }

    #[test]
    fn text_may_be_in_any_encoding_and_a_charset_is_told_where_it_is_known() {
        for (bytes, charset) in [
            (&b"plain"[..], Some("utf-8")),
            ("naïve".as_bytes(), Some("utf-8")),
            (b"\xef\xbb\xbfa;b", Some("utf-8")),
            (b"", Some("utf-8")),
            // Windows-1252, Shift JIS, ISO-2022-JP.
            (b"Stra\xdfe;5\r\n", None),
            (b"\x93\xfa\x96{\n", None),
            (&utf16("Straße\t5\r\n日本 👋", u16::to_le_bytes), None),
            (&utf16("Straße\t5\r\n日本 👋", u16::to_be_bytes), None),
        ] {
            assert!(is_text(whole(bytes)) && is_text(cut(bytes)), "{bytes:?}");
            assert_eq!(
                (super::charset(whole(bytes)), super::charset(cut(bytes))),
                (charset, None),
                "{bytes:?}"
            );
        }
    }

    #[test]
    fn what_has_bytes_of_no_letter_is_no_text() {
        for bytes in [
            &b"a,b\0"[..],
            b"caf\xe9\x01",
            b"\x89PNG\r\n\x1a\n",
            b"\x7fELF\x02\x01\xff",
            b"\xff\xfea\0\0\0",
            b"\xff\xfea\0b",
            b"\xff\xfe\x3d\xd8",
            b"\xff\xfe\x01\0",
        ] {
            assert!(!is_text(whole(bytes)), "{bytes:?}");
        }
        assert!(is_text(cut(b"\xff\xfea\0b")) && is_text(cut(b"\xff\xfe\x3d\xd8")));
        assert!(!is_text(cut(b"\xff\xfe\x3d\xd8a\0")));
        assert!(is_text(cut(b"caf\xc3")));
    }
}
