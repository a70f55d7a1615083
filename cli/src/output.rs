//! What the command shows, and its files, which appear whole or not at all: each is written under another name in the
//! same folder, then renamed.

use crate::monitor::{Monitor, Progress};
use anyhow::{Context, Result, ensure};
use image::RgbImage;
use image::codecs::png::PngEncoder;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{LazyLock, OnceLock};
use std::time::Duration;
use tempfile::NamedTempFile;

/// Who hears what [`complain`] says, where that is not the terminal.
static LISTENER: OnceLock<fn(&str)> = OnceLock::new();
/// The progress bars on the terminal, which make way for lines.
static BARS: LazyLock<MultiProgress> = LazyLock::new(MultiProgress::new);

/// Has `listener` told what would be said on stderr, from any thread, for as long as the program runs.
pub fn listen(listener: fn(&str)) {
    // Who listens first goes on listening.
    LISTENER.set(listener).ok();
}

/// Whether another program listens, which this one must not end.
pub(crate) fn is_hosted() -> bool {
    LISTENER.get().is_some()
}

/// Makes a folder, with those above it, and makes sure that files can be written there.
pub(crate) fn ensure_writable(folder: &Path) -> Result<()> {
    let cannot = || format!("cannot write into the output folder {}", folder.display());
    fs::create_dir_all(folder).with_context(cannot)?;
    temporary_in(folder).with_context(cannot)?;
    Ok(())
}

/// Makes a file's folder, with those above it, and makes sure that the file can be written there.
pub(crate) fn ensure_file_writable(path: &Path) -> Result<()> {
    ensure!(!path.is_dir(), "cannot write {}: it is a folder", path.display());
    ensure_writable(folder_of(path))
}

/// Writes a file through `fill`, replacing one of that name. The folder is made where it is missing.
pub(crate) fn write(path: &Path, fill: impl FnOnce(&mut dyn Write) -> Result<()>) -> Result<()> {
    write_then_rename(path, fill).with_context(|| format!("cannot write {}", path.display()))
}

fn write_then_rename(path: &Path, fill: impl FnOnce(&mut dyn Write) -> Result<()>) -> Result<()> {
    let folder = folder_of(path);
    fs::create_dir_all(folder)?;
    let temporary = temporary_in(folder)?;
    let mut file = BufWriter::new(temporary.as_file());
    fill(&mut file)?;
    file.into_inner().map_err(io::IntoInnerError::into_error)?;
    temporary.persist(path)?;
    Ok(())
}

/// Writes a picture as PNG.
pub(crate) fn write_png(path: &Path, picture: &RgbImage) -> Result<()> {
    // In memory first: through the encoder a full disk would come back as words alone.
    let bytes = png(picture)?;
    write(path, |file| Ok(file.write_all(&bytes)?))
}

/// A picture as a PNG file's bytes.
///
/// # Errors
/// For a picture without pixels.
pub fn png(picture: &RgbImage) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    picture.write_with_encoder(PngEncoder::new(&mut bytes))?;
    Ok(bytes)
}

/// Writes a map of `[height, width]`, row-major, as NumPy's `.npy` (version 1.0, float32).
pub(crate) fn write_npy(path: &Path, map: &[f32], shape: [u32; 2]) -> Result<()> {
    write(path, |file| {
        file.write_all(&npy_header(shape))?;
        map.iter().try_for_each(|value| file.write_all(&value.to_le_bytes()))?;
        Ok(())
    })
}

/// A progress bar on stderr; indicatif hides it where that is no terminal.
pub(crate) fn progress_bar(template: &str, length: usize, message: String) -> ProgressBar {
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    BARS.add(ProgressBar::new(length as u64).with_style(style).with_message(message))
}

/// Does a piece of work behind a progress bar, which ends early once `stop` is set.
pub(crate) fn with_bar<T>(template: &str, stop: &AtomicBool, work: impl FnOnce(Monitor<'_>) -> Result<T>) -> Result<T> {
    let bar = progress_bar(template, 0, String::new());
    let on_progress = |Progress { step, done, total }| {
        bar.set_length(total as u64);
        bar.set_position(done as u64);
        bar.set_message(step);
    };
    let done = work(Monitor { on_progress: &on_progress, stop });
    bar.finish_and_clear();
    done
}

/// Prints a text to stdout; a reader that has seen enough, as `head`, is no error.
pub(crate) fn print(text: &str) -> Result<()> {
    match io::stdout().lock().write_all(printable(text).as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error).context("cannot write to stdout"),
        _ => Ok(()),
    }
}

/// Prints a line to stderr, above any progress bar, or tells whoever listens instead.
pub(crate) fn complain(line: &str) {
    match LISTENER.get() {
        Some(listener) => listener(line),
        None => BARS.suspend(|| eprintln!("{}", printable(line))),
    }
}

/// A text whose control characters are written as JSON would escape them, but for the ends of lines: names of files and
/// words of metadata must not move a terminal's cursor, colour it or turn its text around.
fn printable(text: &str) -> Cow<'_, str> {
    let steers = |character: char| {
        let turns = matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        (character.is_control() && character != '\n') || turns
    };
    if !text.contains(steers) {
        return Cow::Borrowed(text);
    }
    let escaped = |character: char| match steers(character) {
        true => format!("\\u{:04x}", u32::from(character)),
        false => character.to_string(),
    };
    Cow::Owned(text.chars().map(escaped).collect())
}

/// A text for a cell of a CSV file. Spreadsheets would compute one that begins like a formula; an apostrophe in front
/// tells them that it is text.
pub(crate) fn cell(text: &str) -> Cow<'_, str> {
    match text.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        true => Cow::Owned(format!("'{text}")),
        false => Cow::Borrowed(text),
    }
}

/// Whether nothing more can be written because the disk, or the user's part of it, is full.
pub(crate) fn is_disk_full(error: &anyhow::Error) -> bool {
    let full = [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded];
    error.chain().filter_map(|cause| cause.downcast_ref::<io::Error>()).any(|cause| full.contains(&cause.kind()))
}

/// Reads an argument that is a time in seconds.
pub(crate) fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.trim().parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    seconds.ok_or_else(|| "a number of seconds is expected, such as 0.5".to_owned())
}

/// The folder a file lies in.
pub(crate) fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    }
}

fn temporary_in(folder: &Path) -> io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".pcsnet-");
    // Temporary files are for their owner's eyes only; this one becomes an ordinary file, so the umask decides.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(folder)
}

/// Magic, version, length of the description, and the description, padded so that the values start at a multiple of 64.
fn npy_header([height, width]: [u32; 2]) -> Vec<u8> {
    const BEFORE: usize = 10;
    let mut description = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({height}, {width}), }}");
    let padded = (BEFORE + description.len() + 1).next_multiple_of(64) - BEFORE;
    description = format!("{description:<width$}\n", width = padded - 1);
    [b"\x93NUMPY\x01\x00".as_slice(), &(padded as u16).to_le_bytes(), description.as_bytes()].concat()
}

/// The SHA-256 of a file's bytes, as hexadecimal digits.
pub(crate) fn sha256_of(path: &Path) -> Result<String> {
    let cannot_read = || format!("cannot read {}", path.display());
    let mut file = File::open(path).with_context(cannot_read)?;
    let mut hasher = Sha256::new();
    io::copy(&mut file, &mut HashWriter(&mut hasher)).with_context(cannot_read)?;
    Ok(hexadecimal(&hasher.finalize()))
}

/// The SHA-256 of bytes, as hexadecimal digits.
pub(crate) fn sha256_of_bytes(bytes: &[u8]) -> String {
    hexadecimal(&Sha256::digest(bytes))
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

struct HashWriter<'a>(&'a mut Sha256);

impl Write for HashWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names_in(folder: &Path) -> Vec<String> {
        let name = |entry: io::Result<fs::DirEntry>| entry.expect("an entry").file_name().to_string_lossy().into();
        fs::read_dir(folder).expect("a readable folder").map(name).collect()
    }

    #[test]
    fn names_do_not_steer_the_terminal_or_a_spreadsheet() {
        assert_eq!(
            printable("a\u{1b}[2Jb\u{9b}31m\u{202e}gpj.png\u{7f}\n"),
            "a\\u001b[2Jb\\u009b31m\\u202egpj.png\\u007f\n"
        );
        assert!(matches!(printable("ordinary: Teil-Nr. 5, \u{fc}\n"), Cow::Borrowed(_)));
        let json = printable("{\"path\":\"a\u{9b}b\"}").into_owned();
        assert_eq!(serde_json::from_str::<serde_json::Value>(&json).expect("still JSON")["path"], "a\u{9b}b");
        for formula in ["=HYPERLINK(\"x\")", "+1", "-2+3", "@SUM(A1)", "\t=1"] {
            assert_eq!(cell(formula), format!("'{formula}"));
        }
        assert_eq!(cell("good/a=b.png"), "good/a=b.png");
    }

    #[test]
    fn a_failure_leaves_the_old_file() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("deeper").join("scores.csv");
        write(&path, |file| Ok(file.write_all(b"old")?)).expect("writable");
        let failure = write(&path, |file| {
            file.write_all(b"ne")?;
            anyhow::bail!("no more")
        });
        assert!(failure.expect_err("fails").to_string().contains("scores.csv"));
        assert_eq!(fs::read(&path).expect("readable"), b"old");
        assert_eq!(names_in(&folder.path().join("deeper")), ["scores.csv"]);
    }

    #[test]
    fn npy_values_are_aligned() {
        for side in [1, 64, 224, 4096] {
            let header = npy_header([side, 3 * side]);
            assert_eq!(header.len() % 64, 0);
            assert_eq!(header.len(), 10 + usize::from(u16::from_le_bytes([header[8], header[9]])));
            assert!(header.ends_with(b"\n"));
        }
    }
}
