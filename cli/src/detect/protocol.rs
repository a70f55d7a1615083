//! The ways in which images come in on the standard input, apart from what is done with them: lines, and files' bytes,
//! PNG files as they are, others each behind their length.

use anyhow::{Context, Result, ensure};
use pcsnet::image::MAX_BYTES;
use std::io::{BufRead, ErrorKind, Read};

/// How a PNG file begins. As a length it is more than is read, so that the two cannot be mistaken.
const PNG: [u8; 4] = *b"\x89PNG";

/// Bytes of the longest line that can be a path.
pub(crate) const LONGEST_PATH: usize = 1 << 16;

/// The next line without its end, cut off behind what can be a path; `None` at the end of the input.
pub(crate) fn next_line(reader: &mut impl BufRead) -> std::io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    // With room for the end of the line, so that whether it is too long can be told.
    let mut found = reader.by_ref().take(LONGEST_PATH as u64 + 3).read_until(b'\n', &mut line)?;
    if found == 0 {
        return Ok(None);
    }
    let mut rest = Vec::new();
    while found > 0 && line.last() != Some(&b'\n') && rest.last() != Some(&b'\n') {
        rest.clear();
        found = reader.by_ref().take(1 << 16).read_until(b'\n', &mut rest)?;
    }
    let end = line.iter().rposition(|byte| !b"\r\n".contains(byte));
    line.truncate(end.map_or(0, |at| at + 1));
    Ok(Some(line))
}

/// The next image file's bytes; `None` at the end of the input.
///
/// # Errors
/// Where the input ends inside an image, `count` by number, or announces more bytes than are read.
pub(crate) fn next_image(reader: &mut impl BufRead, count: u64) -> Result<Option<Vec<u8>>> {
    let cannot = || format!("cannot read image {count} from the standard input");
    if reader.fill_buf().with_context(cannot)?.is_empty() {
        return Ok(None);
    }
    let mut length = [0; 4];
    reader.read_exact(&mut length).map_err(cut_short).with_context(cannot)?;
    if length == PNG {
        return rest_of_png(reader, count).map(Some);
    }
    let length = u64::from(u32::from_le_bytes(length));
    ensure!(
        length <= MAX_BYTES,
        "image {count} on the standard input should have {length} bytes, at most {MAX_BYTES} are read; each image but \
         PNG must follow its length as 4 bytes, the lowest first"
    );
    let mut bytes = Vec::new();
    let found = reader.take(length).read_to_end(&mut bytes).with_context(cannot)?;
    ensure!(
        found as u64 == length,
        "the standard input ended inside image {count}, which has {length} bytes, after {found}"
    );
    Ok(Some(bytes))
}

/// A PNG file of which [`PNG`] was read: the rest of its signature, and chunks until the last one. What is in them is
/// for the decoder to judge.
fn rest_of_png(reader: &mut impl BufRead, count: u64) -> Result<Vec<u8>> {
    let mut bytes = PNG.to_vec();
    let mut take = |bytes: &mut Vec<u8>, length: u64| -> Result<()> {
        ensure!(
            bytes.len() as u64 + length <= MAX_BYTES,
            "image {count} on the standard input has more than {MAX_BYTES} bytes, the most that is read"
        );
        let found = reader.by_ref().take(length).read_to_end(bytes);
        let found = found.with_context(|| format!("cannot read image {count} from the standard input"))?;
        ensure!(found as u64 == length, "the standard input ended inside image {count}, a PNG file");
        Ok(())
    };
    take(&mut bytes, 4)?;
    loop {
        take(&mut bytes, 8)?;
        let (length, kind) = bytes[bytes.len() - 8..].split_at(4);
        let length = length.iter().fold(0, |length, byte| length << 8 | u64::from(*byte));
        let is_last = kind == b"IEND";
        // The data and their checksum.
        take(&mut bytes, length + 4)?;
        if is_last {
            return Ok(bytes);
        }
    }
}

fn cut_short(error: std::io::Error) -> anyhow::Error {
    match error.kind() {
        ErrorKind::UnexpectedEof => anyhow::anyhow!("the input ended inside its length"),
        _ => error.into(),
    }
}
