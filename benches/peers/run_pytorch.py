"""PCSNet on PyTorch: the reference in python/, on the processor."""

import sys
from pathlib import Path

import runner

ENGINE = "pytorch"


def main() -> None:
    options = runner.options(__doc__)
    try:
        import torch
    except ImportError as error:
        runner.skip(ENGINE, error)
    sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "python"))
    from pcsnet_torch import bundle

    torch.set_num_threads(options.threads)
    network, _ = bundle.load(options.model)

    def run(image):
        with torch.inference_mode():
            return network(torch.from_numpy(image)).numpy()

    measured = runner.measure(run, options)
    runner.report(ENGINE, torch.__version__, runner.processor(options.threads), measured)


if __name__ == "__main__":
    main()
