"""The one table of small networks, by name: `NETWORKS["se_resnet"].build()`.

| rows | file | what they are |
|---|---|---|
| `NARROW`, `FULL` | `families.py` | every family, narrow; every builder at its full width, its images shrunk |
| `EXPORTED` | `exported.py` | what exports meet; `sample(name)` has one with weights and inputs |
| `TOYS` | `toys.py` | networks without SE, and where it belongs in them |
| `HEADED` | `detectors.py`, `segmenters.py` | a detector and segmentation networks on small backbones |
"""

from tests.support.networks.detectors import detector
from tests.support.networks.exported import EXPORTED, sample
from tests.support.networks.families import FULL, NARROW
from tests.support.networks.network import Network
from tests.support.networks.segmenters import lraspp, unet
from tests.support.networks.toys import TOYS

HEADED = {
    "detector": Network(make=detector, outputs=("boxes",)),
    "unet": Network(make=unet),
    "lraspp": Network(make=lraspp),
}
NETWORKS: dict[str, Network] = {**NARROW, **FULL, **EXPORTED, **TOYS, **HEADED}

__all__ = ["EXPORTED", "FULL", "HEADED", "NARROW", "NETWORKS", "TOYS", "Network", "sample"]
