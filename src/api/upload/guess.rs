//! The type of a file by its name: the common ones, so that no package is
//! needed for them.

use std::path::Path;

use super::OCTETS;

/// The media type that the extension of this name stands for (SPEC B5).
pub(crate) fn guess(path: &Path) -> &'static str {
    let extension = path.extension().and_then(|extension| extension.to_str());
    let Some(extension) = extension else {
        return OCTETS;
    };
    TYPES
        .iter()
        .find(|(names, _)| {
            names
                .split(' ')
                .any(|name| name.eq_ignore_ascii_case(extension))
        })
        .map_or(OCTETS, |(_, content_type)| content_type)
}

/// Extensions and what they stand for, as registered with IANA where that is
/// so. Of text it is not known how it is encoded, so nothing is said of that.
const TYPES: &[(&str, &str)] = &[
    // Text and data.
    ("txt text log", "text/plain"),
    ("htm html", "text/html"),
    ("css", "text/css"),
    ("csv", "text/csv"),
    ("js mjs", "text/javascript"),
    ("md markdown", "text/markdown"),
    ("ics", "text/calendar"),
    ("vcf", "text/vcard"),
    ("json map", "application/json"),
    ("jsonld", "application/ld+json"),
    ("geojson", "application/geo+json"),
    ("xml xsl", "application/xml"),
    ("xhtml", "application/xhtml+xml"),
    ("yaml yml", "application/yaml"),
    ("toml", "application/toml"),
    ("sql", "application/sql"),
    ("sqlite sqlite3", "application/vnd.sqlite3"),
    ("wasm", "application/wasm"),
    ("webmanifest", "application/manifest+json"),
    // Pictures.
    ("jpg jpeg", "image/jpeg"),
    ("png", "image/png"),
    ("gif", "image/gif"),
    ("webp", "image/webp"),
    ("avif", "image/avif"),
    ("svg", "image/svg+xml"),
    ("bmp", "image/bmp"),
    ("ico", "image/vnd.microsoft.icon"),
    ("tif tiff", "image/tiff"),
    ("heic", "image/heic"),
    // Sound and film.
    ("mp3", "audio/mpeg"),
    ("m4a", "audio/mp4"),
    ("aac", "audio/aac"),
    ("flac", "audio/flac"),
    ("oga ogg opus", "audio/ogg"),
    ("wav", "audio/wav"),
    ("weba", "audio/webm"),
    ("mid midi", "audio/midi"),
    ("mp4 m4v", "video/mp4"),
    ("mpg mpeg", "video/mpeg"),
    ("webm", "video/webm"),
    ("ogv", "video/ogg"),
    ("mov qt", "video/quicktime"),
    ("avi", "video/x-msvideo"),
    ("mkv", "video/matroska"),
    // Fonts.
    ("ttf", "font/ttf"),
    ("otf", "font/otf"),
    ("woff", "font/woff"),
    ("woff2", "font/woff2"),
    // Documents.
    ("pdf", "application/pdf"),
    ("ps eps", "application/postscript"),
    ("rtf", "application/rtf"),
    ("epub", "application/epub+zip"),
    ("doc dot", "application/msword"),
    ("xls", "application/vnd.ms-excel"),
    ("ppt", "application/vnd.ms-powerpoint"),
    (
        "docx",
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    ),
    (
        "xlsx",
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ),
    (
        "pptx",
        "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    ),
    ("odt", "application/vnd.oasis.opendocument.text"),
    ("ods", "application/vnd.oasis.opendocument.spreadsheet"),
    ("odp", "application/vnd.oasis.opendocument.presentation"),
    // Archives.
    ("zip", "application/zip"),
    ("gz tgz", "application/gzip"),
    ("bz2", "application/x-bzip2"),
    ("xz", "application/x-xz"),
    ("zst", "application/zstd"),
    ("tar", "application/x-tar"),
    ("7z", "application/x-7z-compressed"),
    ("jar", "application/java-archive"),
];

#[cfg(all(test, not(loom)))]
mod tests {
    use std::collections::HashSet;

    use http::HeaderValue;

    use super::*;

    #[test]
    fn a_name_stands_for_a_type() {
        // SPEC B5
        for (name, want) in [
            ("photo.jpeg", "image/jpeg"),
            ("/a/b.c/PHOTO.JPG", "image/jpeg"),
            ("archive.tar.gz", "application/gzip"),
            ("notes.txt", "text/plain"),
            ("page.html", "text/html"),
            ("no extension", OCTETS),
            (".json", OCTETS),
            ("strange.xyzzy", OCTETS),
            ("dot.", OCTETS),
            ("two.txt text", OCTETS),
            ("", OCTETS),
        ] {
            assert_eq!(guess(Path::new(name)), want, "{name}");
        }
    }

    #[test]
    fn each_extension_stands_for_one_type_that_can_be_sent() {
        let mut seen = HashSet::new();
        for (names, content_type) in TYPES {
            assert!(
                HeaderValue::from_str(content_type).is_ok(),
                "{content_type}"
            );
            assert_eq!(content_type.split('/').count(), 2, "{content_type}");
            for name in names.split(' ') {
                assert_eq!(name, name.to_ascii_lowercase());
                assert!(seen.insert(name), "{name} is there twice");
            }
        }
    }
}
