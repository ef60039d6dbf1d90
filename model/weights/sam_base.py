"""SAM's weights, the frozen base of a model: Meta's checkpoints, fetched or imported."""

import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from pydantic import ValidationError
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import functional as F

from mfnet.model.atomic_files import replacing
from mfnet.model.config import ENCODERS, BaseWeights, EncoderConfig
from mfnet.model.engine_options import require_known
from mfnet.model.errors import BadCheckpoint, BaseMissing
from mfnet.model.network.encoder import build_vit
from mfnet.model.weights.catalog import read_metadata
from mfnet.model.weights.download import download
from mfnet.model.weights.file_hash import sha256_of

PREFIX = "encoder.vit."
"""Of the base's tensors in `MFNet`'s state dict."""

LOAD_ERRORS = (OSError, RuntimeError, EOFError, AttributeError, pickle.UnpicklingError)
"""What `torch.load` raises for a file that is none of its own, or was cut."""


@dataclass(frozen=True)
class Published:
    """A checkpoint that Meta hands out (github.com/facebookresearch/segment-anything)."""

    url: str
    sha256: str


_HOME = "https://dl.fbaipublicfiles.com/segment_anything"
PUBLISHED = {
    "vit_b": Published(
        f"{_HOME}/sam_vit_b_01ec64.pth",
        "ec2df62732614e57411cdcf32a23ffdf28910380d03139ee0f4fcbe91eb8c912",
    ),
    "vit_l": Published(
        f"{_HOME}/sam_vit_l_0b3195.pth",
        "3adcc4315b642a4d2101128f611684e8734c41232a17c648ed1693702a49a622",
    ),
    "vit_h": Published(
        f"{_HOME}/sam_vit_h_4b8939.pth",
        "a7bf3b02f3ebf1267aba913ff637d9a2d5c33d3173bb679e46d9f338c26f262e",
    ),
}


def fetch_base(
    name: str,
    models_dir: Path,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> BaseWeights:
    """Downloads one of Meta's checkpoints, verifies and installs it.

    Raises:
        BadOption: None of `PUBLISHED`.
        DownloadFailed: The connection; calling again resumes.
        BadCheckpoint: The file is not the one that Meta published.
    """
    require_known("base", name, PUBLISHED)
    published = PUBLISHED[name]
    source = models_dir / "base" / Path(published.url).name
    download(published.url, source, published.sha256, progress)
    base = import_base(source, models_dir)
    source.unlink()
    return base


def import_base(source: Path, models_dir: Path) -> BaseWeights:
    """Installs the image encoder of a checkpoint in the layout of Meta's.

    Args:
        source: A .pth file, read with `weights_only=True`.
        models_dir: The encoder goes to `base/NAME.safetensors` in it.

    Raises:
        BadCheckpoint: Truncated, of another layout, or of a size that is none of SAM's.
    """
    try:
        checkpoint = torch.load(source, map_location="cpu", weights_only=True, mmap=True)
        tensors = _encoder_tensors(checkpoint)
    except LOAD_ERRORS as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise BadCheckpoint(f"{source} is no readable PyTorch checkpoint: {reason}") from error
    name = _name(source, tensors)
    base = BaseWeights(encoder=name, sha256=sha256_of(source))
    target = base_file(name, models_dir)
    target.parent.mkdir(parents=True, exist_ok=True)
    with replacing(target) as part:
        save_file(tensors, part, {"base": base.model_dump_json()})
    return base


def base_file(name: str, models_dir: Path) -> Path:
    """Where the base of an encoder is installed."""
    return models_dir / "base" / f"{name}.safetensors"


def installed_base(name: str, models_dir: Path | None) -> BaseWeights:
    """Which weights are installed for an encoder.

    Raises:
        BaseMissing: None; the message says how to get them.
        BadCheckpoint: The installed file is damaged.
    """
    path = base_file(name, models_dir) if models_dir else None
    if path is None or not path.exists():
        raise BaseMissing(
            f"the base {name} is not installed; `mfnet models fetch-base {name}` downloads it, "
            "`mfnet models import-base FILE` takes a file that you have",
            base=name,
        )
    try:
        return BaseWeights.model_validate_json(read_metadata(path).get("base", ""))
    except ValidationError as error:
        raise BadCheckpoint(
            f"{path} is no base that was installed here: install it again"
        ) from error


def base_tensors(
    base: BaseWeights, encoder: EncoderConfig, models_dir: Path | None
) -> dict[str, Tensor]:
    """The base's tensors by `MFNet`'s names, positions resized to the encoder's grid.

    Raises:
        BaseMissing: Not installed, or other weights of the same encoder are.
    """
    found = installed_base(base.encoder, models_dir)
    if models_dir is None or found.sha256 != base.sha256:
        raise BaseMissing(
            f"the model was trained on {base.encoder} with sha256 {base.sha256}, installed is "
            f"{found.sha256}; import the file that it was trained on with "
            "`mfnet models import-base FILE`",
            base=base.encoder,
            expected=base.sha256,
            got=found.sha256,
        )
    with torch.device("meta"):
        shapes = {name: tensor.shape for name, tensor in build_vit(encoder).state_dict().items()}
    tensors = load_file(base_file(base.encoder, models_dir))
    return {PREFIX + name: _resized(tensors[name], shape) for name, shape in shapes.items()}


def recognised_base(
    state: Mapping[str, Tensor], encoder: EncoderConfig, models_dir: Path, name: str | None = None
) -> BaseWeights | None:
    """The installed base whose weights a network has; None where it has none of them.

    Args:
        state: The network's tensors by `MFNet`'s names.
        encoder: Its shape.
        models_dir: Where bases are.
        name: The base that it must be; not given, any that fits is looked at.

    Raises:
        BadOption: None of `PUBLISHED`.
        BaseMissing: The named one is not installed.
        BadCheckpoint: The network has other weights than the named one.
    """
    if name is not None:
        require_known("base", name, PUBLISHED)
    for each in [name] if name is not None else PUBLISHED:
        fits = ENCODERS[each].embed_dim == encoder.embed_dim
        if name is None and not (fits and base_file(each, models_dir).is_file()):
            continue
        base = installed_base(each, models_dir)
        if fits:
            tensors = base_tensors(base, encoder, models_dir)
            if all(torch.equal(state[key], tensor.float()) for key, tensor in tensors.items()):
                return base
        if name is not None:
            raise BadCheckpoint(
                f"the checkpoint has other frozen weights than the installed base {name}: leave "
                "--base out, and the model is kept whole",
                base=name,
            )
    return None


def _encoder_tensors(checkpoint: dict[str, Tensor]) -> dict[str, Tensor]:
    """SAM's image encoder, without the prefix of its names."""
    prefix = "image_encoder."
    return {
        name.removeprefix(prefix): tensor.contiguous()
        for name, tensor in checkpoint.items()
        if name.startswith(prefix)
    }


def _name(source: Path, tensors: dict[str, Tensor]) -> str:
    """Which encoder this is: all its names and shapes must be there."""
    positions = tensors.get("pos_embed", torch.empty(0))
    for name in PUBLISHED:
        if ENCODERS[name].embed_dim != positions.shape[-1]:
            continue
        with torch.device("meta"):
            expected = build_vit(ENCODERS[name]).state_dict()
        lacking = [
            key
            for key, tensor in expected.items()
            if key not in tensors or tensors[key].shape != tensor.shape
        ]
        if lacking:
            raise BadCheckpoint(
                f"{source} lacks {len(lacking)} tensors of {name}'s image encoder, or has them in "
                f"another shape: {', '.join(lacking[:5])}",
                lacking=lacking[:5],
            )
        return name
    raise BadCheckpoint(
        f"{source} holds no image encoder of SAM; expected Meta's layout of {', '.join(PUBLISHED)}"
    )


def _resized(tensor: Tensor, shape: torch.Size) -> Tensor:
    """Absolute (1, h, w, D) or relative (2h − 1, d) positions at another grid; else as it is."""
    if tensor.shape == shape:
        return tensor
    if tensor.ndim == 4:
        resized = F.interpolate(tensor.permute(0, 3, 1, 2), shape[1:3], mode="bicubic")
        return resized.permute(0, 2, 3, 1).contiguous()
    return F.interpolate(tensor.T[None], shape[0], mode="linear")[0].T.contiguous()
