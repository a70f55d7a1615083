"""PCSNet finds defects on manufactured parts, having seen a few good ones; on any graphics card, without PyTorch.

    import pcsnet
    pcsnet.teach("good/", out="part.safetensors")
    print(pcsnet.Detector("part.safetensors").detect("part.png").verdict)

`Detector` inspects photographs, `teach` makes a model of good parts, `calibrate` gives a model a threshold, `evaluate`
measures models on a test set, `images` finds photographs in folders. Each does what the command of the same name does,
which the package brings along: `pcsnet --help`.

What the command would say on stderr goes to the logger `pcsnet`.
"""

from pcsnet._detector import Detection, Detector, Region
from pcsnet._errors import ArgumentError, DeviceError, ImageError, PcsnetError
from pcsnet._native import __version__
from pcsnet._tasks import Calibrated, Taught, calibrate, evaluate, images, teach

__all__ = [
    "ArgumentError",
    "Calibrated",
    "Detection",
    "Detector",
    "DeviceError",
    "ImageError",
    "PcsnetError",
    "Region",
    "Taught",
    "__version__",
    "calibrate",
    "evaluate",
    "images",
    "teach",
]
