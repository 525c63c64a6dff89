//! The dimensions of an image as viewers show it, from its first bytes.
//!
//! Cameras store an image as the sensor saw it, with metadata that say how to rotate it. Browsers follow Exif in JPEG and PNG (before
//! the image data), and `irot` in AVIF. In WebP they ignore both.
//!
//! Of Exif, one number of the first directory is read by hand: a general reader follows every pointer of a file, and 64 KiB of
//! pointers to pointers are billions of fields.

use std::io::Cursor;

use imagesize::{Compression, ImageType};

/// Width and height of an image, in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Dimensions {
    pub(crate) width: i32,
    pub(crate) height: i32,
}

impl Dimensions {
    /// `None` if a dimension is zero or larger than any viewer shows.
    fn new(width: usize, height: usize) -> Option<Self> {
        let pixels = |length: usize| i32::try_from(length).ok().filter(|&length| length > 0);
        Some(Self { width: pixels(width)?, height: pixels(height)? })
    }

    /// The dimensions after rotation (Exif 2.32, tag 0x0112).
    fn turned(self, orientation: Option<u16>) -> Self {
        match orientation {
            Some(5..=8) => Self { width: self.height, height: self.width },
            _ => self,
        }
    }
}

/// Finds the dimensions of an image in its first bytes.
pub(super) type Measure = fn(&[u8]) -> Option<Dimensions>;

/// The function that finds the dimensions of images of a type.
pub(super) fn measure(content_type: &str) -> Option<Measure> {
    Some(match content_type {
        "image/jpeg" => jpeg,
        "image/png" => png,
        "image/gif" => |bytes: &[u8]| by_library(ImageType::Gif, 0, bytes),
        // Its reader starts behind `RIFF`, the length and `WEBP`.
        "image/webp" => |bytes: &[u8]| by_library(ImageType::Webp, 12, bytes),
        "image/avif" => |bytes: &[u8]| by_library(ImageType::Heif(Compression::Av1), 0, bytes),
        _ => return None,
    })
}

fn by_library(format: ImageType, start: u64, bytes: &[u8]) -> Option<Dimensions> {
    let mut reader = Cursor::new(bytes);
    reader.set_position(start);
    let size = format.reader_size(&mut reader).ok()?;
    Dimensions::new(size.width, size.height)
}

/// Segments up to the one that starts the frame (ITU-T T.81, annex B).
fn jpeg(bytes: &[u8]) -> Option<Dimensions> {
    let mut rest = bytes.get(2..)?;
    let mut orientation = None;
    loop {
        let [0xFF, marker, after @ ..] = rest else { return None };
        rest = match marker {
            // Fill bytes may precede a marker.
            0xFF => rest.get(1..)?,
            // These have no length.
            0x01 | 0xD0..=0xD8 => after,
            0xC0..=0xC3 | 0xC5..=0xC7 | 0xC9..=0xCB | 0xCD..=0xCF => {
                let [_, _, _, h1, h0, w1, w0, ..] = *after else { return None };
                let pixels = |high, low| usize::from(u16::from_be_bytes([high, low]));
                return Some(Dimensions::new(pixels(w1, w0), pixels(h1, h0))?.turned(orientation));
            }
            // The image data, or the end of the file, before the dimensions.
            0xD9 | 0xDA => return None,
            _ => {
                let [high, low, ..] = *after else { return None };
                let length = usize::from(u16::from_be_bytes([high, low])).max(2);
                let segment = after.get(2..length).unwrap_or(after);
                if *marker == 0xE1 && orientation.is_none() {
                    orientation = segment.strip_prefix(b"Exif\0\0").and_then(orientation_in);
                }
                after.get(length..)?
            }
        };
    }
}

/// The header comes first (PNG 3rd edition, section 5.6); then chunks up to the image data.
fn png(bytes: &[u8]) -> Option<Dimensions> {
    let header = chunk(bytes.get(8..)?)?;
    let pixels = |at: usize| usize::try_from(u32_at(header.data, at, u32::from_be_bytes)?).ok();
    if header.kind != b"IHDR" {
        return None;
    }
    let stored = Dimensions::new(pixels(0)?, pixels(4)?)?;
    let mut rest = header.rest;
    while let Some(next) = chunk(rest).filter(|next| next.kind != b"IDAT") {
        if next.kind == b"eXIf" {
            return Some(stored.turned(orientation_in(next.data)));
        }
        rest = next.rest;
    }
    Some(stored)
}

/// A chunk of a PNG, possibly truncated, and the bytes after it.
struct Chunk<'a> {
    kind: &'a [u8],
    data: &'a [u8],
    rest: &'a [u8],
}

fn chunk(bytes: &[u8]) -> Option<Chunk<'_>> {
    let length = usize::try_from(u32_at(bytes, 0, u32::from_be_bytes)?).ok()?;
    let (kind, behind) = bytes.get(4..)?.split_at_checked(4)?;
    // A checksum of four bytes follows the data.
    let rest = behind.get(length.checked_add(4)?..).unwrap_or_default();
    Some(Chunk { kind, data: behind.get(..length).unwrap_or(behind), rest })
}

/// Byte order of numbers.
struct ByteOrder {
    u16: fn([u8; 2]) -> u16,
    u32: fn([u8; 4]) -> u32,
}

impl ByteOrder {
    /// Byte order of a TIFF header.
    fn of(header: &[u8]) -> Option<Self> {
        match header {
            b"II*\0" => Some(Self { u16: u16::from_le_bytes, u32: u32::from_le_bytes }),
            b"MM\0*" => Some(Self { u16: u16::from_be_bytes, u32: u32::from_be_bytes }),
            _ => None,
        }
    }
}

/// The orientation in Exif data: a number in the first directory of a TIFF header.
fn orientation_in(exif: &[u8]) -> Option<u16> {
    let ByteOrder { u16: read_u16, u32: read_u32 } = ByteOrder::of(exif.get(..4)?)?;
    let directory = exif.get(usize::try_from(u32_at(exif, 4, read_u32)?).ok()?..)?;
    let count = usize::from(read_u16(*directory.first_chunk()?));
    // Tag, type (3 is SHORT), count, and the value, which is short enough to be stored in place.
    directory.get(2..)?.chunks_exact(12).take(count).find_map(|entry| {
        let number = |at: usize| Some(read_u16(*entry.get(at..)?.first_chunk()?));
        (number(0)? == 0x0112 && number(2)? == 3).then(|| number(8)).flatten()
    })
}

fn u32_at(bytes: &[u8], at: usize, read: fn([u8; 4]) -> u32) -> Option<u32> {
    Some(read(*bytes.get(at..)?.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Exif data with two entries before the orientation.
    fn exif(orientation: u16, big: bool) -> Vec<u8> {
        let short = |number: u16| if big { number.to_be_bytes() } else { number.to_le_bytes() };
        let long = |number: u32| if big { number.to_be_bytes() } else { number.to_le_bytes() };
        let mut bytes = if big { b"MM\0*".to_vec() } else { b"II*\0".to_vec() };
        bytes.extend(long(8));
        bytes.extend(short(3));
        for (tag, value) in [(0x010F, 9), (0x0110, 9), (0x0112, orientation)] {
            bytes.extend([short(tag), short(3)].concat());
            bytes.extend(long(1));
            bytes.extend([short(value), short(0)].concat());
        }
        bytes.extend(long(0));
        bytes
    }

    fn segment(marker: u8, data: &[u8]) -> Vec<u8> {
        let length = u16::try_from(data.len() + 2).unwrap().to_be_bytes();
        [&[0xFF, marker], &length[..], data].concat()
    }

    const FRAME: &[u8] = b"\x08\0\x1e\0\x28\x03\x01\x11\0\x02\x11\x01\x03\x11\x01";

    fn jpeg_with(before: &[Vec<u8>]) -> Vec<u8> {
        [b"\xff\xd8".to_vec(), before.concat(), segment(0xC0, FRAME)].concat()
    }

    fn png_with(chunks: &[(&[u8], &[u8])]) -> Vec<u8> {
        let mut bytes = b"\x89PNG\r\n\x1a\n".to_vec();
        for (kind, data) in chunks {
            bytes.extend(u32::try_from(data.len()).unwrap().to_be_bytes());
            bytes.extend([kind, *data, b"\0\0\0\0"].concat());
        }
        bytes
    }

    const HEADER: (&[u8], &[u8]) = (b"IHDR", b"\0\0\0\x28\0\0\0\x1e\x08\x02\0\0\0");

    const WIDE: Option<Dimensions> = Some(Dimensions { width: 40, height: 30 });
    const TALL: Option<Dimensions> = Some(Dimensions { width: 30, height: 40 });

    #[test]
    fn an_image_is_as_large_as_it_is_shown() {
        for orientation in 0..=9 {
            let shown = if (5..=8).contains(&orientation) { TALL } else { WIDE };
            for big in [true, false] {
                let data = exif(orientation, big);
                let camera = segment(0xE1, &[b"Exif\0\0", &data[..]].concat());
                for before in [
                    vec![camera.clone()],
                    vec![
                        segment(0xE0, b"JFIF\0"),
                        camera.clone(),
                        segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0"),
                    ],
                    vec![vec![0xFF, 0xFF, 0xFF], camera.clone(), vec![0xFF, 0x01]],
                ] {
                    assert_eq!(jpeg(&jpeg_with(&before)), shown, "{orientation} {big}");
                }
                let bytes = png_with(&[HEADER, (b"gAMA", b"\0\0\0\0"), (b"eXIf", &data), (b"IDAT", b"")]);
                assert_eq!(png(&bytes), shown, "{orientation} {big}");
                let behind = png_with(&[HEADER, (b"IDAT", b""), (b"eXIf", &data)]);
                assert_eq!(png(&behind), WIDE, "{orientation} {big}");
            }
        }
    }

    #[test]
    fn what_says_nothing_sensible_turns_nothing() {
        let data = exif(6, true);
        for cut in 0..data.len() - 8 {
            let camera = segment(0xE1, &[b"Exif\0\0", &data[..cut]].concat());
            assert_eq!(jpeg(&jpeg_with(&[camera])), WIDE, "{cut}");
        }
        let mut elsewhere = data.clone();
        elsewhere[4..8].copy_from_slice(&u32::MAX.to_be_bytes());
        assert_eq!(orientation_in(&elsewhere), None);
        let mut in_circles = data;
        in_circles[4..8].copy_from_slice(&0_u32.to_be_bytes());
        assert_eq!(orientation_in(&in_circles), None);
    }

    #[test]
    fn a_png_begins_with_its_header() {
        assert_eq!(png(&png_with(&[HEADER])), WIDE);
        for first in [b"CgBI", b"IEND", b"IDAT"] {
            assert_eq!(png(&png_with(&[(first, HEADER.1), HEADER])), None);
        }
    }

    #[test]
    fn avif_says_itself_how_it_is_turned() {
        let boxed = |kind: &[u8], data: &[u8]| {
            [&u32::try_from(data.len() + 8).unwrap().to_be_bytes()[..], kind, data].concat()
        };
        for (angle, shown) in [(0, WIDE), (1, TALL), (2, WIDE), (3, TALL)] {
            let extents = boxed(b"ispe", b"\0\0\0\0\0\0\0\x28\0\0\0\x1e");
            let properties = boxed(b"ipco", &[extents, boxed(b"irot", &[angle])].concat());
            let meta = boxed(b"meta", &[vec![0; 4], boxed(b"iprp", &properties)].concat());
            let bytes = [boxed(b"ftyp", b"avif\0\0\0\0avifmif1"), meta].concat();
            assert_eq!(measure("image/avif").unwrap()(&bytes), shown, "{angle}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(
            kind in 0..5_usize,
            mut bytes in proptest::collection::vec(any::<u8>(), 0..300),
            start in proptest::sample::select(vec![
                jpeg_with(&[segment(0xE1, &[b"Exif\0\0", &exif(6, true)[..]].concat())]),
                png_with(&[HEADER, (b"eXIf", &exif(6, false))]),
            ]),
            kept in 0..90_usize,
        ) {
            let types = ["image/jpeg", "image/png", "image/gif", "image/webp", "image/avif"];
            let whole = [&start[..kept.min(start.len())], &bytes].concat();
            let _ = measure(types[kind]).unwrap()(&whole);
            bytes.truncate(20);
            let _ = measure(types[kind]).unwrap()(&bytes);
        }
    }
}
