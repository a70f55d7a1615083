"""The command line: `python -m pcsnet_torch ...`; each subcommand reads its options here and works elsewhere."""

import argparse
import csv
import dataclasses
import hashlib
import json
import sys
from pathlib import Path

import numpy as np
import torch

from pcsnet_torch import accuracy, anomalies, bundle, evaluate, export, generate, preprocess, release, timing, train
from pcsnet_torch.config import DESCRIPTORS, ModelConfig
from pcsnet_torch.errors import PcsnetError
from pcsnet_torch.randomise import random_model
from pcsnet_torch.recipes import RECIPES
from pcsnet_torch.train import Settings


def main(arguments=None) -> None:
    options = parser().parse_args(arguments)
    if options.threads:
        torch.set_num_threads(options.threads)
    # GPUs round convolutions to TF32 unless told not to; a reference must not, while training can.
    torch.backends.cudnn.allow_tf32 = options.run is train_model
    try:
        if getattr(options, "device", "cpu").startswith("cuda") and not torch.cuda.is_available():
            raise PcsnetError(f"--device {options.device}: PyTorch finds no usable GPU here")
        options.run(options)
    except PcsnetError as error:
        sys.exit(f"error: {error}")


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser("pcsnet-train", description="PCSNet few-shot anomaly detection in PyTorch")
    commands = top.add_subparsers(required=True, metavar="COMMAND")

    def command(name, run, summary):
        sub = commands.add_parser(name, help=summary, description=summary)
        sub.add_argument("--threads", type=positive, help="processor threads (default: PyTorch's choice)")
        sub.set_defaults(run=run)
        return sub

    def with_range(sub, default):
        sub.add_argument("--range", type=value_range, metavar="LOW,HIGH", help="what is black and white in images "
                         f"of more than 8 bits (default: {default})")

    def with_model(sub):
        sub.add_argument("--model", action="append", required=True, help="model file; repeat for one in parts")
        sub.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1, ... (default: cpu)")

    sub = command("trace", trace, "write every stage of the network for a given input")
    with_model(sub)
    sub.add_argument("--input", required=True, help="safetensors file with the tensor `input`, N x 3 x S x S")
    sub.add_argument("--out", required=True, help="safetensors file to write")

    sub = command("scores", scores, "print `path,score` for each image of a folder")
    with_model(sub)
    sub.add_argument("folder")
    sub.add_argument("--fit", choices=preprocess.FITS, help="default: the model's own")
    with_range(sub, "the model's own, or what each file declares")
    sub.add_argument("--maps", help="folder for the blurred maps, one .npy per image")

    sub = command("random", random_weights, "write random weights of any configuration")
    sub.add_argument("--config", required=True, help="JSON, a file that holds it, or BACKBONE/DESCRIPTOR, "
                     "such as wide_resnet50_2/plain")
    sub.add_argument("--seed", type=int, default=1)
    sub.add_argument("--half", action="store_true", help="store float16")
    sub.add_argument("--out", required=True)

    sub = command("export", export_weights, "convert weights of other projects into a model file")
    sub.add_argument("--backbone", required=True, help="weight file of torchvision or timm, or efficientnet_lite0 for "
                     "those of an installed package")
    sub.add_argument("--adaptor", help="state dict of the authors' adaptor; without it the backbone alone is written")
    sub.add_argument("--cas", help="state dict of the authors' CAS")
    sub.add_argument("--descriptor", choices=DESCRIPTORS, help="the adaptor's kind")
    sub.add_argument("--fit", choices=preprocess.FITS, default="crop", help="how images were fitted (default: crop)")
    sub.add_argument("--category", default="", help="what it was trained on")
    sub.add_argument("--half", action="store_true", help="store float16")
    sub.add_argument("--out", required=True)

    defaults = Settings()

    def with_training(sub):
        sub.add_argument("--backbone", required=True, help="as for export")
        sub.add_argument("--category", default="", help="a category of MVTec AD or MPDD chooses the pseudo-anomalies "
                         "and the descriptor of the paper's recipe")
        sub.add_argument("--descriptor", choices=DESCRIPTORS, help="rotation is the paper's for parts at any angle "
                         "(default: plain, or the category's in the paper's recipe)")
        sub.add_argument("--fit", choices=preprocess.FITS, default=defaults.fit,
                         help="crop the centre, or stretch the whole image (default: crop)")
        with_range(sub, "recognised from the images, and kept in the model")
        sub.add_argument("--recipe", choices=RECIPES, default=defaults.recipe, help="held-out is ours, paper the "
                         "paper's, authors the paper's with the AFS loss of its authors' code (default: %(default)s)")
        sub.add_argument("--epochs", type=positive, help="default: the recipe's")
        sub.add_argument("--batch", type=int, default=defaults.batch, help="default: %(default)s")
        sub.add_argument("--width", type=positive, help="decoder channels (default: half of the features)")
        sub.add_argument("--grid", type=positive, help="side of the grid of positions (default: 64); prototypes and "
                         "bins follow, half the side costs a sixth of the time")
        sub.add_argument("--nearest", type=positive, help="prototype distances kept per position (default: 200)")

    sub = command("train", train_model, "train on a few normal images")
    sub.add_argument("folder", help="a test set (train/good), or a plain folder of normal images")
    with_training(sub)
    sub.add_argument("--out", required=True, help="model file to write")
    sub.add_argument("--shots", type=int, default=defaults.shots, help="normal images (default: %(default)s)")
    sub.add_argument("--seed", type=int, default=defaults.seed)
    sub.add_argument("--restart", action="store_true", help="ignore the checkpoint of an interrupted run")
    sub.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1, ... (default: cpu)")

    sub = command("evaluate", evaluate_model, "AUROC and AUPRO on a test set, beside untrained baselines")
    with_model(sub)
    sub.add_argument("folder", help="a test set in any layout that `pcsnet evaluate` reads")
    sub.add_argument("--fit", choices=preprocess.FITS, help="default: the model's own")
    with_range(sub, "the model's own, or what each file declares")
    sub.add_argument("--shots", type=int, help="of the baselines (default: the model's own)")
    sub.add_argument("--seed", type=int, help="that draws the shots (default: the model's own)")
    sub.add_argument("--every", type=positive, default=1, metavar="N", help="take every Nth test image only, for a "
                     "quick look")
    sub.add_argument("--json", help="file for the rows")

    sub = command("release", release_model, "make the file to ship: one file, float16, with threshold and colour scale")
    sub.add_argument("folder", help="normal images to calibrate with (those of the training are left out)")
    sub.add_argument("--model", action="append", required=True, help="model file; repeat for one in parts")
    sub.add_argument("--out", required=True)

    sub = command("accuracy", measure_accuracy, "train and evaluate with several draws of shots, and print a table")
    sub.add_argument("folder", help="a test set in any layout that `pcsnet evaluate` reads")
    with_training(sub)
    sub.add_argument("--shots", type=positive, nargs="+", default=[defaults.shots], help="one or several numbers")
    sub.add_argument("--seeds", type=positive, default=3, help="draws of shots for each (default: %(default)s)")
    sub.add_argument("--every", type=positive, default=1, metavar="N", help="take every Nth test image only")
    sub.add_argument("--out", required=True, help="JSON lines file of the runs; those in it are not run again")

    sub = command("tables", print_tables, "print the tables of files of runs that `accuracy` wrote")
    sub.add_argument("files", nargs="+")

    sub = command("time", time_network, "time the network in PyTorch and, in turn, with the engine's command")
    with_model(sub)
    sub.add_argument("--batch", type=positive, nargs="+", default=[1, 8], help="one or several (default: 1 8)")
    sub.add_argument("--way", nargs="+", choices=timing.WAYS, default=list(timing.WAYS), metavar="WAY",
                     help=f"default: all of {'; '.join(timing.WAYS)}")
    sub.add_argument("--seconds", type=float, default=1, help="of each way in a round (default: %(default)s)")
    sub.add_argument("--rounds", type=positive, default=2, help="default: %(default)s")
    sub.add_argument("--pcsnet", help="the engine's command")
    sub.add_argument("--precision", nargs="+", default=["f32"], help="the engine's precisions (default: f32)")
    sub.add_argument("--matrix-units", action="store_true", help="let the engine use matrix units")
    sub.add_argument("--json", action="store_true", help="print all runs as JSON rather than a table")

    sub = command("generate", generate_pictures, "draw pictures of a machined part, sound and with defects, to try "
                  "everything on")
    sub.add_argument("--out", required=True, help="folder to write, MVTec AD layout")
    sub.add_argument("--seed", type=int, default=1, help="default: %(default)s")
    sub.add_argument("--train", type=positive, default=8, help="normal pictures to train on (default: %(default)s)")
    sub.add_argument("--good", type=positive, default=20, help="normal pictures to test on (default: %(default)s)")
    sub.add_argument("--defects", type=positive, default=8, help="test pictures of each kind of defect (default: "
                     "%(default)s)")
    return top


def trace(options) -> None:
    model, _ = bundle.load(options.model, options.device)
    tensors, _ = bundle.read(options.input)
    if "input" not in tensors:
        raise PcsnetError(f"{options.input}: holds no tensor `input`")
    image, side = tensors["input"], model.config.input
    if image.dim() != 4 or image.shape[1:] != (3, side, side):
        raise PcsnetError(f"{options.input}: `input` has shape {tuple(image.shape)}, expected (N, 3, {side}, {side})")
    stages = model.stages(image.to(options.device))
    bundle.save_tensors(options.out, {name: t.cpu() for name, t in stages.items()})


def scores(options) -> None:
    files = preprocess.image_files(options.folder)
    model, metadata = bundle.load(options.model, options.device)
    fit = options.fit or metadata.get("pcsnet.fit", "crop")
    in_range = options.range or preprocess.stored_range(metadata)
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(["path", "score"])
    for path in files:
        image = preprocess.load_input(path, model.config, fit, in_range).to(options.device)
        anomaly_map = model.anomaly_map(image)[0, 0].cpu().numpy()
        writer.writerow([path, f"{anomaly_map.max():.9g}"])
        if options.maps:
            save_map(Path(options.maps) / path.relative_to(options.folder).with_suffix(".npy"), anomaly_map)


def save_map(path: Path, anomaly_map: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, anomaly_map)


def random_weights(options) -> None:
    model = random_model(parse_config(options.config), options.seed)
    bundle.save(options.out, model, {"pcsnet.seed": options.seed}, half=options.half)
    print(f"{options.out}: {bundle.parameters(model) / 1e6:.2f} M values")


def export_weights(options) -> None:
    head = (options.adaptor, options.cas, options.descriptor)
    if any(head) and not all(head):
        raise PcsnetError("a head needs --adaptor, --cas and --descriptor together")
    if not any(head):
        name = export.export_backbone(options.backbone, options.out, options.half)
        print(f"{options.out}: backbone {name}, verified")
        return
    metadata = {"pcsnet.fit": options.fit, "pcsnet.category": options.category}
    model = export.export_model(options.backbone, options.adaptor, options.cas, options.descriptor, options.out,
                                metadata, options.half)
    print(f"{options.out}: {bundle.parameters(model) / 1e6:.2f} M values, verified")


def train_model(options) -> None:
    _, backbone, config, settings = training(options, shots=options.shots, seed=options.seed)
    train.train(options.folder, config, backbone, settings, options.out, options.device, options.restart)
    print(f"{options.out}: trained on {settings.shots} images")


def training(options, **more) -> tuple:
    """(backbone's name, its tensors, sizes, settings) as `with_training`'s options say."""
    name, backbone = export.read_backbone(options.backbone)
    # Our recipe was measured to do better with plain descriptors, whatever the category.
    usual = "plain" if options.recipe == "held-out" else anomalies.descriptor_of(options.category)
    config = ModelConfig.by_name(name, options.descriptor or usual)
    config = resized(config, options.grid, options.nearest, options.width)
    settings = Settings(category=options.category, fit=options.fit, recipe=options.recipe, epochs=options.epochs,
                        batch=options.batch, range=options.range, **more)
    return name, backbone, config, settings


def release_model(options) -> None:
    added = release.release(options.model, options.folder, options.out)
    content = Path(options.out).read_bytes()
    print(f"{options.out}: {len(content) / 1e6:.2f} MB, sha256 {hashlib.sha256(content).hexdigest()}")
    print("".join(f"{key} {value}\n" for key, value in added.items()), end="")


def measure_accuracy(options) -> None:
    name, backbone, config, settings = training(options)
    accuracy.run_all(options.folder, config, name, backbone, options.shots, options.seeds, settings, options.out,
                     options.every)
    print(accuracy.tables(accuracy.read_runs([options.out])))


def print_tables(options) -> None:
    print(accuracy.tables(accuracy.read_runs(options.files)))


def resized(config: ModelConfig, grid=None, nearest=None, width=None) -> ModelConfig:
    """The configuration with other sizes where given; one prototype per position, bins from the grid down by halves."""
    if grid and grid != config.grid:
        # The finest bin is the grid itself, which costs the decoder no sharpness.
        bins = tuple(max(1, grid >> n) for n in range(len(config.bins)))
        config = dataclasses.replace(config, grid=grid, prototypes=grid**2, bins=bins)
    config = dataclasses.replace(config, nearest=nearest or config.nearest, width=width or config.width)
    config.validate()
    return config


def evaluate_model(options) -> None:
    model, metadata = bundle.load(options.model, options.device)
    fit = options.fit or metadata.get("pcsnet.fit", "crop")
    shots = options.shots or int(metadata.get("pcsnet.shots", 8))
    seed = int(metadata.get("pcsnet.seed", 0)) if options.seed is None else options.seed
    rows = evaluate.evaluate(model, options.folder, fit, shots, seed, options.every,
                             options.range or preprocess.stored_range(metadata))
    print(evaluate.table(rows))
    if options.json:
        Path(options.json).write_text(json.dumps(rows, indent=1))


def time_network(options) -> None:
    rows = []
    for batch in options.batch:
        beside = [(f"pcsnet, {precision}", bench(options, precision, batch)) for precision in options.precision]
        rows += timing.measure(options.model, options.device, batch, options.way, options.seconds, options.rounds,
                               beside if options.pcsnet else [])
    if options.json:
        print(json.dumps(rows))
        return
    print("| batch | engine | median, ms | least to most, ms | runs |\n| ---: | --- | ---: | ---: | ---: |")
    for row in rows:
        times = row["runs_ms"]
        print(f"| {row['batch']} | {row['engine']} | {row['median_ms']:.2f} | {min(times):.2f} to {max(times):.2f} | "
              f"{len(times)} |")


def bench(options, precision: str, batch: int) -> list:
    """The words of the engine's command that measures the same."""
    models = [word for model in options.model for word in ("--model", str(model))]
    protocol = ["--runs", timing.MOST_RUNS, "--warm-up", timing.WARM_UP, "--seconds", options.seconds, "--json"]
    words = [options.pcsnet, "bench", *models, "--precision", precision, "--batch", batch, *protocol]
    return [str(word) for word in words] + ["--matrix-units"] * options.matrix_units


def generate_pictures(options) -> None:
    count = generate.generate(options.out, options.seed, options.train, options.good, options.defects)
    print(f"{options.out}: {count} pictures")


def value_range(text: str) -> tuple:
    """Two rising numbers with a comma between, for argparse."""
    try:
        return preprocess.parse_range(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"`{text}` is no range such as 0,4095") from None


def positive(text: str) -> int:
    """A whole number from 1 on, for argparse."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"`{text}` is no whole number from 1 on")
    return int(text)


def parse_config(text: str) -> ModelConfig:
    """A configuration given as JSON, as a JSON file or as BACKBONE/DESCRIPTOR."""
    if text.lstrip().startswith("{"):
        return ModelConfig.from_json(text)
    if Path(text).is_file():
        return ModelConfig.from_json(Path(text).read_text())
    backbone, _, descriptor = text.partition("/")
    return ModelConfig.by_name(backbone, descriptor or "plain")
