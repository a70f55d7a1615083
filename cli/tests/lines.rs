//! The commands of docs/guides/lines.md, run by a shell as they stand there.

#![cfg(unix)]

mod support;

use serde_json::Value;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};
use support::*;

const GOOD: usize = 24;

/// A folder with a model that has a threshold and remembers good scores, and photographs, of which the last is broken.
fn line() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    // The threshold lies above all scores, and those of the calibration far below them.
    write_model_with(folder.path(), &tensors(), &[("pcsnet.threshold", "1e6"), ("pcsnet.good_scores", "-1e6,1000")]);
    fs::rename(folder.path().join("model.safetensors"), folder.path().join("part.safetensors")).expect("writable");
    for seed in 0..GOOD {
        write_picture(&folder.path().join(format!("camera/{seed:02}.png")), &picture(90, 70, seed as u32));
    }
    fs::write(folder.path().join(format!("camera/{GOOD}.png")), b"\x89PNG\r\n\x1a\nno more").expect("writable");
    let paths: Vec<String> = (0..=GOOD).map(|number| format!("camera/{number:02}.png\n")).collect();
    fs::write(folder.path().join("paths.txt"), paths.concat()).expect("writable");
    folder
}

/// What the command by itself says of the photographs.
fn expected(folder: &Path) -> Vec<Value> {
    let arguments = ["detect", "--model", "part.safetensors", "--no-pictures", "--out", "expected", "--stdin", "paths"];
    let paths = fs::read(folder.join("paths.txt")).expect("paths");
    let done = pcsnet(folder).args(arguments).write_stdin(paths).assert().code(3);
    json_lines(&done.get_output().stdout)
}

fn json_lines(bytes: &[u8]) -> Vec<Value> {
    let text = std::str::from_utf8(bytes).expect("UTF-8");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// Whether all these programs are here; says so where one is not.
fn are_here(programs: &[&str]) -> bool {
    let is_here = |program: &&str| {
        let found = Command::new("sh").args(["-c", &format!("command -v {program}")]).stdout(Stdio::null()).status();
        found.is_ok_and(|status| status.success())
    };
    let missing = programs.iter().find(|program| !is_here(program));
    missing.inspect(|program| eprintln!("skipped: there is no {program}")).is_none()
}

/// Runs the guide's command that has this text in it.
fn run(folder: &Path, text: &str, variables: &[(&str, &str)]) {
    let guide = include_str!("../../docs/guides/lines.md");
    let mut commands = guide.split("```sh\n").skip(1).filter_map(|rest| Some(rest.split_once("```")?.0));
    let command = commands.find(|command| command.contains(text)).expect("a command of the guide");
    let program = assert_cmd::cargo::cargo_bin("pcsnet");
    let here = program.parent().expect("a folder").to_owned();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths([here].into_iter().chain(std::env::split_paths(&path))).expect("paths");
    let output = Command::new("sh")
        .args(["-c", command])
        .current_dir(folder)
        .env("PATH", path)
        .env("XDG_RUNTIME_DIR", folder)
        .env("PCSNET_NO_TUNING", "true")
        .envs(variables.iter().copied())
        .output()
        .expect("a shell");
    assert!(output.status.success(), "{command}\n{}", String::from_utf8_lossy(&output.stderr));
}

/// A program that ends with the test.
struct Running(Child);

impl Running {
    fn start(command: &mut Command) -> Self {
        Self(command.spawn().expect("a program that is here"))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a free port").port()
}

/// Makes a film of the first eight photographs, at four a second.
fn film(folder: &Path, file: &str) {
    let arguments =
        ["-loglevel", "error", "-framerate", "4", "-i", "camera/%02d.png", "-frames:v", "8", "-c:v", "mpeg4"];
    let made = Command::new("ffmpeg").args(arguments).arg(file).current_dir(folder).status();
    assert!(made.expect("ffmpeg is here").success());
}

fn assert_frames(folder: &Path, count: std::ops::RangeInclusive<usize>) {
    let lines = json_lines(&fs::read(folder.join("video.jsonl")).expect("lines"));
    assert!(count.contains(&lines.len()), "{}", lines.len());
    for (number, line) in (1..).zip(&lines) {
        assert_eq!(line["path"], format!("{number:06}"));
        assert_eq!((&line["width"], &line["height"], &line["verdict"]), (&90.into(), &70.into(), &"pass".into()));
    }
    assert!(lines.iter().any(|line| line["score"] != lines[0]["score"]), "frames differ");
}

#[test]
fn a_video() {
    if !are_here(&["ffmpeg"]) {
        return;
    }
    let folder = line();
    film(folder.path(), "line.mp4");
    run(folder.path(), "$SOURCE", &[("SOURCE", "-i line.mp4")]);
    // Two seconds, of which two frames each are taken.
    assert_frames(folder.path(), 4..=5);
}

#[test]
fn a_network_camera() {
    if !are_here(&["ffmpeg"]) {
        return;
    }
    let folder = line();
    film(folder.path(), "line.mp4");
    let url = format!("rtsp://127.0.0.1:{}/line", free_port());
    // The camera calls, and again until it is answered.
    let camera =
        "until ffmpeg -loglevel quiet -re -i line.mp4 -c copy -f rtsp -rtsp_transport tcp $URL; do sleep 0.1; done";
    let _camera = Running::start(Command::new("sh").args(["-c", camera]).env("URL", &url).current_dir(folder.path()));
    run(folder.path(), "$SOURCE", &[("SOURCE", &format!("-rtsp_flags listen -rtsp_transport tcp -i {url}"))]);
    assert_frames(folder.path(), 2..=5);
}

#[test]
fn mqtt() {
    // Debian keeps it where only administrators look.
    let broker = if Path::new("/usr/sbin/mosquitto").exists() { "/usr/sbin/mosquitto" } else { "mosquitto" };
    if !are_here(&[broker, "mosquitto_pub", "mosquitto_sub"]) {
        return;
    }
    let folder = line();
    let port = free_port();
    let _broker = Running::start(Command::new(broker).args(["-p", &port.to_string()]).stderr(Stdio::null()));
    let patience = Instant::now() + Duration::from_secs(20);
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(Instant::now() < patience, "the broker does not answer");
        thread::sleep(Duration::from_millis(20));
    }
    let url = format!("mqtt://127.0.0.1:{port}/line-1/parts");
    // The broker keeps for this reader what comes after it has subscribed.
    let reader = ["-L", &url, "--id", "reader", "--disable-clean-session", "--qos", "1"];
    let subscribed = Command::new("mosquitto_sub").args(reader).arg("-E").status();
    assert!(subscribed.expect("it is here").success());
    run(folder.path(), "$BROKER", &[("BROKER", &url)]);
    let all = ["-C", &(GOOD + 1).to_string(), "-W", "30"];
    let messages = Command::new("mosquitto_sub").args(reader).args(all).output().expect("it is here");
    assert!(messages.status.success(), "not all messages came: {messages:?}");
    // A watched folder's photographs come in the order in which they were written.
    let scores = |lines: Vec<Value>| {
        let score = |line: &Value| (line["path"].as_str().expect("a path").to_owned(), line["score"].to_string());
        lines.iter().map(score).collect::<std::collections::BTreeMap<_, _>>()
    };
    assert_eq!(scores(json_lines(&messages.stdout)), scores(expected(folder.path())));
}

#[test]
fn a_webhook() {
    if !are_here(&["curl"]) {
        return;
    }
    let folder = line();
    let server = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let hook = format!("http://{}/parts", server.local_addr().expect("an address"));
    let server = thread::spawn(move || {
        // The first request is turned away: a server that has just started.
        let mut statuses = std::iter::once("503 Service Unavailable").chain(std::iter::repeat("204 No Content"));
        let answer = |request: std::io::Result<TcpStream>| {
            let mut request = request.expect("a request");
            let body = read_body(&mut request);
            let status = statuses.next().expect("there is no last one");
            write!(request, "HTTP/1.1 {status}\r\nConnection: close\r\n\r\n").expect("an answer");
            body
        };
        server.incoming().take(GOOD + 2).map(answer).collect::<Vec<_>>()
    });
    run(folder.path(), "$HOOK", &[("HOOK", &hook), ("no_proxy", "127.0.0.1")]);
    let bodies = server.join().expect("requests");
    assert_eq!(bodies[0], bodies[1], "it is sent again");
    assert_eq!(json_lines(bodies[1..].join("\n").as_bytes()), expected(folder.path()));
}

fn read_body(request: &mut TcpStream) -> String {
    let mut reader = BufReader::new(request);
    let mut length = 0;
    let mut header = String::new();
    while header != "\r\n" {
        header.clear();
        assert!(reader.read_line(&mut header).expect("a header") > 0, "the request ends in its headers");
        if let Some(bytes) = header.to_ascii_lowercase().strip_prefix("content-length:") {
            length = bytes.trim().parse().expect("a number");
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).expect("a body");
    String::from_utf8(body).expect("UTF-8")
}

#[test]
fn rows_for_a_gateway_and_an_alarm() {
    if !are_here(&["jq"]) {
        return;
    }
    let folder = line();
    let expected = expected(folder.path());
    run(folder.path(), "parts.csv", &[]);
    let table = csv::ReaderBuilder::new().has_headers(false).from_path(folder.path().join("parts.csv"));
    let rows: Vec<csv::StringRecord> = table.expect("rows").records().map(|row| row.expect("a row")).collect();
    assert_eq!(rows.len(), expected.len());
    for (row, line) in rows.iter().zip(&expected) {
        assert_eq!(row[0], *line["path"].as_str().expect("a path"));
        assert_eq!(&row[1], line["verdict"].as_str().unwrap_or("error"));
        assert_eq!(row[2].parse::<f32>().expect("a score"), line["score"].as_f64().unwrap_or_default() as f32);
        assert_eq!(&row[3], "0");
    }
    assert_eq!(&rows[GOOD][1], "error");

    // All scores are above the calibration's. By the beta-binomial distribution that has a chance of 1.7e-5 for 17
    // parts against a thousand, and of 8.9e-6 for 18.
    let alarms = expected[..GOOD].iter().map(|line| line["drift"]["alarm"].as_bool().expect("a drift"));
    assert_eq!(alarms.collect::<Vec<_>>(), (1..=GOOD).map(|parts| parts >= 18).collect::<Vec<_>>());
    run(folder.path(), "alarms.txt", &[]);
    let said = fs::read_to_string(folder.path().join("alarms.txt")).expect("alarms");
    assert_eq!(said.lines().count(), GOOD - 17);
    assert!(said.lines().all(|line| line.starts_with("scores moved from -1000000 to ")), "{said}");
}
