//! What has come so far, on the disk: the part, and notes of what it is.
//!
//! At any moment either the notes tell what the bytes in the part are of, or
//! they say that nobody knows: they are changed in one step, and first to the
//! latter where the bytes are to change as well. A part without notes is
//! somebody else's file.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use url::Url;

use crate::error::without_credentials;

/// The first line of the notes.
const TITLE: &str = "miohttp download 1";

/// No notes are longer.
const MAX_NOTES: u64 = 64 * 1024;

#[derive(Debug)]
pub(super) struct Part {
    whole: PathBuf,
    part: PathBuf,
    notes: PathBuf,
    /// Without credentials.
    url: String,
    /// Open at its end.
    file: File,
    length: u64,
    is_patched: bool,
    /// With it the server can tell whether it still has the same file.
    validator: Option<String>,
    total: Option<u64>,
}

impl Part {
    /// What there is for this URL at this path, or nothing yet.
    pub(super) fn open(whole: &Path, url: &Url) -> io::Result<Self> {
        let beside = |suffix: &str| {
            let mut name = OsString::from(whole.as_os_str());
            name.push(suffix);
            PathBuf::from(name)
        };
        let (part, notes) = (beside(".part"), beside(".part.notes"));
        let url = without_credentials(url).to_string();
        let known = match read_notes(&notes)? {
            Some(known) => known.filter(|known| known.url == url),
            None if fs::symlink_metadata(&part).is_ok() => {
                let message = format!("{} is not of a download", part.display());
                return Err(io::Error::new(io::ErrorKind::AlreadyExists, message));
            }
            None => {
                // The notes come before the part: see above.
                write_notes(&notes, &render(None, None, &url))?;
                None
            }
        };
        let file = open_part(&part)?;
        let length = file.metadata()?.len();
        let mut opened = Self {
            whole: whole.to_owned(),
            part,
            notes,
            url,
            file,
            length,
            is_patched: length > 0,
            validator: None,
            total: None,
        };
        match known {
            Some(known) if known.total.is_none_or(|total| length <= total) => {
                opened.validator = known.validator;
                opened.total = known.total;
            }
            _ => {}
        }
        if opened.validator.is_none() {
            opened.begin(None, None)?;
        }
        Ok(opened)
    }

    /// Whether it was put together of parts.
    pub(super) fn is_patched(&self) -> bool {
        self.is_patched
    }

    /// Bytes that are there.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Bytes of the whole file, where known.
    pub(super) fn total(&self) -> Option<u64> {
        self.total
    }

    /// The validator, if there is something that can be gone on with.
    pub(super) fn resumable(&self) -> Option<&str> {
        self.validator.as_deref().filter(|_| self.length > 0)
    }

    /// What is there is nothing; what comes is of this file.
    pub(super) fn begin(
        &mut self,
        validator: Option<String>,
        total: Option<u64>,
    ) -> io::Result<()> {
        if self.length > 0 || self.file.metadata()?.len() > 0 {
            write_notes(&self.notes, &render(None, None, &self.url))?;
            self.file.set_len(0)?;
        }
        self.length = 0;
        self.is_patched = false;
        self.validator = validator;
        self.total = total;
        let notes = render(self.validator.as_deref(), total, &self.url);
        write_notes(&self.notes, &notes)
    }

    /// Whether a whole of this length can be what the part is of: then what
    /// comes goes behind what is there.
    pub(super) fn accepts(&mut self, total: Option<u64>) -> Option<()> {
        match (self.total, total) {
            (Some(known), Some(told)) if known != told => return None,
            (None, Some(_)) => self.total = total,
            _ => {}
        }
        self.is_patched = true;
        Some(())
    }

    pub(super) fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)?;
        self.length += bytes.len() as u64;
        Ok(())
    }

    /// Whether it is as long as what was written: another download of the same
    /// file at the same time would have mixed its own bytes in.
    pub(super) fn is_ours(&self) -> io::Result<bool> {
        Ok(self.file.metadata()?.len() == self.length)
    }

    /// The hash of what is on the disk.
    #[cfg(feature = "digest")]
    pub(super) fn sha256(&self) -> io::Result<String> {
        use std::io::Read;

        let mut hasher = crate::digest::Hash::Sha256.start();
        let mut file = File::open(&self.part)?;
        let mut piece = vec![0; 128 * 1024];
        loop {
            match file.read(&mut piece)? {
                0 => return Ok(hasher.hex()),
                n => hasher.update(&piece[..n]),
            }
        }
    }

    /// Nothing of it is of use.
    pub(super) fn discard(self) -> io::Result<()> {
        drop(self.file);
        remove(&self.part)?;
        remove(&self.notes)
    }

    /// Gives it its name.
    pub(super) fn finish(self, overwrite: bool) -> io::Result<()> {
        self.file.sync_all()?;
        drop(self.file);
        if overwrite {
            fs::rename(&self.part, &self.whole)?;
        } else {
            // A rename would replace what came meanwhile; a link does not.
            match fs::hard_link(&self.part, &self.whole) {
                Ok(()) => remove(&self.part)?,
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Err(error),
                // Not every file system has links.
                Err(_) if fs::symlink_metadata(&self.whole).is_err() => {
                    fs::rename(&self.part, &self.whole)?;
                }
                Err(_) => return Err(io::ErrorKind::AlreadyExists.into()),
            }
        }
        remove(&self.notes)?;
        // So that the name is on the disk, too. Not every system can.
        let folder = self
            .whole
            .parent()
            .filter(|path| !path.as_os_str().is_empty());
        if let Ok(folder) = File::open(folder.unwrap_or(Path::new("."))) {
            let _ = folder.sync_all();
        }
        Ok(())
    }
}

/// At its end, for what comes next.
fn open_part(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.append(true).create(true).open(path)
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Notes {
    url: String,
    validator: Option<String>,
    total: Option<u64>,
}

fn render(validator: Option<&str>, total: Option<u64>, url: &str) -> String {
    let mut text = format!("{TITLE}\nurl {url}\n");
    if let Some(validator) = validator {
        text += &format!("validator {validator}\n");
    }
    if let Some(total) = total {
        text += &format!("length {total}\n");
    }
    // Without it they were cut short.
    text + "end\n"
}

/// In one step, whatever happens.
fn write_notes(path: &Path, text: &str) -> io::Result<()> {
    let mut name = OsString::from(path.as_os_str());
    name.push(".new");
    let new = PathBuf::from(name);
    let mut file = File::create(&new)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    drop(file);
    fs::rename(&new, path)
}

/// `None`: there are none. `Some(None)`: they say nothing.
fn read_notes(path: &Path) -> io::Result<Option<Option<Notes>>> {
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
        Ok(there) if !there.is_file() || there.len() > MAX_NOTES => return Ok(None),
        Ok(_) => {}
    }
    let text = fs::read(path)?;
    let text = String::from_utf8_lossy(&text);
    match text.lines().next() == Some(TITLE) {
        true => Ok(Some(parse_notes(&text))),
        false => Ok(None),
    }
}

fn parse_notes(text: &str) -> Option<Notes> {
    let lines = text.strip_suffix("end\n")?.lines().skip(1);
    let mut notes = Notes {
        url: String::new(),
        validator: None,
        total: None,
    };
    for line in lines {
        let (name, value) = line.split_once(' ')?;
        match name {
            "url" => notes.url = value.to_owned(),
            "validator" => notes.validator = Some(value.to_owned()),
            "length" => notes.total = Some(value.parse().ok()?),
            _ => return None,
        }
    }
    Some(notes)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn notes_are_read_as_they_were_written_and_not_by_halves() {
        for (validator, total) in [
            (None, None),
            (Some("\"a b\""), Some(0)),
            (Some("Sun, 06 Nov 1994 08:49:37 GMT"), Some(u64::MAX)),
        ] {
            let text = render(validator, total, "http://h.test/a?b");
            let notes = Notes {
                url: "http://h.test/a?b".to_owned(),
                validator: validator.map(str::to_owned),
                total,
            };
            assert_eq!(parse_notes(&text), Some(notes));
            for cut in 0..text.len() {
                assert_eq!(parse_notes(&text[..cut]), None, "{:?}", &text[..cut]);
            }
        }
        let odd = format!("{TITLE}\nurl x\nlength many\nend\n");
        assert_eq!(parse_notes(&odd), None);
    }
}
