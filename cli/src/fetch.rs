//! `pcsnet fetch`: ImageNet weights of a backbone from the Hugging Face hub, resumed where interrupted, verified by
//! hash.

use crate::output;
use anyhow::{Context, Result, bail, ensure};
use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use std::fs::{self, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;
use ureq::http::{Response, StatusCode, header};
use ureq::{Agent, Body};

const HUB: &str = "https://huggingface.co";
const FILE: &str = "model.safetensors";

const ABOUT: &str = "\
The file is compared with the SHA-256 that the hub states for it. A download that was interrupted goes on where it \
stopped.

Environment:
  HF_ENDPOINT  another server with the hub's paths, such as a mirror (default: https://huggingface.co)";

/// Download ImageNet weights to train with.
#[derive(Args)]
#[command(after_help = ABOUT)]
pub(crate) struct Arguments {
    /// What to download
    #[arg(value_enum)]
    backbone: Backbone,
    /// Folder for the file
    #[arg(long, value_name = "DIR", default_value = ".")]
    out: PathBuf,

    /// Give up when the server takes longer for an answer, or sends next to nothing for so long
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = output::seconds)]
    timeout: Duration,
}

/// What the hub has for us: torchvision's first ImageNet weights, as timm distributes them.
#[derive(Clone, Copy, ValueEnum)]
enum Backbone {
    /// timm/wide_resnet50_2.tv_in1k: the paper's backbone
    #[value(name = "wide_resnet50_2")]
    WideResNet50,
    /// timm/resnet18.tv_in1k: a smaller one
    #[value(name = "resnet18")]
    ResNet18,
}

impl Backbone {
    fn repository(self) -> &'static str {
        match self {
            Self::WideResNet50 => "timm/wide_resnet50_2.tv_in1k",
            Self::ResNet18 => "timm/resnet18.tv_in1k",
        }
    }
}

/// What the hub says of a file.
struct Remote {
    url: String,
    /// Bytes.
    size: u64,
    sha256: String,
}

/// Runs `pcsnet fetch`.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let repository = arguments.backbone.repository();
    let hub = std::env::var("HF_ENDPOINT").unwrap_or_else(|_| HUB.into());
    let url = format!("{}/{repository}/resolve/main/{FILE}", hub.trim_end_matches('/'));
    output::ensure_writable(&arguments.out)?;
    let remote = ask(url)?;
    let name = repository.rsplit('/').next().unwrap_or(repository);
    let file = arguments.out.join(format!("{name}.safetensors"));
    if file.exists() {
        let found = output::sha256_of(&file)?;
        ensure!(
            found == remote.sha256,
            "{}: is another file than the hub's (SHA-256 {found}, the hub's is {}); move it away",
            file.display(),
            remote.sha256
        );
    } else {
        // Named after its content, so that two versions of a file never end up as one.
        let partial = arguments.out.join(format!("{name}.{}.partial", &remote.sha256[..12]));
        download(&remote, &partial, arguments.timeout)?;
        let found = output::sha256_of(&partial)?;
        if found != remote.sha256 {
            fs::remove_file(&partial).with_context(|| format!("cannot delete {}", partial.display()))?;
            bail!("{}: what came has SHA-256 {found}, expected {}; start it again", remote.url, remote.sha256);
        }
        fs::rename(&partial, &file).with_context(|| format!("cannot rename {}", partial.display()))?;
    }
    output::print(&format!(
        "{}\nsha256 {}, as the hub states\n\nTrain with it (python/README.md):\n  python -m pcsnet_torch train FOLDER \
         --backbone {} --out head.safetensors\nAs a model file of its own:\n  python -m pcsnet_torch export \
         --backbone {} --out backbone.safetensors\n",
        file.display(),
        remote.sha256,
        file.display(),
        file.display()
    ))
}

/// Size and hash of a file. The hub gives them with the redirection to where the file is stored, which is not followed.
fn ask(url: String) -> Result<Remote> {
    let agent: Agent = Agent::config_builder()
        .max_redirects(0)
        .max_redirects_will_error(false)
        .http_status_as_error(false)
        .timeout_global(Some(Duration::from_secs(60)))
        .build()
        .into();
    let response = agent.head(&url).call().with_context(|| format!("cannot reach {url}"))?;
    let status = response.status();
    ensure!(status.is_success() || status.is_redirection(), "{url}: the server answers {status}");
    let sha256 = text(&response, "x-linked-etag").trim_matches('"').to_ascii_lowercase();
    ensure!(
        sha256.len() == 64 && sha256.bytes().all(|byte| byte.is_ascii_hexdigit()),
        "{url}: the server states no SHA-256 (X-Linked-Etag), as the Hugging Face hub does"
    );
    let size = text(&response, "x-linked-size").parse();
    let size = size.with_context(|| format!("{url}: the server states no size (X-Linked-Size)"))?;
    Ok(Remote { url, size, sha256 })
}

fn text<'a>(response: &'a Response<Body>, header: &str) -> &'a str {
    response.headers().get(header).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// What must come within the time limit for a slow download to go on, in bytes.
const LEAST_PROGRESS: u64 = 1 << 16;

/// Downloads what is missing of a file.
fn download(remote: &Remote, partial: &Path, timeout: Duration) -> Result<()> {
    let mut there = fs::metadata(partial).map_or(0, |metadata| metadata.len());
    let bar = ProgressBar::new(remote.size);
    let style = ProgressStyle::with_template("{bar:30} {bytes} of {total_bytes}, {bytes_per_sec}, {eta} to go");
    bar.set_style(style.context("the progress bar's template")?);
    // The hash decides on what is there already.
    while there < remote.size {
        let now = receive(remote, partial, there, timeout, &bar)?;
        // A connection that is slow or broke off, but on its way, is asked for the rest.
        if now < remote.size && now < there + LEAST_PROGRESS {
            bail!("{}: {now} of {} bytes came within {} s", interrupted(partial), remote.size, timeout.as_secs_f64());
        }
        there = now;
    }
    bar.finish_and_clear();
    Ok(())
}

/// Receives what follows after `there` bytes, until the connection ends or the time is over, and no more than the hub
/// states. Gives the bytes there are then.
fn receive(remote: &Remote, partial: &Path, there: u64, timeout: Duration, bar: &ProgressBar) -> Result<u64> {
    let agent: Agent = Agent::config_builder()
        .http_status_as_error(false)
        .timeout_connect(Some(timeout))
        .timeout_recv_response(Some(timeout))
        .timeout_recv_body(Some(timeout))
        .build()
        .into();
    let url = &remote.url;
    let request = agent.get(url).header(header::RANGE, format!("bytes={there}-"));
    let response = request.call().with_context(|| format!("cannot reach {url}"))?;
    let start = match response.status() {
        StatusCode::PARTIAL_CONTENT if text(&response, "content-range").starts_with(&format!("bytes {there}-")) => {
            there
        }
        StatusCode::OK => 0, // a server that knows no ranges sends all
        status => bail!("{url}: the server answers {status} to a request for bytes {there} and on"),
    };
    let cannot_write = || format!("cannot write {}", partial.display());
    let mut file = OpenOptions::new().create(true).append(true).open(partial).with_context(cannot_write)?;
    file.set_len(start).with_context(cannot_write)?;
    bar.set_position(start);
    let mut body = response.into_body().into_reader().take(remote.size - start);
    let mut buffer = vec![0; 1 << 16];
    let mut there = start;
    // What breaks off is resumed, or told by whoever wants it all.
    while let Ok(count @ 1..) = body.read(&mut buffer) {
        file.write_all(&buffer[..count]).with_context(cannot_write)?;
        there += count as u64;
        bar.set_position(there);
    }
    Ok(there)
}

fn interrupted(partial: &Path) -> String {
    format!("the download was interrupted; start it again to go on from {}", partial.display())
}
