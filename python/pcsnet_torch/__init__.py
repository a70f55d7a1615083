"""PCSNet few-shot anomaly detection in PyTorch: the reference of the Rust engine, and its training.

    config       every size of the network
    backbone     the frozen networks that give the features
    descriptor   features -> descriptors -> distances to the nearest prototypes
    decoder      the context-aware segmentation (CAS) decoder
    model        the whole network and the anomaly map
    bundle       model files (safetensors)
    preprocess   image files -> network inputs
    randomise    random weights of any configuration
    export       weights of other projects -> model files
    data         folders of images and masks
    anomalies    pseudo-anomalies, and what suits each category
    losses       the four losses of the paper
    train        a few normal images -> a model file
    metrics      AUROC, AUPRO
    evaluate     metrics on a test set, beside untrained baselines
"""

from pcsnet_torch.config import BackboneConfig, ModelConfig
from pcsnet_torch.errors import PcsnetError
from pcsnet_torch.model import PCSNet

__all__ = ["BackboneConfig", "ModelConfig", "PCSNet", "PcsnetError"]
