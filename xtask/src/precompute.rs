//! What the page knows of its samples before it loads anything: what the `pcsnet` command finds in them with the
//! default model, and the colours of heat.

use crate::files::{read, write};
use crate::machine::ensure_vulkan_driver;
use crate::run::{cargo, project_root};
use anyhow::{Context, Result, ensure};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::path::Path;

const MODEL: &str = "weights/default.safetensors";

/// The line of `scores.jsonl` of a photograph.
#[derive(Deserialize)]
struct Row {
    path: String,
    score: f32,
    width: usize,
    height: usize,
    inspected: Value,
    regions: Value,
    map: String,
}

/// Renews `web/page/samples/results.json` and `web/page/turbo.js`.
pub(crate) fn run() -> Result<()> {
    ensure_vulkan_driver()?;
    let root = project_root();
    let out = root.join("target/precomputed");
    let detect = ["run", "--package", "pcsnet-cli", "--", "detect", "--model", MODEL, "--no-tuning"];
    let outputs = ["--raw", "--no-pictures", "--out", &out.display().to_string(), "samples/test"];
    // The exit code 4 says that some of the parts fail.
    cargo(&[&detect[..], &outputs].concat()).run_to(&[0, 4])?;

    let lines = String::from_utf8(read(&out.join("scores.jsonl"))?)?;
    let mut results = Map::new();
    for line in lines.lines() {
        let row: Row = serde_json::from_str(line).context("scores.jsonl has another form than is read here")?;
        let path = Path::new(&row.path).with_extension("");
        let parts: Vec<_> = path.iter().rev().take(2).map(|part| part.to_string_lossy()).collect();
        results.insert(format!("{}/{}", parts[1], parts[0]), result(&row, &out)?);
    }
    let page = root.join("web/page");
    let content = json!({ "card": card(&root)?, "results": results });
    write(&page.join("samples/results.json"), &format!("{}\n", serde_json::to_string_pretty(&content)?))?;
    write(&page.join("turbo.js"), &colours())
}

/// A result as the page's `samples.js` reads it: as a detection, but for the map, of which half the resolution is kept,
/// as bytes of which 255 is the score.
fn result(row: &Row, out: &Path) -> Result<Value> {
    let Row { score, width, height, inspected, regions, .. } = row;
    let map = floats(&read(&out.join(&row.map))?)?;
    ensure!(map.len() == width * height && width == height && width % 2 == 0, "{} is no even square", row.path);
    let side = width / 2;
    let byte = |at: usize| {
        let first = 2 * (at / side) * width + 2 * (at % side);
        let mean = [0, 1, *width, width + 1].map(|offset| map[first + offset]).iter().sum::<f32>() / 4.0;
        (255.0 * mean / score).round() as u8
    };
    let bytes: Vec<u8> = (0..side * side).map(byte).collect();
    Ok(json!({
        "score": score, "regions": regions, "inspected": inspected, "width": width, "height": height,
        // A map in the photograph's own frame is one of a stretched photograph.
        "fit": "stretch", "side": side, "mapWidth": side, "mapHeight": side, "map": BASE64_STANDARD.encode(bytes),
    }))
}

/// The values of a `.npy` file of little-endian f32.
fn floats(bytes: &[u8]) -> Result<Vec<f32>> {
    ensure!(bytes.len() > 10 && bytes.starts_with(b"\x93NUMPY\x01"), "no .npy file of version 1");
    let header = 10 + usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    let values = bytes.get(header..).context("a .npy file without values")?;
    Ok(values.chunks_exact(4).map(|value| f32::from_le_bytes([value[0], value[1], value[2], value[3]])).collect())
}

/// What the model's file says of itself, as the package's `Card`, but for what depends on the device.
fn card(root: &Path) -> Result<Value> {
    let bytes = read(&root.join(MODEL))?;
    let length = u64::from_le_bytes(bytes.first_chunk().copied().context("an empty model")?) as usize;
    let header: Value = serde_json::from_slice(bytes.get(8..8 + length).context("a model that is cut short")?)?;
    let metadata = &header["__metadata__"];
    let number = |text: &str| text.trim().parse::<f32>().context("a number of the model's metadata");
    let told = |key: &str| metadata[key].as_str().with_context(|| format!("the default model has no {key}"));
    let scale: Vec<f32> = told("pcsnet.scale")?.split(',').map(number).collect::<Result<_>>()?;
    let config: Value = serde_json::from_str(told("pcsnet.config")?)?;
    Ok(json!({
        "threshold": number(told("pcsnet.threshold")?)?, "scale": scale, "tiles": null, "input": config["input"],
        "metadata": metadata,
    }))
}

/// The package's `heatColours()` as a module.
fn colours() -> String {
    let bytes: Vec<u8> = (0..256).flat_map(|step| colorous::TURBO.eval_rational(step, 256).into_array()).collect();
    let text = BASE64_STANDARD.encode(bytes);
    let lines: Vec<String> =
        text.as_bytes().chunks(100).map(|line| format!("'{}'", String::from_utf8_lossy(line))).collect();
    format!(
        "// The package's heatColours(), RGB, a byte each; made by `cargo xtask precompute`.\n\n\
         const base64 =\n  {};\n\n\
         export default Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));\n",
        lines.join(" +\n  ")
    )
}
