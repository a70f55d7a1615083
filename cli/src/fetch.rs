//! `pcsnet fetch`: ImageNet weights of a backbone from the Hugging Face hub, resumed where interrupted, verified by hash.

use crate::output;
use anyhow::{Context, Result, bail, ensure};
use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use sha2::{Digest, Sha256};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;
use ureq::http::{Response, StatusCode, header};
use ureq::{Agent, Body};

const HUB: &str = "https://huggingface.co";
const FILE: &str = "model.safetensors";

const ABOUT: &str = "\
The file is compared with the SHA-256 that the hub states for it. A download that was interrupted goes on where it stopped.

Environment:
  HF_ENDPOINT  another server with the hub's paths, such as a mirror (default: https://huggingface.co)";

/// Download ImageNet weights to train with.
#[derive(Args)]
#[command(after_help = ABOUT)]
pub struct Arguments {
    /// What to download
    #[arg(value_enum)]
    backbone: Backbone,
    /// Folder for the file
    #[arg(long, value_name = "DIR", default_value = ".")]
    out: PathBuf,
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
pub fn run(arguments: &Arguments) -> Result<()> {
    let repository = arguments.backbone.repository();
    let hub = std::env::var("HF_ENDPOINT").unwrap_or_else(|_| HUB.into());
    let url = format!("{}/{repository}/resolve/main/{FILE}", hub.trim_end_matches('/'));
    output::ensure_writable(&arguments.out)?;
    let remote = ask(url)?;
    let name = repository.rsplit('/').next().unwrap_or(repository);
    let file = arguments.out.join(format!("{name}.safetensors"));
    if file.exists() {
        let found = sha256_of(&file)?;
        ensure!(
            found == remote.sha256,
            "{}: is another file than the hub's (SHA-256 {found}, the hub's is {}); move it away",
            file.display(),
            remote.sha256
        );
    } else {
        // Named after its content, so that two versions of a file never end up as one.
        let partial = arguments.out.join(format!("{name}.{}.partial", &remote.sha256[..12]));
        download(&remote, &partial)?;
        let found = sha256_of(&partial)?;
        if found != remote.sha256 {
            fs::remove_file(&partial).with_context(|| format!("cannot delete {}", partial.display()))?;
            bail!("{}: what came has SHA-256 {found}, expected {}; start it again", remote.url, remote.sha256);
        }
        fs::rename(&partial, &file).with_context(|| format!("cannot rename {}", partial.display()))?;
    }
    output::print(&format!(
        "{}\nsha256 {}, as the hub states\n\nTrain with it (python/README.md):\n  python -m pcsnet train FOLDER \
         --backbone {} --out head.safetensors\nAs a model file of its own:\n  python -m pcsnet export --backbone {} --out \
         backbone.safetensors\n",
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

/// Downloads what is missing of a file.
fn download(remote: &Remote, partial: &Path) -> Result<()> {
    let mut there = fs::metadata(partial).map_or(0, |metadata| metadata.len());
    if there >= remote.size {
        return Ok(()); // the hash decides
    }
    let agent: Agent = Agent::config_builder()
        .http_status_as_error(false)
        .timeout_connect(Some(Duration::from_secs(60)))
        .timeout_recv_response(Some(Duration::from_secs(60)))
        .build()
        .into();
    let url = &remote.url;
    let request = agent.get(url).header(header::RANGE, format!("bytes={there}-"));
    let response = request.call().with_context(|| format!("cannot reach {url}"))?;
    match response.status() {
        StatusCode::PARTIAL_CONTENT if text(&response, "content-range").starts_with(&format!("bytes {there}-")) => {}
        StatusCode::OK => there = 0, // a server that knows no ranges sends all
        status => bail!("{url}: the server answers {status} to a request for bytes {there} and on"),
    }
    let cannot_write = || format!("cannot write {}", partial.display());
    let mut file = OpenOptions::new().create(true).append(true).open(partial).with_context(cannot_write)?;
    file.set_len(there).with_context(cannot_write)?;
    let bar = ProgressBar::new(remote.size).with_position(there);
    let style = ProgressStyle::with_template("{bar:30} {bytes} of {total_bytes}, {bytes_per_sec}, {eta} to go");
    bar.set_style(style.context("the progress bar's template")?);
    let mut body = response.into_body().into_reader();
    let mut buffer = vec![0; 1 << 16];
    loop {
        let count = body.read(&mut buffer).with_context(|| interrupted(partial))?;
        if count == 0 {
            break;
        }
        file.write_all(&buffer[..count]).with_context(cannot_write)?;
        bar.inc(count as u64);
    }
    bar.finish_and_clear();
    let length = file.metadata().with_context(cannot_write)?.len();
    ensure!(length >= remote.size, "{}: {length} of {} bytes came", interrupted(partial), remote.size);
    Ok(())
}

fn interrupted(partial: &Path) -> String {
    format!("the download was interrupted; start it again to go on from {}", partial.display())
}

fn sha256_of(path: &Path) -> Result<String> {
    let cannot_read = || format!("cannot read {}", path.display());
    let mut file = File::open(path).with_context(cannot_read)?;
    let mut hasher = Sha256::new();
    io::copy(&mut file, &mut HashWriter(&mut hasher)).with_context(cannot_read)?;
    Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
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
