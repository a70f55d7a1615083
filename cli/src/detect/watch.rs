//! A folder whose new images are inspected as they finish writing, and the record of those that were.

use crate::images::{Image, Stamp};
use crate::output;
use crate::pipeline::Source;
use anyhow::{Context, Result};
use pcsnet::data::is_image;
use serde::Deserialize;
use std::collections::{HashMap, VecDeque};
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use walkdir::WalkDir;

/// How often the folder is looked at; where looking takes long, less often.
const POLL: Duration = Duration::from_millis(200);

/// Images of a folder and those below, each once it has stopped changing.
///
/// The folder is looked at again and again, which works on network drives too, where no system tells of changes.
pub struct Watch<'a> {
    folder: PathBuf,
    /// The output folder, which is not searched.
    out: PathBuf,
    /// Files that were handed out, and as which version.
    known: HashMap<PathBuf, Stamp>,
    /// Files that are still changing, and when they last did.
    changing: HashMap<PathBuf, (Stamp, Instant)>,
    ready: VecDeque<(PathBuf, Stamp)>,
    /// How long a file must stay as it is.
    settle: Duration,
    /// How long to wait for something new.
    idle: Option<Duration>,
    last_news: Instant,
    stop: &'a AtomicBool,
}

impl<'a> Watch<'a> {
    /// Watches `folder`, but not `out`; `done` are the files that earlier runs did, by their place in the folder.
    pub fn new(
        folder: &Path,
        out: &Path,
        done: HashMap<PathBuf, Stamp>,
        settle: Duration,
        idle: Option<Duration>,
        stop: &'a AtomicBool,
    ) -> Result<Self> {
        let cannot = || format!("cannot watch {}", folder.display());
        fs::read_dir(folder).with_context(cannot)?;
        Ok(Self {
            folder: folder.to_owned(),
            out: out.canonicalize().with_context(|| format!("cannot read {}", out.display()))?,
            known: done,
            changing: HashMap::new(),
            ready: VecDeque::new(),
            settle,
            idle,
            last_news: Instant::now(),
            stop,
        })
    }

    /// Looks at all files once.
    fn look(&mut self) {
        let now = Instant::now();
        let mut present = HashMap::new();
        let out = &self.out;
        let walk = WalkDir::new(&self.folder).min_depth(1).into_iter().filter_entry(|entry| {
            let hidden = entry.file_name().to_string_lossy().starts_with('.');
            let is_out = || entry.file_type().is_dir() && entry.path().canonicalize().is_ok_and(|path| path == *out);
            !hidden && !is_out()
        });
        // A file that vanishes while it is looked at is looked at again next time.
        for entry in walk.flatten().filter(|entry| entry.file_type().is_file() && is_image(entry.path())) {
            let Some(stamp) = Stamp::of(entry.path()) else { continue };
            let Ok(name) = entry.path().strip_prefix(&self.folder) else { continue };
            present.insert(name.to_owned(), stamp);
        }
        let mut settled = Vec::new();
        for (name, &stamp) in &present {
            if self.known.get(name) == Some(&stamp) {
                continue;
            }
            let since = match self.changing.get(name) {
                Some(&(before, since)) if before == stamp => since,
                _ => {
                    self.last_news = now;
                    self.changing.insert(name.clone(), (stamp, now));
                    now
                }
            };
            if stamp.bytes > 0 && now - since >= self.settle {
                settled.push((stamp.modified, name.clone(), stamp));
            }
        }
        settled.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
        for (_, name, stamp) in settled {
            self.changing.remove(&name);
            self.known.insert(name.clone(), stamp);
            self.ready.push_back((name, stamp));
        }
        self.known.retain(|name, _| present.contains_key(name));
        self.changing.retain(|name, _| present.contains_key(name));
    }

    fn is_over(&self) -> bool {
        let idle = self.idle.is_some_and(|idle| self.last_news.elapsed() >= idle + self.settle);
        self.stop.load(Ordering::Relaxed) || (idle && self.changing.is_empty())
    }
}

impl Iterator for Watch<'_> {
    type Item = Result<(Image, Source)>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some((name, stamp)) = self.ready.pop_front() {
                self.last_news = Instant::now();
                let path = self.folder.join(&name);
                return Some(Ok((Image { path: path.clone(), name, version: Some(stamp) }, Source::File(path))));
            }
            let start = Instant::now();
            self.look();
            if self.ready.is_empty() {
                if self.is_over() {
                    return None;
                }
                thread::sleep(POLL.max(start.elapsed() * 5));
            }
        }
    }
}

/// The JSON lines of a watched folder: one for each image that was done, appended whole. After a kill the next run goes
/// on behind the last one.
pub struct Record {
    file: File,
    path: PathBuf,
}

/// What is read back of a line.
#[derive(Deserialize)]
struct Line {
    name: PathBuf,
    file: Option<Stamp>,
}

impl Record {
    /// Opens the record, and tells which images it holds. A line that a kill cut short is taken out.
    pub fn open(path: &Path) -> Result<(Self, HashMap<PathBuf, Stamp>)> {
        let cannot = || format!("cannot read {}", path.display());
        let text = match fs::read(path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error).with_context(cannot),
        };
        let whole = text.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
        if whole < text.len() {
            output::write(path, |file| Ok(file.write_all(&text[..whole])?))?;
        }
        let lines = text[..whole].split(|&byte| byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok());
        let done = lines.filter_map(|Line { name, file }| Some((name, file?))).collect();
        let file = OpenOptions::new().create(true).append(true).open(path);
        let file = file.with_context(|| format!("cannot write {}", path.display()))?;
        Ok((Self { file, path: path.to_owned() }, done))
    }

    /// Appends a line, which must end as one.
    pub fn append(&mut self, line: &str) -> Result<()> {
        self.file.write_all(line.as_bytes()).with_context(|| format!("cannot write {}", self.path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_come_once_they_rest() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let out = folder.path().join("out");
        fs::create_dir(&out).expect("writable");
        let stop = AtomicBool::new(false);
        let watch = |done, idle: u64| {
            let (settle, idle) = (Duration::from_millis(300), Duration::from_millis(idle));
            Watch::new(folder.path(), &out, done, settle, Some(idle), &stop).expect("a folder")
        };
        fs::write(folder.path().join("a.png"), "1").expect("writable");
        fs::write(folder.path().join("notes.txt"), "1").expect("writable");
        fs::write(folder.path().join(".b.png"), "1").expect("writable");
        fs::write(out.join("c.png"), "1").expect("writable");
        let slow = folder.path().join("slow.png");
        let names: Vec<_> = thread::scope(|scope| {
            // Still growing when the other has long been done.
            scope.spawn(|| {
                let mut file = File::create(&slow).expect("writable");
                for _ in 0..8 {
                    file.write_all(b"12345").expect("writable");
                    thread::sleep(Duration::from_millis(150));
                }
            });
            let names = watch(HashMap::new(), 1500).map(|item| {
                let (image, _) = item.expect("an image");
                (image.name.display().to_string(), fs::metadata(image.path).expect("a file").len())
            });
            names.collect()
        });
        assert_eq!(names, [("a.png".to_owned(), 1), ("slow.png".to_owned(), 40)]);

        let stamp = Stamp::of(&slow).expect("a file");
        let known: HashMap<_, _> = [("slow.png".into(), stamp)].into();
        let names: Vec<_> = watch(known, 0).map(|item| item.expect("an image").0.name).collect();
        assert_eq!(names, [Path::new("a.png")], "what was done is not done again");
        stop.store(true, Ordering::Relaxed);
        let mut stopped = Watch::new(folder.path(), &out, HashMap::new(), POLL, None, &stop).expect("a folder");
        assert!(stopped.next().is_none());
    }

    #[test]
    fn a_record_that_was_cut_short() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("scores.jsonl");
        let line =
            |name: &str| format!("{{\"name\":\"{name}\",\"score\":1.5,\"file\":{{\"bytes\":3,\"modified\":7}}}}\n");
        fs::write(&path, line("a.png") + &line("b.png")[..20]).expect("writable");
        let (mut record, done) = Record::open(&path).expect("readable");
        assert_eq!(done, [(PathBuf::from("a.png"), Stamp { bytes: 3, modified: 7 })].into());
        record.append(&line("b.png")).expect("writable");
        assert_eq!(fs::read_to_string(&path).expect("readable"), line("a.png") + &line("b.png"));
        assert_eq!(Record::open(&path).expect("readable").1.len(), 2);
    }
}
