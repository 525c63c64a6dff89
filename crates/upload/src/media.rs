//! Media types: their aliases, their file extensions, and whether browsers can show them safely.

use std::borrow::Cow;
use std::iter::once;

use crate::dto::Disposition;

/// A media type.
struct MediaType {
    /// Canonical name, which is stored and signed.
    name: &'static str,
    /// Aliases: names that browsers on Windows send, and names from before the registration.
    aliases: &'static [&'static str],
    /// File extensions, the usual one first, without those that a computer would execute or show as a page.
    extensions: &'static [&'static str],
    /// Whether browsers show it without executing anything. PDF can contain JavaScript that viewers execute, and SVG scripts.
    is_inert: bool,
}

const fn shown(
    name: &'static str,
    aliases: &'static [&'static str],
    extensions: &'static [&'static str],
) -> MediaType {
    MediaType { name, aliases, extensions, is_inert: true }
}

const fn saved(
    name: &'static str,
    aliases: &'static [&'static str],
    extensions: &'static [&'static str],
) -> MediaType {
    MediaType { name, aliases, extensions, is_inert: false }
}

/// Types that installations accept by default, and others with aliases. All other types have one name, extensions from `mime_guess`,
/// and are never shown inline.
const TYPES: &[MediaType] = &[
    shown("image/jpeg", &["image/jpg", "image/pjpeg"], &["jpg", "jpeg", "jpe", "jfif"]),
    shown("image/png", &["image/x-png"], &["png"]),
    shown("image/gif", &[], &["gif"]),
    shown("image/webp", &[], &["webp"]),
    shown("image/avif", &[], &["avif"]),
    shown("image/bmp", &["image/x-ms-bmp", "image/x-bmp", "image/x-windows-bmp"], &["bmp"]),
    saved("image/vnd.microsoft.icon", &["image/x-icon", "image/ico", "image/icon"], &["ico"]),
    saved("application/pdf", &["application/x-pdf"], &["pdf"]),
    shown("video/mp4", &["video/x-m4v", "video/m4v"], &["mp4", "m4v", "mp4v"]),
    shown("video/webm", &[], &["webm"]),
    shown("video/ogg", &[], &["ogv", "ogg"]),
    shown("video/quicktime", &[], &["mov", "qt"]),
    shown(
        "audio/mpeg",
        &[
            "audio/mp3",
            "audio/x-mp3",
            "audio/x-mpeg",
            "audio/mpeg3",
            "audio/x-mpeg-3",
            "audio/mpg",
            "audio/x-mpg",
        ],
        &["mp3", "mpga"],
    ),
    shown("audio/mp4", &["audio/x-m4a", "audio/m4a"], &["m4a", "mp4"]),
    shown("audio/aac", &["audio/x-aac", "audio/aacp"], &["aac"]),
    shown("audio/flac", &["audio/x-flac"], &["flac"]),
    shown("audio/ogg", &["audio/x-ogg"], &["ogg", "oga", "opus"]),
    shown("audio/wav", &["audio/x-wav", "audio/wave", "audio/vnd.wave"], &["wav"]),
    shown("audio/webm", &[], &["weba", "webm"]),
    shown("text/plain", &[], &["txt", "text", "log", "asc", "csv", "tsv", "md", "srt"]),
    saved(
        "text/csv",
        &[
            "text/x-csv",
            "application/csv",
            "application/x-csv",
            "text/comma-separated-values",
            "text/x-comma-separated-values",
        ],
        &["csv", "txt"],
    ),
    saved("text/markdown", &["text/x-markdown"], &["md", "markdown", "txt"]),
    saved("application/json", &["text/json"], &["json"]),
    saved("application/rtf", &["text/rtf"], &["rtf"]),
    saved(
        "application/zip",
        &["application/x-zip-compressed", "application/x-zip", "multipart/x-zip"],
        &["zip"],
    ),
    saved("application/gzip", &["application/x-gzip"], &["gz", "tgz"]),
    saved("application/vnd.rar", &["application/x-rar-compressed", "application/x-rar"], &["rar"]),
];

fn find(name: &str) -> Option<&'static MediaType> {
    TYPES.iter().find(|media| media.name == name || media.aliases.contains(&name))
}

/// The canonical name of a declared type (RFC 9110, section 8.3.1): in lower case, without parameters. `None` if it has a parameter
/// that the type does not define. Values of parameters are ignored: neither charset nor codecs are verified.
pub(crate) fn canonical(declared: &str) -> Option<String> {
    let mut parts = declared.split(';').map(str::trim);
    let name = parts.next()?.to_ascii_lowercase();
    let name = find(&name).map_or(name, |media| media.name.to_owned());
    let is_known =
        |part: &str| part.split_once('=').is_some_and(|(parameter, _)| has_parameter(&name, parameter));
    parts.filter(|part| !part.is_empty()).all(is_known).then_some(name)
}

/// RFC 6838, section 4.2.1, RFC 4180 and RFC 6381.
fn has_parameter(name: &str, parameter: &str) -> bool {
    let is = |known: &str| parameter.eq_ignore_ascii_case(known);
    match name.split_once('/') {
        Some(("text", "csv")) => is("charset") || is("header"),
        Some(("text", _)) => is("charset"),
        Some(("video" | "audio", _)) => is("codecs") || is("profiles"),
        _ => false,
    }
}

/// The same for a file of a name. Windows calls CSV files Excel files as soon as Excel is installed.
pub(crate) fn canonical_of(declared: &str, filename: &str) -> Option<String> {
    let name = canonical(declared)?;
    let is_csv = extension(filename).is_some_and(|extension| extension.eq_ignore_ascii_case("csv"));
    Some(if name == "application/vnd.ms-excel" && is_csv { "text/csv".to_owned() } else { name })
}

/// All names of a type.
pub(crate) fn names(content_type: &str) -> impl Iterator<Item = &str> {
    let aliases = find(content_type).map_or(&[][..], |media| media.aliases);
    once(content_type).chain(aliases.iter().copied())
}

/// Whether browsers show files of a type without executing anything.
fn is_inert(content_type: &str) -> bool {
    find(content_type).is_some_and(|media| media.is_inert)
}

/// The disposition that was asked for, unless a browser could execute the file.
pub(crate) fn safe(wanted: Disposition, content_type: &str) -> Disposition {
    if is_inert(content_type) { wanted } else { Disposition::Attachment }
}

/// The `Content-Type` for browsers, which guess the charset of a text if none is given.
pub(crate) fn served_as<'t>(content_type: &'t str, charset: Option<&str>) -> Cow<'t, str> {
    match charset {
        Some(charset) => format!("{content_type}; charset={charset}").into(),
        None => content_type.into(),
    }
}

/// The name under which a file is saved: its own, with an extension that fits its type. Otherwise an image called `evil.html` would be
/// opened as a page; Windows reserves some names for devices and drops trailing full stops.
pub(crate) fn saved_as<'n>(filename: &'n str, content_type: &str) -> Cow<'n, str> {
    let name = filename.trim_end_matches(['.', ' ']);
    let mut saved: Cow<'n, str> = match missing_extension(name, content_type) {
        None => name.into(),
        Some(extension) => with_extension(name, extension).into(),
    };
    if is_device(name) {
        saved.to_mut().insert(0, '_');
    }
    saved
}

fn extension(filename: &str) -> Option<&str> {
    filename.rsplit_once('.').map(|(_, extension)| extension)
}

/// The extension to append so that a name fits the type. An unknown extension fits a type whose extensions are unknown.
fn missing_extension(name: &str, content_type: &str) -> Option<&'static str> {
    let own = extension(name);
    let fits = |known: &[&str]| {
        own.is_some_and(|own| known.iter().any(|extension| extension.eq_ignore_ascii_case(own)))
    };
    let known = find(content_type)
        .map(|media| media.extensions)
        .or_else(|| mime_guess::get_mime_extensions_str(content_type));
    match known {
        Some(known) if fits(known) => None,
        Some(known) => known.first().copied(),
        None => own.filter(|own| mime_guess::from_ext(own).first_raw().is_some()).map(|_| "bin"),
    }
}

/// Length of the longest file name on most systems, in characters.
const LONGEST: usize = 255;

fn with_extension(name: &str, extension: &str) -> String {
    let stem: String = name.chars().take(LONGEST - 1 - extension.len()).collect();
    format!("{stem}.{extension}")
}

/// Whether Windows reserves the name for a device, whatever its extension ("Naming Files, Paths, and Namespaces").
fn is_device(filename: &str) -> bool {
    const DEVICES: [&str; 6] = ["con", "prn", "aux", "nul", "conin$", "conout$"];
    let stem = filename.split('.').next().unwrap_or_default().trim_end().to_lowercase();
    let is_port = |name: &str| {
        let number = stem
            .strip_prefix(name)
            .and_then(|number| number.chars().next().filter(|_| number.chars().count() == 1));
        number.is_some_and(|number| number.is_ascii_digit() || "¹²³".contains(number))
    };
    DEVICES.contains(&&*stem) || is_port("com") || is_port("lpt")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::settings::UploadSettings;

    #[test]
    fn a_name_means_one_type() {
        let mut names = BTreeSet::new();
        for media in TYPES {
            for name in once(media.name).chain(media.aliases.iter().copied()) {
                assert!(names.insert(name), "{name}");
                assert_eq!(canonical(name).as_deref(), Some(media.name));
                assert_eq!(name, name.to_ascii_lowercase());
            }
            assert!(!media.extensions.is_empty(), "{}", media.name);
        }
        let settings: UploadSettings = configuration::defaults(()).unwrap();
        for content_type in settings.allowed_types {
            assert_eq!(canonical(&content_type), Some(content_type));
        }
    }

    #[test]
    fn types_compare_as_their_standard_says() {
        for (declared, means) in [
            ("TEXT/CSV", "text/csv"),
            ("text/csv;charset=utf-8;", "text/csv"),
            ("Text/CSV ; CharSet=\"Windows-1252\"; header=present", "text/csv"),
            ("text/plain; charset=us-ascii", "text/plain"),
            ("video/webm;codecs=\"vp8, opus\"", "video/webm"),
            ("image/jpg", "image/jpeg"),
            ("application/x-zip-compressed", "application/zip"),
            ("audio/mp3", "audio/mpeg"),
            ("audio/x-wav", "audio/wav"),
            ("application/x-own", "application/x-own"),
        ] {
            assert_eq!(canonical(declared).as_deref(), Some(means), "{declared}");
        }
        for other in [
            "image/png; charset=utf-8",
            "text/plain; format=flowed",
            "text/plain; charset",
            "video/mp4; x=y",
            "application/json; charset=utf-8",
        ] {
            assert_eq!(canonical(other), None, "{other}");
        }
    }

    #[test]
    fn a_csv_file_is_one_although_excel_is_installed() {
        let of = |filename| canonical_of("application/vnd.ms-excel", filename).unwrap();
        assert_eq!(
            (of("a.CSV"), of("a.xls")),
            ("text/csv".to_owned(), "application/vnd.ms-excel".to_owned())
        );
    }

    #[test]
    fn a_name_ends_as_its_type_does() {
        for (filename, content_type, saved) in [
            ("harbour.png", "image/png", "harbour.png"),
            ("HARBOUR.JPEG", "image/jpeg", "HARBOUR.JPEG"),
            ("evil.html", "image/png", "evil.html.png"),
            ("a.png.exe", "image/png", "a.png.exe.png"),
            ("a.png.", "image/png", "a.png"),
            ("a.html. . .", "image/png", "a.html.png"),
            ("a.html\u{200b}", "image/png", "a.html\u{200b}.png"),
            ("photo", "image/jpeg", "photo.jpg"),
            ("notes.log", "text/plain", "notes.log"),
            ("run.bat", "text/plain", "run.bat.txt"),
            ("page.svg", "text/plain", "page.svg.txt"),
            ("report.doc", "application/msword", "report.doc"),
            ("report.exe", "application/x-own", "report.exe.bin"),
            ("report.own", "application/x-own", "report.own"),
            ("report", "application/x-own", "report"),
            ("CON.png", "image/png", "_CON.png"),
            ("con", "image/png", "_con.png"),
            ("nul.tar.zip", "application/zip", "_nul.tar.zip"),
            ("Com1 .png", "image/png", "_Com1 .png"),
            ("LPT³.png", "image/png", "_LPT³.png"),
            ("com10.png", "image/png", "com10.png"),
            ("console.png", "image/png", "console.png"),
            ("Übersicht.pdf", "application/pdf", "Übersicht.pdf"),
        ] {
            assert_eq!(saved_as(filename, content_type), saved, "{filename} {content_type}");
        }
        let long = saved_as(&"ß".repeat(255), "image/png").into_owned();
        assert_eq!((long.chars().count(), extension(&long)), (255, Some("png")));
    }

    proptest! {
        #[test]
        fn no_name_is_saved_as_another_type(name in "[^./\\\\ ][^/\\\\]{0,12}(\\.html|\\.exe|\\.|\\. |)", at in 0..TYPES.len()) {
            let saved = saved_as(&name, TYPES[at].name).into_owned();
            let ending = extension(&saved).unwrap().to_ascii_lowercase();
            prop_assert!(TYPES[at].extensions.contains(&&*ending), "{} {}", name, saved);
            prop_assert!(!is_device(&saved));
        }
    }

    #[test]
    fn what_a_browser_could_run_is_not_inert() {
        for content_type in
            ["image/png", "image/avif", "video/mp4", "audio/mpeg", "audio/x-wav", "text/plain"]
        {
            assert!(is_inert(content_type), "{content_type}");
        }
        for content_type in [
            "image/svg+xml",
            "text/html",
            "text/csv",
            "application/pdf",
            "application/xhtml+xml",
            "text/xml",
            "video/unheard-of",
            "",
        ] {
            assert!(!is_inert(content_type), "{content_type}");
        }
    }
}
