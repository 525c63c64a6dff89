//! Whether bytes are what they were declared to be, as far as their start tells, and how they may be served.

use std::borrow::Cow;
use std::io::Cursor;

use imagesize::{Compression, ImageType};
use infer::MatcherType;

use crate::dto::Disposition;
use crate::error::Mismatch;

/// How much of an object is looked at: the dimensions of an image stand behind its metadata, which can be long.
pub(crate) const LOOKED_AT: usize = 256 * 1024;

/// Width and height of an image, in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Dimensions {
    pub(crate) width: i32,
    pub(crate) height: i32,
}

/// The start of an object. `whole` tells that nothing comes after it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Start<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) whole: bool,
}

/// Refuses what is not of the declared type; the dimensions of an image.
///
/// The dimensions of an image are unknown only if they stand behind [`LOOKED_AT`].
pub(crate) fn examine(content_type: &str, start: Start<'_>) -> Result<Option<Dimensions>, Mismatch> {
    let mismatch = || Mismatch::ContentType(content_type.to_owned());
    if !looks_like(content_type, start) {
        return Err(mismatch());
    }
    let Some(format) = image_format(content_type) else { return Ok(None) };
    let dimensions = dimensions(format, start.bytes);
    if dimensions.is_none() && start.whole { Err(mismatch()) } else { Ok(dimensions) }
}

fn looks_like(content_type: &str, start: Start<'_>) -> bool {
    match content_type {
        "audio/mpeg" => infer::is_mime(start.bytes, content_type) || is_mpeg_layer_3(start.bytes),
        _ if content_type.starts_with("text/") => is_text(start),
        _ if infer::is_mime_supported(content_type) => infer::is_mime(start.bytes, content_type),
        // A type without a signature, which an operator allowed: it must not be a known binary in disguise.
        _ => infer::get(start.bytes).is_none_or(|found| found.matcher_type() == MatcherType::Text),
    }
}

/// A frame of MPEG audio, layer III, of any version: `infer` knows version 1 without a checksum alone.
fn is_mpeg_layer_3(bytes: &[u8]) -> bool {
    matches!(bytes, [0xFF, second, ..] if second & 0b1110_0110 == 0b1110_0010)
}

/// UTF-8 without NUL; the last character may be cut.
fn is_text(start: Start<'_>) -> bool {
    let is_utf8 = match std::str::from_utf8(start.bytes) {
        Ok(_) => true,
        Err(error) => error.error_len().is_none() && !start.whole,
    };
    is_utf8 && !start.bytes.contains(&0)
}

fn image_format(content_type: &str) -> Option<ImageType> {
    Some(match content_type {
        "image/jpeg" => ImageType::Jpeg,
        "image/png" => ImageType::Png,
        "image/gif" => ImageType::Gif,
        "image/webp" => ImageType::Webp,
        "image/avif" => ImageType::Heif(Compression::Av1),
        _ => return None,
    })
}

/// Only the declared format's reader gets to see the bytes.
fn dimensions(format: ImageType, bytes: &[u8]) -> Option<Dimensions> {
    let mut reader = Cursor::new(bytes);
    if format == ImageType::Webp {
        // Its reader starts behind `RIFF`, the length and `WEBP`.
        reader.set_position(12);
    }
    let size = format.reader_size(&mut reader).ok()?;
    let pixels = |length: usize| i32::try_from(length).ok().filter(|&length| length > 0);
    Some(Dimensions { width: pixels(size.width)?, height: pixels(size.height)? })
}

/// As it is wanted, unless a browser could run what it would show.
pub(crate) fn safe(wanted: Disposition, content_type: &str) -> Disposition {
    if is_inert(content_type) { wanted } else { Disposition::Attachment }
}

/// What a browser shows without running any of it. Not PDF, which can carry JavaScript that viewers run, nor SVG.
fn is_inert(content_type: &str) -> bool {
    const IMAGES: [&str; 5] = ["image/jpeg", "image/png", "image/gif", "image/webp", "image/avif"];
    IMAGES.contains(&content_type)
        || content_type == "text/plain"
        || content_type.starts_with("video/")
        || content_type.starts_with("audio/")
}

/// As what a browser is told to take it. Text was found to be UTF-8; a browser that is not told guesses.
pub(crate) fn served_as(content_type: &str) -> Cow<'_, str> {
    if content_type.starts_with("text/") {
        format!("{content_type}; charset=utf-8").into()
    } else {
        content_type.into()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TYPES: [&str; 12] = [
        "image/jpeg",
        "image/png",
        "image/gif",
        "image/webp",
        "image/avif",
        "application/pdf",
        "video/mp4",
        "video/webm",
        "audio/mpeg",
        "text/plain",
        "text/csv",
        "application/zip",
    ];

    /// One start for each type that a file of that type has.
    const STARTS: [(&str, &[u8]); 13] = [
        (
            "image/jpeg",
            b"\xff\xd8\xff\xe0\0\x10JFIF\0\x01\x01\0\0\x01\0\x01\0\0\xff\xc0\0\x11\x08\0\x03\0\x02\x03",
        ),
        ("image/png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x02\0\0\0\x03\x08\x02\0\0\0"),
        ("image/gif", b"GIF89a\x02\0\x03\0\0\0\0"),
        ("image/webp", b"RIFF\x1a\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0\x01\0\0\x02\0\0"),
        (
            "image/avif",
            b"\0\0\0\x14ftypavif\0\0\0\0avif\0\0\0\x38meta\0\0\0\0\0\0\0\x2ciprp\0\0\0\x24ipco\
              \0\0\0\x14ispe\0\0\0\0\0\0\0\x02\0\0\0\x03",
        ),
        ("application/pdf", b"%PDF-1.7\n"),
        ("video/mp4", b"\0\0\0\x18ftypisom\0\0\x02\0isomiso2"),
        ("video/webm", b"\x1a\x45\xdf\xa3\x9f\x42\x86\x81\x01\x42\xf7\x81\x01"),
        ("audio/mpeg", b"ID3\x04\0\0\0\0\0\0"),
        ("audio/mpeg", b"\xff\xf3\x44\xc4\0\0\0\0"),
        ("text/plain", "naïve\n".as_bytes()),
        ("text/csv", b"a,b\r\n1,2\r\n"),
        ("application/zip", b"PK\x03\x04\x14\0\0\0"),
    ];

    fn whole(bytes: &[u8]) -> Start<'_> {
        Start { bytes, whole: true }
    }

    #[test]
    fn a_file_passes_as_its_own_type_and_no_other() {
        for (declared, _) in STARTS {
            for (actual, bytes) in STARTS {
                let both_text = declared.starts_with("text/")
                    && std::str::from_utf8(bytes).is_ok_and(|text| !text.contains('\0'));
                let passes = examine(declared, whole(bytes)).is_ok();
                assert_eq!(passes, declared == actual || both_text, "{actual} as {declared}");
            }
        }
    }

    #[test]
    fn an_image_has_dimensions() {
        for (content_type, bytes) in STARTS {
            let expected = content_type.starts_with("image/").then_some(Dimensions { width: 2, height: 3 });
            assert_eq!(examine(content_type, whole(bytes)).unwrap(), expected, "{content_type}");
        }
    }

    #[test]
    fn dimensions_may_stand_behind_what_is_looked_at_but_not_be_absent() {
        let metadata_only = Start { bytes: b"\xff\xd8\xff\xe1\xff\xff", whole: false };
        assert_eq!(examine("image/jpeg", metadata_only), Ok(None));
        assert!(examine("image/jpeg", Start { whole: true, ..metadata_only }).is_err());
        assert!(examine("image/png", whole(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\0\0\0\0\x03")).is_err());
    }

    #[test]
    fn text_is_utf8_without_nul() {
        assert!(examine("text/plain", whole(b"caf\xe9")).is_err());
        assert!(examine("text/csv", whole(b"a,b\0")).is_err());
        assert!(examine("text/plain", whole(b"caf\xc3")).is_err());
        assert!(examine("text/plain", Start { bytes: b"caf\xc3", whole: false }).is_ok());
    }

    #[test]
    fn a_type_without_a_signature_is_no_disguise() {
        assert!(examine("application/json", whole(b"{}")).is_ok());
        assert!(examine("application/json", whole(b"PK\x03\x04\x14\0\0\0")).is_err());
        assert!(examine("application/x-own", whole(&[b"\x7fELF".as_slice(), &[0; 60]].concat())).is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_panic(
            (_, prefix) in proptest::sample::select(STARTS.as_slice()),
            kept in 0..60_usize,
            tail in proptest::collection::vec(any::<u8>(), 0..200),
            whole in any::<bool>(),
        ) {
            let mut bytes = prefix[..kept.min(prefix.len())].to_vec();
            bytes.extend(tail);
            for content_type in TYPES.iter().chain(&["application/x-own"]) {
                let _ = examine(content_type, Start { bytes: &bytes, whole });
            }
        }
    }

    #[test]
    fn what_a_browser_could_run_is_not_inert() {
        for content_type in ["image/png", "image/avif", "video/mp4", "audio/mpeg", "text/plain"] {
            assert!(is_inert(content_type), "{content_type}");
        }
        for content_type in [
            "image/svg+xml",
            "text/html",
            "text/csv",
            "application/pdf",
            "application/xhtml+xml",
            "text/xml",
            "",
        ] {
            assert!(!is_inert(content_type), "{content_type}");
        }
    }
}
