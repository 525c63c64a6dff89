//! Content sniffing: whether the first bytes of a file match its declared media type.
//!
//! The client controls the bytes, so all checks here are limited to [`SNIFF_LEN`] bytes and a fixed number of passes.

mod image;
mod text;

use infer::MatcherType;

pub(crate) use self::image::Dimensions;
use crate::error::Mismatch;
use crate::media;

/// Number of bytes that are examined: the dimensions of an image follow its metadata, which can be long.
pub(crate) const SNIFF_LEN: usize = 256 * 1024;

/// The first bytes of an object; `whole` if it has no more.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) whole: bool,
}

/// Properties of content that matches its declared type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    /// Dimensions of an image; unknown only if they are beyond [`SNIFF_LEN`].
    pub(crate) dimensions: Option<Dimensions>,
    /// Charset of a text, if all of it was examined.
    pub(crate) charset: Option<&'static str>,
}

/// Checks that the content matches the declared type, and returns its properties.
pub(crate) fn sniff(content_type: &str, start: Head<'_>) -> Result<Found, Mismatch> {
    let mismatch = || Mismatch::ContentType(content_type.to_owned());
    if !looks_like(content_type, start) {
        return Err(mismatch());
    }
    let dimensions = match image::measure(content_type) {
        None => None,
        Some(measure) => match measure(start.bytes) {
            None if start.whole || content_type == "image/png" => return Err(mismatch()),
            measured => measured,
        },
    };
    let charset = if is_text_type(content_type) { text::charset(start) } else { None };
    Ok(Found { dimensions, charset })
}

fn looks_like(content_type: &str, start: Head<'_>) -> bool {
    let is = |name: &str| infer::is_mime(start.bytes, name);
    let is_known = |name: &str| infer::is_mime_supported(name);
    match content_type {
        "audio/mpeg" => is(content_type) || is_mpeg_layer_3(start.bytes),
        "application/pdf" => is_pdf(start.bytes),
        "video/mp4" => is_mp4(start.bytes) || media::names(content_type).any(is),
        _ if is_text_type(content_type) => text::is_text(start),
        // `infer` may use another name of the same type.
        _ if media::names(content_type).any(is_known) => media::names(content_type).any(is),
        // A type without a signature, which the operator allowed: it must not be a known binary format.
        _ => infer::get(start.bytes).is_none_or(|found| found.matcher_type() == MatcherType::Text),
    }
}

fn is_text_type(content_type: &str) -> bool {
    content_type.starts_with("text/")
}

/// A frame of MPEG audio, layer III, of any version: `infer` knows version 1 without a checksum alone.
fn is_mpeg_layer_3(bytes: &[u8]) -> bool {
    matches!(bytes, [0xFF, second, ..] if second & 0b1110_0110 == 0b1110_0010)
}

/// Readers search for the header in the first 1,024 bytes (Adobe, PDF Reference 1.7, appendix H, note 13), because programs and mail
/// put a byte order mark or line breaks before it. Bytes that begin as another format are that format.
fn is_pdf(bytes: &[u8]) -> bool {
    const HEADER: &[u8] = b"%PDF-";
    let start = bytes.get(..1_024).unwrap_or(bytes);
    bytes.starts_with(HEADER)
        || (infer::get(bytes).is_none() && start.windows(HEADER.len()).any(|window| window == HEADER))
}

/// A file whose first box names a brand of MP4 (ISO/IEC 14496-12, section 4.3; <https://mp4ra.org/registered-types/brands>) as
/// its own or among the compatible ones. `infer` looks at its own only.
fn is_mp4(bytes: &[u8]) -> bool {
    const MOST: usize = 256;
    let Some((size, rest)) = bytes.split_first_chunk() else { return false };
    let length = usize::try_from(u32::from_be_bytes(*size)).unwrap_or(MOST).clamp(8, MOST) - 4;
    let brands = rest.get(..length).unwrap_or(rest).strip_prefix(b"ftyp").unwrap_or_default();
    let mut brands = brands.chunks_exact(4);
    let (own, _minor_version) = (brands.next(), brands.next());
    // Images belong to this family too, and image sequences name brands of videos.
    let is_picture = |brand: &[u8]| {
        [&b"avi"[..], b"hei", b"hev", b"mif", b"msf", b"jpe", b"crx"]
            .iter()
            .any(|picture| brand.starts_with(picture))
    };
    let is_video = |brand: &[u8]| {
        const STARTS: [&[u8]; 17] = [
            b"iso", b"mp4", b"mp7", b"mmp4", b"avc", b"hvc1", b"hev1", b"av01", b"dash", b"cmf", b"M4V",
            b"F4V", b"f4v", b"3gp", b"3g2", b"MSNV", b"XAVC",
        ];
        STARTS.iter().any(|start| brand.starts_with(start))
    };
    own.is_some_and(|own| !is_picture(own)) && own.into_iter().chain(brands).any(is_video)
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

    /// First bytes of a file of each type.
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

    fn whole(bytes: &[u8]) -> Head<'_> {
        Head { bytes, whole: true }
    }

    #[test]
    fn a_file_passes_as_its_own_type_and_no_other() {
        for (declared, _) in STARTS {
            for (actual, bytes) in STARTS {
                let both_text = declared.starts_with("text/")
                    && std::str::from_utf8(bytes).is_ok_and(|text| !text.contains('\0'));
                let passes = sniff(declared, whole(bytes)).is_ok();
                assert_eq!(passes, declared == actual || both_text, "{actual} as {declared}");
            }
        }
    }

    #[test]
    fn an_image_has_dimensions() {
        for (content_type, bytes) in STARTS {
            let expected = content_type.starts_with("image/").then_some(Dimensions { width: 2, height: 3 });
            assert_eq!(sniff(content_type, whole(bytes)).unwrap().dimensions, expected, "{content_type}");
        }
    }

    #[test]
    fn dimensions_may_stand_behind_what_is_looked_at_but_not_be_absent() {
        let metadata_only = Head { bytes: b"\xff\xd8\xff\xe1\xff\xff", whole: false };
        assert_eq!(sniff("image/jpeg", metadata_only), Ok(Found::default()));
        assert!(sniff("image/jpeg", Head { whole: true, ..metadata_only }).is_err());
        assert!(sniff("image/png", whole(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\0\0\0\0\x03")).is_err());
    }

    #[test]
    fn a_png_whose_first_chunk_is_another_is_none() {
        let start = Head { bytes: b"\x89PNG\r\n\x1a\n\0\0\0\x04CgBI\0\0\0\x02\0\0\0\x03", whole: false };
        assert!(sniff("image/png", start).is_err());
    }

    #[test]
    fn the_header_of_a_pdf_may_come_late() {
        let mut late = vec![b'\n'; 1_019];
        late.extend(b"%PDF-1.7");
        for before in [&b"\xef\xbb\xbf"[..], b"\r\n", b"\0\0", b"\x1b%-12345X@PJL ENTER LANGUAGE=PDF\r\n"] {
            assert!(sniff("application/pdf", whole(&[before, b"%PDF-1.4\n"].concat())).is_ok(), "{before:?}");
        }
        assert!(sniff("application/pdf", whole(&late)).is_ok());
        late.insert(0, b'\n');
        assert!(sniff("application/pdf", whole(&late)).is_err());
        for other in ["<html><script>", "\x7fELF", "PK\x03\x04\x14", "GIF89a", "%PDX-"] {
            let bytes = [other.as_bytes(), &[b' '; 60], b"%PDF-1.4\n"].concat();
            assert_eq!(sniff("application/pdf", whole(&bytes)).is_ok(), other == "%PDX-", "{other}");
        }
    }

    #[test]
    fn an_mp4_is_of_any_of_its_brands() {
        let file = |own: &str, compatible: &str| {
            let length = u32::try_from(16 + compatible.len()).unwrap().to_be_bytes();
            [&length[..], b"ftyp", own.as_bytes(), b"\0\0\x02\0", compatible.as_bytes()].concat()
        };
        for (own, compatible) in [
            ("isom", "isomiso2avc1mp41"),
            ("mp42", "isommp42"),
            ("M4V ", "M4V M4A mp42isom"),
            ("iso8", ""),
            ("3gp5", "3gp5isom"),
            ("XAVC", "XAVCmp42iso2"),
            ("niko", "mp42niko"),
            ("hvc1", ""),
            ("cmfc", "cmfciso6"),
        ] {
            assert!(sniff("video/mp4", whole(&file(own, compatible))).is_ok(), "{own}");
        }
        for (own, compatible) in [
            ("qt  ", "qt  "),
            ("avis", "avismsf1iso8"),
            ("heic", "mif1heic"),
            ("crx ", "crx isom"),
            ("jp2 ", "jp2 "),
        ] {
            assert!(sniff("video/mp4", whole(&file(own, compatible))).is_err(), "{own}");
        }
        // Bytes behind the box are not a brand.
        let mut short = file("qt  ", "qt  ");
        short.extend(b"isomisom");
        assert!(sniff("video/mp4", whole(&short)).is_err());
    }

    #[test]
    fn a_type_with_several_names_is_known_by_any() {
        let wav = b"RIFF\x24\0\0\0WAVEfmt ";
        assert!(sniff("audio/wav", whole(wav)).is_ok());
        assert!(sniff("audio/flac", whole(b"fLaC\0\0\0\x22")).is_ok());
        assert!(sniff("audio/flac", whole(wav)).is_err());
    }

    #[test]
    fn a_type_without_a_signature_is_no_disguise() {
        assert!(sniff("application/json", whole(b"{}")).is_ok());
        assert!(sniff("application/json", whole(b"PK\x03\x04\x14\0\0\0")).is_err());
        assert!(sniff("application/x-own", whole(&[b"\x7fELF".as_slice(), &[0; 60]].concat())).is_err());
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
                let _ = sniff(content_type, Head { bytes: &bytes, whole });
            }
        }
    }
}
