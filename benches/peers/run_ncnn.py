"""PCSNet on ncnn: on the processor or with Vulkan, in float32.

ncnn has no operation that selects the K nearest distances, so the network runs in two parts with NumPy's selection
between them; its time counts.
"""

import json
import subprocess

import numpy as np
import runner

PARTS = ("describe", "segment")


def main() -> None:
    options = runner.options(__doc__, lambda parser: parser.add_argument("--device", choices=("cpu", "vulkan"),
                                                                        default="cpu"))
    engine, vulkan = f"ncnn-{options.device}", options.device == "vulkan"
    try:
        import ncnn
    except ImportError as error:
        runner.skip(engine, error)
    if vulkan and ncnn.get_gpu_count() == 0:
        runner.skip(engine, "ncnn finds no Vulkan device")
    for part in PARTS:
        if runner.outdated(options.folder / f"{part}.ncnn.param", [options.folder / f"{part}.onnx"]):
            convert(engine, options.folder, part)
    describe, segment = (load(ncnn, options, part, vulkan) for part in PARTS)
    _, nearest, grid, _ = json.loads((options.folder / "shapes.json").read_text())["score"]

    def run(image):
        guide, squares = extract(ncnn, describe, [image[0]], 2)
        squares = np.partition(squares, nearest - 1, axis=1)[:, :nearest]
        squares.sort(axis=1)
        score = np.ascontiguousarray(np.sqrt(np.maximum(squares, 0)).T).reshape(nearest, grid, grid)
        return extract(ncnn, segment, [guide, score], 1)[0]

    measured = runner.measure(run, options)
    adapter = runner.vulkan_device() if vulkan else runner.processor(options.threads)
    runner.report(engine, ncnn.__version__, adapter, measured)


def convert(engine: str, folder, part: str) -> None:
    """ONNX to ncnn's own files beside it, in float32."""
    try:
        import pnnx
    except ImportError as error:
        runner.skip(engine, error)
    subprocess.run([pnnx.EXEC_PATH, f"{part}.onnx", "fp16=0"], cwd=folder, check=True, stdout=subprocess.DEVNULL)


def load(ncnn, options, part: str, vulkan: bool):
    net = ncnn.Net()
    net.opt.num_threads = options.threads
    net.opt.use_vulkan_compute = vulkan
    for name in ("fp16_packed", "fp16_storage", "fp16_arithmetic", "bf16_storage"):
        setattr(net.opt, f"use_{name}", False)
    net.load_param(str(options.folder / f"{part}.ncnn.param"))
    net.load_model(str(options.folder / f"{part}.ncnn.bin"))
    return net


def extract(ncnn, net, inputs: list, outputs: int) -> list:
    """Results of a net; the inputs must be contiguous."""
    extractor = net.create_extractor()
    for i, values in enumerate(inputs):
        extractor.input(f"in{i}", ncnn.Mat(values).clone())
    return [np.array(extractor.extract(f"out{i}")[1]) for i in range(outputs)]


if __name__ == "__main__":
    main()
