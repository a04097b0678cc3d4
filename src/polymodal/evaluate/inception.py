r"""Features of the published Inception network, from a file of weights that the user names.

Pictures are scaled to 299 x 299 bilinearly, half-pixel centres and no filter against aliasing, and
to [-1, 1]; grey ones are repeated to three channels. That is what pytorch-fid does, and so most
values published by users of PyTorch. The original program of TensorFlow scales by corners, and
clean-fid filters: the distance depends on that, so say which was used beside any value.

Weights are read from safetensors alone. The published file is a pickle, which can run code when it
is opened; who trusts it converts it outside (see ``CONVERSION``).

References:
    Maximilian Seitzer. pytorch-fid: FID Score for PyTorch. 2020.
    https://github.com/mseitzer/pytorch-fid
    Gaurav Parmar, Richard Zhang, Jun-Yan Zhu. On Aliased Resizing and Surprising Subtleties in GAN
    Evaluation. CVPR 2022. https://arxiv.org/abs/2104.11222
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor
from torch.nn import functional as F

from polymodal.evaluate.judge import as_values, clean
from polymodal.files import FileError
from polymodal.networks.inception import N_FEATURES, SIDE, Inception

PUBLISHED = "pt_inception-2015-12-05-6726825d.pth"
"""The file that pytorch-fid published."""
CONVERSION = (
    "import torch; from safetensors.torch import save_file; save_file({k: v.contiguous() for k, v "
    f'in torch.load("{PUBLISHED}", weights_only=True).items()}}, "inception.safetensors")'
)
"""One line of Python that turns it into what is read here."""

_ROWS = 32
_COUNTER = ".num_batches_tracked"


class InceptionFeatures:
    """What the published network says of pictures; fits wherever a judge gives features.

    Arguments:
        network: The network with its weights.
    """

    def __init__(self, network: Inception) -> None:
        self.network = network

    @classmethod
    def read(cls, path: str | Path, device: torch.device | str = "cpu") -> InceptionFeatures:
        """The network with the weights of a safetensors file, by their published names.

        Arguments:
            path: The file. Its names and shapes must be those of ``Inception().state_dict()``;
                counters of batches (``num_batches_tracked``) are passed over.
            device: Where it is to work.

        Raises:
            FileError: If there is no such file, or it is not that network's weights.
        """
        path = Path(path)
        held = _tensors(path)
        network = Inception()
        _check(path, held, network.state_dict())
        network.load_state_dict({k: v.float() for k, v in held.items()}, assign=True)
        network.requires_grad_(False)
        return cls(network.to(device))

    @torch.no_grad()
    def features(self, x: Tensor | np.ndarray) -> Tensor:
        """Pictures ``(N, 1 or 3, H, W)``, bytes or in [0, 1] -> float32 ``(N, 2048)`` on the CPU.

        Numbers outside [0, 1], which the mean of a Gaussian may be, are cut off; those that are
        not finite become 0.

        Raises:
            ValueError: If the shape does not fit.
        """
        x = as_values(x)
        if x.ndim != 4 or x.shape[1] not in (1, 3) or 0 in x.shape[1:]:
            raise ValueError(
                f"inception: pictures must have shape (N, 1 or 3, H, W), got {tuple(x.shape)}."
            )
        device = self.network.fc.weight.device
        outs = [torch.zeros(0, N_FEATURES)]
        for part in x.split(_ROWS):
            outs.append(self.network(prepared(part.to(device))).cpu())
        return torch.cat(outs)


def prepared(x: Tensor) -> Tensor:
    """Pictures ``(B, 1 or 3, H, W)``, bytes or in [0, 1] -> ``(B, 3, 299, 299)`` in [-1, 1]."""
    x = clean(x).nan_to_num(0.0, 0.0, 0.0).clamp(0, 1).expand(-1, 3, -1, -1)
    if x.shape[2:] != (SIDE, SIDE):
        x = F.interpolate(x, (SIDE, SIDE), mode="bilinear", align_corners=False, antialias=False)
    return 2 * x - 1


def _tensors(path: Path) -> dict[str, Tensor]:
    if path.is_dir():
        raise FileError(f"{path}: this is a folder; expected a safetensors file of weights.")
    if not path.is_file():
        raise FileError(f"{path}: there is no such file.")
    if path.suffix.lower() in (".pth", ".pt", ".pkl", ".bin"):
        raise FileError(
            f"{path}: a pickle, which can run code when opened, so it is never read here. If you "
            f"trust it, convert it once with this line of Python: {CONVERSION}"
        )
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            return {k: file.get_tensor(k) for k in file.keys() if not k.endswith(_COUNTER)}
    except (SafetensorError, OSError, RuntimeError, UnicodeDecodeError) as error:
        raise FileError(
            f"{path}: truncated, damaged or not a safetensors file ({error})."
        ) from error


def _check(path: Path, held: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> None:
    """Refuse weights that are not this network's, in one sentence."""
    missing = [name for name in wanted if name not in held]
    strange = [name for name in held if name not in wanted]
    shapes = [
        f"{name} is {tuple(held[name].shape)}, not {tuple(wanted[name].shape)}"
        for name in wanted
        if name in held and held[name].shape != wanted[name].shape
    ]
    whole = [name for name in wanted if name in held and not held[name].is_floating_point()]
    faults = {
        "lacks": missing,
        "has strange": strange,
        "has other shapes:": shapes,
        "has no real numbers in": whole,
    }
    said = [f"{what} {_some(names)}" for what, names in faults.items() if names]
    if said:
        raise FileError(
            f"{path}: not the weights of the FID Inception network ({PUBLISHED}, with 1008 "
            f"classes; torchvision's have 1000 and do not fit): it {'; it '.join(said)}."
        )


def _some(names: list[str]) -> str:
    more = f" and {len(names) - 2:,} more" if len(names) > 2 else ""
    return ", ".join(names[:2]) + more
