//! Images named on, or read from, the standard input.

use super::protocol::{LONGEST_PATH, next_image, next_line};
use crate::images::Image;
use crate::pipeline::Source;
use anyhow::{Context, Result};
use std::io::BufRead;
use std::path::{Component, Path, PathBuf};

/// What the standard input holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Input {
    /// A path on each line.
    Paths,
    /// Image files' bytes: PNG files as they are, others each after its length as 4 bytes, the lowest first.
    Images,
}

/// The images that come in, until the input ends.
pub(crate) fn images(
    input: Input,
    mut reader: impl BufRead + Send,
) -> impl Iterator<Item = Result<(Image, Source)>> + Send {
    let mut count = 0;
    std::iter::from_fn(move || match input {
        Input::Paths => next_path(&mut reader).transpose(),
        Input::Images => {
            count += 1;
            let image = |bytes| {
                let name = format!("{count:06}");
                (Image { name: (&name).into(), path: (&name).into(), version: None }, Source::Bytes(name, bytes))
            };
            Some(next_image(&mut reader, count).transpose()?.map(image))
        }
    })
}

fn next_path(reader: &mut impl BufRead) -> Result<Option<(Image, Source)>> {
    loop {
        let Some(line) = next_line(reader).context("cannot read paths from the standard input")? else {
            return Ok(None);
        };
        if line.is_empty() {
            continue;
        }
        let text = String::from_utf8_lossy(&line[..line.len().min(100)]).into_owned();
        let path = if line.len() > LONGEST_PATH { Err("this line is too long for a path") } else { to_path(line) };
        return Ok(Some(match path {
            Ok(path) => (Image { name: below(&path), path: path.clone(), version: None }, Source::File(path)),
            Err(reason) => {
                let image = Image { name: below(Path::new(&text)), path: PathBuf::from(&text), version: None };
                (image, Source::Unreadable(text, reason))
            }
        }));
    }
}

#[cfg(unix)]
fn to_path(line: Vec<u8>) -> Result<PathBuf, &'static str> {
    use std::os::unix::ffi::OsStringExt;
    Ok(std::ffi::OsString::from_vec(line).into())
}

#[cfg(not(unix))]
fn to_path(line: Vec<u8>) -> Result<PathBuf, &'static str> {
    String::from_utf8(line).map(Into::into).map_err(|_| "this path is not UTF-8")
}

/// A path's place below the output folder.
fn below(path: &Path) -> PathBuf {
    let part = |part: Component<'_>| match part {
        Component::Normal(name) => Some(PathBuf::from(name)),
        Component::ParentDir => Some(PathBuf::from("__")),
        _ => None,
    };
    path.components().filter_map(part).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(input: Input, bytes: &[u8]) -> Vec<Result<(Image, Source)>> {
        images(input, bytes).take(10).collect()
    }

    #[test]
    fn paths() {
        let found = all(Input::Paths, b"a.png\r\n\n/b/../c d.png");
        let names: Vec<_> =
            found.iter().map(|item| item.as_ref().expect("a path").0.name.display().to_string()).collect();
        assert_eq!(names, ["a.png", "b/__/c d.png"]);
        assert!(matches!(&found[1], Ok((_, Source::File(path))) if path == Path::new("/b/../c d.png")));
    }

    #[test]
    fn no_line_ends_the_others() {
        let endless = "x".repeat(200_000);
        let input = [b"a.png\n".as_slice(), endless.as_bytes(), b"\nf\xfc.png\nb.png"].concat();
        let found = all(Input::Paths, &input);
        let sources: Vec<_> = found.into_iter().map(|item| item.expect("a line").1).collect();
        assert_eq!(sources.len(), 4);
        assert!(
            matches!(&sources[1], Source::Unreadable(name, reason) if name.len() == 100 && reason.contains("too long"))
        );
        assert!(matches!(&sources[3], Source::File(path) if path == Path::new("b.png")));
        #[cfg(unix)]
        assert!(matches!(&sources[2], Source::File(path) if path.as_os_str().as_encoded_bytes() == b"f\xfc.png"));
    }

    #[test]
    fn framed_images() {
        let found = all(Input::Images, b"\x03\0\0\0abc\0\0\0\0\x01\0\0\0x");
        let bytes = |item: &Result<(Image, Source)>| match &item.as_ref().expect("an image").1 {
            Source::Bytes(_, bytes) => bytes.clone(),
            other => panic!("{other:?}"),
        };
        assert_eq!(found.iter().map(bytes).collect::<Vec<_>>(), [b"abc".to_vec(), b"".to_vec(), b"x".to_vec()]);
        assert_eq!(found[2].as_ref().expect("an image").0.name, Path::new("000003"));
    }

    #[test]
    fn png_files_one_after_another() {
        let mut png = Vec::new();
        let encoder = image::codecs::png::PngEncoder::new(&mut png);
        image::RgbImage::new(3, 2).write_with_encoder(encoder).expect("a PNG file");
        let input = [&png[..], &png, b"\x03\0\0\0abc", &png].concat();
        let bytes = |item: Result<(Image, Source)>| match item.expect("an image").1 {
            Source::Bytes(_, bytes) => bytes,
            other => panic!("{other:?}"),
        };
        let found: Vec<_> = all(Input::Images, &input).into_iter().map(bytes).collect();
        assert_eq!(found, [png.clone(), png.clone(), b"abc".to_vec(), png.clone()]);
        let cut = all(Input::Images, &png[..png.len() - 1]).remove(0).expect_err("cut short").to_string();
        assert_eq!(cut, "the standard input ended inside image 1, a PNG file");
        let endless = [b"\x89PNG\r\n\x1a\n\xff\xff\xff\xffIDAT".as_slice(), &[0; 99]].concat();
        let refusal = all(Input::Images, &endless).remove(0).expect_err("endless").to_string();
        assert!(refusal.contains("more than 1073741824 bytes"), "{refusal}");
    }

    #[test]
    fn broken_frames_are_told() {
        let reason = |bytes: &[u8]| format!("{:#}", all(Input::Images, bytes).remove(0).expect_err("broken"));
        assert!(reason(b"\x05\0\0\0abc").contains("ended inside image 1, which has 5 bytes, after 3"));
        assert!(reason(b"\x05\0").contains("the input ended inside its length"));
        assert!(reason(b"\xff\xd8\xff\xe0").contains("at most 1073741824 are read"));
    }
}
