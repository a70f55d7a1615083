//! A folder whose new images are inspected as they finish writing, and the record of those that were.

use crate::images::{Image, Stamp, Version};
use crate::output;
use crate::pipeline::Source;
use anyhow::{Context, Result};
use pcsnet::data::is_image;
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, HashSet, VecDeque};
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};
use walkdir::WalkDir;

/// How often the folder is looked at; where looking takes long, less often.
const POLL: Duration = Duration::from_millis(200);
/// A file that is not sound or lacks a part, or ends in zeros as one does whose room was taken before its content came,
/// must rest so many times as long as others.
const DOUBTFUL: u32 = 10;
/// How many zeros at its end make a file doubtful.
const ZEROS: usize = 4096;
/// The file in the output folder that says after a kill what was under way.
const UNDER_WAY: &str = ".under-way.jsonl";
/// An image under way in so many runs that did not come to its end is not tried again.
const MOST_TRIES: usize = 2;

/// How long a watched folder is waited for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// How long a file must stay as it is.
    pub settle: Duration,
    /// How long to wait for something new, if not for ever.
    pub idle: Option<Duration>,
}

/// A file's content under a name: what gets one answer. Names as in the record, where they are text.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Content {
    name: String,
    sha256: String,
}

impl Content {
    fn new(name: &Path, sha256: &str) -> Self {
        Self { name: name.to_string_lossy().into_owned(), sha256: sha256.to_owned() }
    }
}

/// Images of a folder and those below, each once it is whole.
///
/// The folder is looked at again and again, which works on network drives too, where no system tells of changes.
pub(crate) struct Watch<'a> {
    folder: PathBuf,
    /// The output folder, which is not searched.
    out: PathBuf,
    /// What earlier runs and this one have an answer to, or are about to.
    done: HashSet<Content>,
    /// Versions that need not be looked into again.
    known: HashMap<PathBuf, Stamp>,
    /// Files that are still changing, or cannot be read yet.
    changing: HashMap<PathBuf, Resting>,
    ready: VecDeque<(PathBuf, Version)>,
    patience: Patience,
    last_news: Instant,
    under_way: Arc<UnderWay>,
    stop: &'a AtomicBool,
}

/// A file since it last changed.
#[derive(Clone, Debug)]
struct Resting {
    stamp: Stamp,
    since: Instant,
    /// The hash of its content when it was first looked into.
    sha256: Option<String>,
    /// Whether it could not be read as an image.
    is_refused: bool,
}

impl<'a> Watch<'a> {
    /// Watches `folder`, but not `out`; `done` is what earlier runs did.
    pub(crate) fn new(
        folder: &Path,
        out: &Path,
        done: HashSet<Content>,
        patience: Patience,
        stop: &'a AtomicBool,
    ) -> Result<Self> {
        let cannot = || format!("cannot watch {}", folder.display());
        fs::read_dir(folder).with_context(cannot)?;
        Ok(Self {
            folder: folder.to_owned(),
            out: out.canonicalize().with_context(|| format!("cannot read {}", out.display()))?,
            under_way: Arc::new(UnderWay::open(&out.join(UNDER_WAY), &done)?),
            done,
            known: HashMap::new(),
            changing: HashMap::new(),
            ready: VecDeque::new(),
            patience,
            last_news: Instant::now(),
            stop,
        })
    }

    /// The list of images under way, which is to be told what became of each.
    pub(crate) fn under_way(&self) -> Arc<UnderWay> {
        Arc::clone(&self.under_way)
    }

    /// Looks at all files once.
    fn look(&mut self) {
        let Some(present) = self.present() else { return };
        self.known.retain(|name, _| present.contains_key(name));
        self.changing.retain(|name, _| present.contains_key(name));
        for name in self.under_way.take_refused() {
            if let Some(resting) = self.changing.get_mut(&name) {
                resting.is_refused = true;
                self.known.remove(&name);
            }
        }
        let mut settled = Vec::new();
        for (name, stamp) in present {
            if self.known.get(&name) != Some(&stamp)
                && let Some(version) = self.settled(&name, stamp)
            {
                settled.push((name, version));
            }
        }
        settled.sort_by(|(a, first), (b, second)| (first.stamp.modified, a).cmp(&(second.stamp.modified, b)));
        self.ready.extend(settled);
    }

    /// All images' places in the folder and their versions; `None` where the folder has gone, as a share may for a
    /// while.
    fn present(&self) -> Option<HashMap<PathBuf, Stamp>> {
        fs::read_dir(&self.folder).ok()?;
        let out = &self.out;
        let walk = WalkDir::new(&self.folder).min_depth(1).into_iter().filter_entry(|entry| {
            let hidden = entry.file_name().to_string_lossy().starts_with('.');
            let is_out = || entry.file_type().is_dir() && entry.path().canonicalize().is_ok_and(|path| path == *out);
            !hidden && !is_out()
        });
        // A file that vanishes while it is looked at is looked at again next time.
        let images = walk.flatten().filter(|entry| entry.file_type().is_file() && is_image(entry.path()));
        let placed = images.filter_map(|entry| {
            let name = entry.path().strip_prefix(&self.folder).ok()?.to_owned();
            Some((name, Stamp::of(entry.path())?))
        });
        Some(placed.collect())
    }

    /// The file's version if it has come to rest and has no answer yet.
    fn settled(&mut self, name: &Path, stamp: Stamp) -> Option<Version> {
        let now = Instant::now();
        let resting = match self.changing.get(name) {
            Some(resting) if resting.stamp == stamp => resting.clone(),
            _ => {
                self.last_news = now;
                let resting = Resting { stamp, since: now, sha256: None, is_refused: false };
                self.changing.insert(name.to_owned(), resting);
                return None;
            }
        };
        let rest = now - resting.since;
        let due = if resting.is_refused { self.patience.settle * DOUBTFUL } else { self.patience.settle };
        if resting.sha256.is_some() && rest < due {
            return None;
        }
        // Sizes and times alone do not tell that a file is still written to on every file system.
        let bytes = fs::read(self.folder.join(name)).ok()?;
        let sha256 = output::sha256_of_bytes(&bytes);
        let is_same = resting.sha256.as_ref().is_none_or(|former| *former == sha256);
        let entry = self.changing.get_mut(name)?;
        entry.sha256 = Some(sha256.clone());
        if !is_same {
            *entry = Resting { since: now, is_refused: false, ..entry.clone() };
            return None;
        }
        let is_last_try = rest >= self.patience.settle * DOUBTFUL;
        if resting.sha256.is_none() || rest < due || (is_doubtful(&bytes) && !is_last_try) {
            return None;
        }
        if self.done.contains(&Content::new(name, &sha256)) {
            self.changing.remove(name);
            self.known.insert(name.to_owned(), stamp);
            return None;
        }
        // Until it is known what becomes of it, nothing more is to be done.
        self.known.insert(name.to_owned(), stamp);
        Some(Version { stamp, sha256, is_last_try })
    }

    /// The image of a version, if it is still that.
    fn read(&mut self, name: PathBuf, version: Version) -> Option<(Image, Source)> {
        let path = self.folder.join(&name);
        let bytes = fs::read(&path).ok().filter(|bytes| output::sha256_of_bytes(bytes) == version.sha256);
        let Some(bytes) = bytes else {
            self.known.remove(&name);
            return None;
        };
        self.last_news = Instant::now();
        let shown = path.display().to_string();
        let tries = self.under_way.begin(&name, &version.sha256);
        let source = match tries {
            MOST_TRIES.. => Source::Unreadable(shown, "given up: the program ended whenever this was inspected"),
            _ if version.is_last_try => Source::Bytes(shown, bytes),
            _ => Source::Growing(shown, bytes),
        };
        let version = Version { is_last_try: version.is_last_try || tries >= MOST_TRIES, ..version };
        Some((Image { path, name, version: Some(version) }, source))
    }

    fn is_over(&self) -> bool {
        let Patience { settle, idle } = self.patience;
        let idle = idle.is_some_and(|idle| self.last_news.elapsed() >= idle + settle);
        self.stop.load(Ordering::Relaxed)
            || (idle && self.ready.is_empty() && self.changing.is_empty() && self.under_way.is_empty())
    }

    /// Forgets files that have their answer.
    fn note_answers(&mut self) {
        for content in self.under_way.take_answered() {
            self.changing.retain(|name, resting| {
                resting.sha256.as_ref().is_none_or(|sha256| Content::new(name, sha256) != content)
            });
            self.done.insert(content);
        }
    }
}

/// Whether a file looks as one whose room was taken before its content came.
fn is_doubtful(bytes: &[u8]) -> bool {
    let end = &bytes[bytes.len().saturating_sub(ZEROS)..];
    end.iter().all(|&byte| byte == 0)
}

impl Iterator for Watch<'_> {
    type Item = Result<(Image, Source)>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            self.note_answers();
            if self.stop.load(Ordering::Relaxed) {
                return None;
            }
            // What a run may have ended with is tried alone, so that nothing else is blamed for it.
            let alone =
                self.ready.front().is_some_and(|(name, version)| self.under_way.tries(name, &version.sha256) > 0);
            if (!(alone || self.under_way.has_suspect()) || self.under_way.is_empty())
                && let Some((name, version)) = self.ready.pop_front()
            {
                match self.read(name, version) {
                    Some(item) => return Some(Ok(item)),
                    None => continue,
                }
            }
            let start = Instant::now();
            if self.ready.is_empty() {
                self.look();
                if self.ready.is_empty() && self.is_over() {
                    return None;
                }
            }
            if self.ready.is_empty() || !self.under_way.is_empty() {
                thread::sleep(if self.ready.is_empty() { POLL.max(start.elapsed() * 5) } else { POLL / 20 });
            }
        }
    }
}

/// The images that were handed out and have no answer yet, and those that were so when an earlier run was killed.
pub(crate) struct UnderWay {
    state: Mutex<State>,
    /// How often each was under way when a run ended without its answer.
    tries: HashMap<Content, usize>,
}

struct State {
    file: File,
    open: HashSet<Content>,
    answered: Vec<Content>,
    refused: Vec<PathBuf>,
}

impl UnderWay {
    fn open(path: &Path, done: &HashSet<Content>) -> Result<Self> {
        let cannot = || format!("cannot write {}", path.display());
        let mut tries = HashMap::new();
        let text = fs::read(path).unwrap_or_default();
        for line in text.split(|&byte| byte == b'\n') {
            if let Ok(content) = serde_json::from_slice::<Content>(line)
                && !done.contains(&content)
            {
                *tries.entry(content).or_default() += 1;
            }
        }
        let file = OpenOptions::new().create(true).append(true).open(path).with_context(cannot)?;
        let state = State { file, open: HashSet::new(), answered: Vec::new(), refused: Vec::new() };
        Ok(Self { state: Mutex::new(state), tries })
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tries(&self, name: &Path, sha256: &str) -> usize {
        self.tries.get(&Content::new(name, sha256)).copied().unwrap_or(0)
    }

    /// Whether one of those under way was under way when an earlier run was killed.
    fn has_suspect(&self) -> bool {
        self.state().open.iter().any(|content| self.tries.contains_key(content))
    }

    fn is_empty(&self) -> bool {
        self.state().open.is_empty()
    }

    /// Writes down that an image is about to be inspected; tells how often this was so in vain.
    fn begin(&self, name: &Path, sha256: &str) -> usize {
        let content = Content::new(name, sha256);
        let mut state = self.state();
        if let Ok(line) = serde_json::to_string(&content) {
            // Where it cannot be written, a kill is merely not remembered; a full disk is told by the record itself.
            state.file.write_all((line + "\n").as_bytes()).and_then(|()| state.file.sync_data()).ok();
        }
        state.open.insert(content);
        self.tries(name, sha256)
    }

    /// Takes note that an image has come to an end; it comes again where that was not final.
    pub(crate) fn finish(&self, image: &Image, is_final: bool) {
        let Some(version) = &image.version else { return };
        let content = Content::new(&image.name, &version.sha256);
        let mut state = self.state();
        state.open.remove(&content);
        if is_final {
            state.answered.push(content);
        } else {
            state.refused.push(image.name.clone());
        }
        if state.open.is_empty() && self.tries.is_empty() {
            state.file.set_len(0).ok();
        }
    }

    fn take_answered(&self) -> Vec<Content> {
        std::mem::take(&mut self.state().answered)
    }

    fn take_refused(&self) -> Vec<PathBuf> {
        std::mem::take(&mut self.state().refused)
    }
}

/// The JSON lines of a watched folder: one for each image that was done, appended whole. After a kill the next run goes
/// on behind the last one.
pub(crate) struct Record {
    file: File,
    path: PathBuf,
}

/// What is read back of a line.
#[derive(Deserialize)]
struct Line {
    name: String,
    file: Option<Version>,
}

impl Record {
    /// Opens the record, and tells which images it holds. A line that a kill cut short is taken out.
    pub(crate) fn open(path: &Path) -> Result<(Self, HashSet<Content>)> {
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
        let done = lines.filter_map(|Line { name, file }| Some(Content { name, sha256: file?.sha256 })).collect();
        let file = OpenOptions::new().create(true).append(true).open(path);
        let file = file.with_context(|| format!("cannot write {}", path.display()))?;
        Ok((Self { file, path: path.to_owned() }, done))
    }

    /// Begins a new record, in the place of one that is there.
    pub(crate) fn create(path: &Path) -> Result<Self> {
        let file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Self { file, path: path.to_owned() })
    }

    /// Appends a line, which must end as one.
    pub(crate) fn append(&mut self, line: &str) -> Result<()> {
        self.file.write_all(line.as_bytes()).with_context(|| format!("cannot write {}", self.path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTLE: Duration = Duration::from_millis(100);

    fn millis(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    struct Folder {
        root: tempfile::TempDir,
        stop: AtomicBool,
    }

    impl Folder {
        fn new() -> Self {
            let root = tempfile::tempdir().expect("a temporary folder");
            fs::create_dir_all(root.path().join("in/out")).expect("writable");
            Self { root, stop: AtomicBool::new(false) }
        }

        fn path(&self, name: &str) -> PathBuf {
            self.root.path().join("in").join(name)
        }

        fn write(&self, name: &str, bytes: &[u8]) {
            fs::write(self.path(name), bytes).expect("writable");
        }

        fn watch(&self, done: HashSet<Content>, idle: u64) -> Watch<'_> {
            let patience = Patience { settle: SETTLE, idle: Some(millis(idle)) };
            Watch::new(&self.path(""), &self.path("out"), done, patience, &self.stop).expect("a folder")
        }

        /// What comes until nothing more does: names and contents. Those that `refuse` says are no image come back.
        fn all(&self, idle: u64, refuse: impl Fn(&[u8]) -> bool) -> Vec<(String, Vec<u8>)> {
            let watch = self.watch(HashSet::new(), idle);
            let under_way = watch.under_way();
            let mut answers = Vec::new();
            for item in watch {
                let (image, source) = item.expect("an image");
                let (Source::Bytes(_, bytes) | Source::Growing(_, bytes)) = source else { panic!("{source:?}") };
                let is_final = !refuse(&bytes) || image.version.as_ref().is_some_and(|version| version.is_last_try);
                under_way.finish(&image, is_final);
                if is_final {
                    answers.push((image.name.display().to_string(), bytes));
                }
            }
            answers
        }
    }

    fn answer(name: &str, bytes: &[u8]) -> (String, Vec<u8>) {
        (name.to_owned(), bytes.to_owned())
    }

    #[test]
    fn files_come_once_they_rest() {
        let folder = Folder::new();
        folder.write("a.png", b"1");
        folder.write("notes.txt", b"1");
        folder.write(".b.png", b"1");
        folder.write("out/c.png", b"1");
        let names = thread::scope(|scope| {
            // Still growing when the other has long been done.
            scope.spawn(|| {
                let mut file = File::create(folder.path("slow.png")).expect("writable");
                for _ in 0..8 {
                    file.write_all(b"12345").expect("writable");
                    thread::sleep(millis(60));
                }
            });
            folder.all(1500, |_| false)
        });
        assert_eq!(names, [answer("a.png", b"1"), answer("slow.png", &b"12345".repeat(8))]);
        let done = [Content::new(Path::new("slow.png"), &output::sha256_of_bytes(&b"12345".repeat(8)))].into();
        let mut again = folder.watch(done, 0);
        let (image, _) = again.next().expect("another").expect("an image");
        assert_eq!(image.name, Path::new("a.png"));
        again.under_way().finish(&image, true);
        assert!(again.next().is_none(), "what was done is not done again");
        folder.stop.store(true, Ordering::Relaxed);
        assert!(folder.watch(HashSet::new(), 0).next().is_none());
    }

    #[test]
    fn a_file_that_is_not_whole_yet_gets_one_answer() {
        let folder = Folder::new();
        folder.write("reserved.png", &[0; 2 * ZEROS]);
        folder.write("part.png", b"half");
        folder.write("empty.png", b"");
        folder.write("broken.png", b"half of another");
        let answers = thread::scope(|scope| {
            scope.spawn(|| {
                thread::sleep(millis(600));
                let whole = [vec![0; ZEROS], vec![7; ZEROS]].concat();
                folder.write("reserved.png", &whole);
                folder.write("part.png", b"half and half");
            });
            folder.all(2000, |bytes| bytes.starts_with(b"half") && bytes != b"half and half")
        });
        let mut names: Vec<_> = answers.iter().map(|(name, bytes)| (name.as_str(), bytes.len())).collect();
        names.sort();
        let expected = [("broken.png", 15), ("empty.png", 0), ("part.png", 13), ("reserved.png", 2 * ZEROS)];
        assert_eq!(names, expected);
        assert_eq!(answers.iter().find(|(name, _)| name == "reserved.png").expect("whole").1[ZEROS], 7);
    }

    #[test]
    fn a_folder_that_goes_away_and_returns_is_not_done_again() {
        let folder = Folder::new();
        folder.write("a.png", b"1");
        let away = folder.root.path().join("away");
        let answers = thread::scope(|scope| {
            scope.spawn(|| {
                thread::sleep(millis(900));
                fs::rename(folder.path(""), &away).expect("renamed");
                thread::sleep(millis(600));
                fs::rename(&away, folder.path("")).expect("renamed");
                // As a share may, with other times.
                folder.write("a.png", b"1");
                folder.write("b.png", b"1");
            });
            folder.all(2500, |_| false)
        });
        assert_eq!(answers, [answer("a.png", b"1"), answer("b.png", b"1")]);
    }

    #[test]
    fn what_ended_the_program_twice_is_given_up() {
        let folder = Folder::new();
        for name in ["a.png", "b.png"] {
            folder.write(name, name.as_bytes());
        }
        let handed_out = |watch: &mut Watch<'_>| watch.next().expect("an image").expect("an image");
        // Both are under way when the first run is killed.
        let mut first = folder.watch(HashSet::new(), 0);
        handed_out(&mut first);
        handed_out(&mut first);
        drop(first);
        // Alone the second time; the first of them ends the program.
        let mut second = folder.watch(HashSet::new(), 0);
        let (culprit, source) = handed_out(&mut second);
        assert!(matches!(source, Source::Growing(..)));
        drop(second);
        let mut third = folder.watch(HashSet::new(), 0);
        let mut sources = HashMap::new();
        for _ in 0..2 {
            let (image, source) = handed_out(&mut third);
            third.under_way().finish(&image, true);
            sources.insert(image.name, source);
        }
        assert!(third.next().is_none());
        let given_up = |source: &Source| matches!(source, Source::Unreadable(_, reason) if reason.contains("given up"));
        for (name, source) in sources {
            assert_eq!(given_up(&source), name == culprit.name, "{name:?}");
        }
    }

    #[test]
    fn a_record_that_was_cut_short() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("scores.jsonl");
        let line = |name: &str| {
            format!("{{\"name\":\"{name}\",\"score\":1.5,\"file\":{{\"bytes\":3,\"modified\":7,\"sha256\":\"ab\"}}}}\n")
        };
        fs::write(&path, line("a.png") + &line("b.png")[..20]).expect("writable");
        let (mut record, done) = Record::open(&path).expect("readable");
        assert_eq!(done, [Content::new(Path::new("a.png"), "ab")].into());
        record.append(&line("b.png")).expect("writable");
        assert_eq!(fs::read_to_string(&path).expect("readable"), line("a.png") + &line("b.png"));
        assert_eq!(Record::open(&path).expect("readable").1.len(), 2);
    }
}
