//! `pcsnet fetch`, against a server on this machine that answers as the Hugging Face hub does.

mod support;

use predicates::prelude::*;
use predicates::str::contains;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use support::*;

const CONTENT: &[u8] = b"abc";
/// Of `abc`, from FIPS 180-2.
const SHA256: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
const NAME: &str = "resnet18.tv_in1k.safetensors";
const PARTIAL: &str = "resnet18.tv_in1k.ba7816bf8f01.partial";

#[derive(Clone, Copy)]
struct Hub {
    content: &'static [u8],
    states_hash: bool,
    knows_ranges: bool,
    /// Ends the connection after so many bytes of content.
    breaks_after: usize,
    /// Keeps the connection open instead.
    stalls: bool,
}

/// How long a server that stalls does so.
const STALL: std::time::Duration = std::time::Duration::from_secs(60);

const SOUND: Hub =
    Hub { content: CONTENT, states_hash: true, knows_ranges: true, breaks_after: usize::MAX, stalls: false };

impl Hub {
    /// Serves in the background; gives the address and the requests so far: method, path and range of each.
    fn start(self) -> (String, Arc<Mutex<Vec<String>>>) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = format!("http://{}", listener.local_addr().expect("an address"));
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = requests.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                self.answer(stream.expect("a connection"), &seen);
            }
        });
        (address, requests)
    }

    fn answer(self, mut stream: TcpStream, seen: &Mutex<Vec<String>>) {
        let lines: Vec<String> = BufReader::new(&stream)
            .lines()
            .map(|line| line.expect("a line"))
            .take_while(|line| !line.is_empty())
            .collect();
        let request = lines[0].trim_end_matches(" HTTP/1.1").to_owned();
        let range = lines.iter().find_map(|line| line.to_lowercase().strip_prefix("range: bytes=").map(str::to_owned));
        seen.lock().expect("unpoisoned").push(format!("{request} {}", range.clone().unwrap_or_default()));
        let size = self.content.len();
        let (head, content) = if request.starts_with("HEAD") {
            let hash = if self.states_hash { format!("X-Linked-Etag: \"{SHA256}\"\r\n") } else { String::new() };
            let location = "Location: /stored\r\nContent-Length: 0\r\n";
            (format!("302 Found\r\n{location}{hash}X-Linked-Size: {}\r\n", CONTENT.len()), &b""[..])
        } else if let (Some(range), true) = (range, self.knows_ranges) {
            let start: usize = range.trim_end_matches('-').parse().expect("an open range");
            let head =
                format!("Content-Range: bytes {start}-{}/{size}\r\nContent-Length: {}\r\n", size - 1, size - start);
            (format!("206 Partial Content\r\n{head}"), &self.content[start..])
        } else {
            (format!("200 OK\r\nContent-Length: {size}\r\n"), self.content)
        };
        let content = &content[..content.len().min(self.breaks_after)];
        stream.write_all(format!("HTTP/1.1 {head}Connection: close\r\n\r\n").as_bytes()).expect("sent");
        stream.write_all(content).expect("sent");
        if self.stalls && !request.starts_with("HEAD") {
            std::thread::sleep(STALL);
        }
    }
}

fn fetch(folder: &Path, address: &str) -> assert_cmd::assert::Assert {
    fetch_with(folder, address, &[])
}

fn fetch_with(folder: &Path, address: &str, options: &[&str]) -> assert_cmd::assert::Assert {
    let mut command = pcsnet(folder);
    command.args(["fetch", "resnet18"]).args(options).env("HF_ENDPOINT", address);
    // Even where this machine reaches the world through a proxy.
    command.env("NO_PROXY", "127.0.0.1").env("no_proxy", "127.0.0.1");
    command.assert()
}

fn files(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("a folder");
    entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8")).collect()
}

#[test]
fn a_file_is_fetched_once() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (address, requests) = SOUND.start();
    let says =
        || contains(SHA256).and(contains("python -m pcsnet_torch export --backbone ./resnet18.tv_in1k.safetensors"));
    fetch(folder.path(), &address).success().stdout(says());
    assert_eq!(fs::read(folder.path().join(NAME)).expect("the file"), CONTENT);
    assert_eq!(files(folder.path()), [NAME]);
    fetch(folder.path(), &address).success().stdout(says());
    let path = "/timm/resnet18.tv_in1k/resolve/main/model.safetensors";
    let seen = requests.lock().expect("unpoisoned").clone();
    assert_eq!(seen, [format!("HEAD {path} "), format!("GET {path} 0-"), format!("HEAD {path} ")]);
}

#[test]
fn an_interrupted_download_goes_on() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (breaking, _) = Hub { breaks_after: 2, ..SOUND }.start();
    fetch(folder.path(), &breaking).failure().stderr(contains("interrupted; start it again to go on from"));
    assert_eq!(fs::read(folder.path().join(PARTIAL)).expect("the first part"), b"ab");
    let (address, requests) = SOUND.start();
    fetch(folder.path(), &address).success();
    assert!(requests.lock().expect("unpoisoned")[1].ends_with(" 2-"));
    assert_eq!(fs::read(folder.path().join(NAME)).expect("the file"), CONTENT);
    assert_eq!(files(folder.path()), [NAME]);
}

#[test]
fn no_more_is_taken_than_was_announced_and_no_longer_waited() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    // Three bytes are stated, and these are the right ones.
    let (address, _) = Hub { content: b"abc and much more", ..SOUND }.start();
    fetch(folder.path(), &address).success();
    assert_eq!(fs::read(folder.path().join(NAME)).expect("the file"), CONTENT);

    let folder = tempfile::tempdir().expect("a temporary folder");
    let (address, _) = Hub { breaks_after: 1, stalls: true, ..SOUND }.start();
    let start = std::time::Instant::now();
    fetch_with(folder.path(), &address, &["--timeout", "0.5"])
        .failure()
        .stderr(contains("1 of 3 bytes came within 0.5 s"));
    assert!(start.elapsed() < STALL);
}

#[test]
fn a_server_without_ranges_sends_all_again() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::write(folder.path().join(PARTIAL), "zz").expect("written");
    let (address, _) = Hub { knows_ranges: false, ..SOUND }.start();
    fetch(folder.path(), &address).success();
    assert_eq!(fs::read(folder.path().join(NAME)).expect("the file"), CONTENT);
}

#[test]
fn what_is_not_the_hubs_file_is_not_kept() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (address, _) = Hub { content: b"abd", ..SOUND }.start();
    fetch(folder.path(), &address).failure().stderr(contains(format!("expected {SHA256}")));
    assert!(files(folder.path()).is_empty());
    fs::write(folder.path().join(NAME), "mine").expect("written");
    let (address, _) = SOUND.start();
    fetch(folder.path(), &address).failure().stderr(contains("is another file than the hub's"));
    assert_eq!(fs::read(folder.path().join(NAME)).expect("the file"), b"mine");
}

#[test]
fn servers_that_cannot_help_are_told() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (address, _) = Hub { states_hash: false, ..SOUND }.start();
    fetch(folder.path(), &address).failure().stderr(contains("states no SHA-256"));
    fetch(folder.path(), "http://127.0.0.1:1").failure().stderr(contains("cannot reach http://127.0.0.1:1/timm"));
}
