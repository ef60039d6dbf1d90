"""The parts of Meta's package segment-anything that our network is made of.

Importing `segment_anything` imports torchvision and with it torch's compiler: as long as torch
itself, for transforms that no window needs. So its folder `modeling` is loaded under a name of
its own, and the package is left alone; `import segment_anything` beside it gives other classes.
"""

import sys
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from segment_anything.modeling import ImageEncoderViT
    from segment_anything.modeling.common import MLPBlock
    from segment_anything.modeling.image_encoder import Attention, Block, get_rel_pos
else:
    _NAME = "segment_anything_modeling"

    def _load() -> None:
        package = find_spec("segment_anything")
        if package is None or package.origin is None:
            raise ModuleNotFoundError("No module named 'segment_anything'", name="segment_anything")
        folder = Path(package.origin).parent / "modeling"
        spec = spec_from_file_location(
            _NAME, folder / "__init__.py", submodule_search_locations=[str(folder)]
        )
        sys.modules[_NAME] = module_from_spec(spec)
        spec.loader.exec_module(sys.modules[_NAME])

    _load()
    from segment_anything_modeling import ImageEncoderViT
    from segment_anything_modeling.common import MLPBlock
    from segment_anything_modeling.image_encoder import Attention, Block, get_rel_pos

__all__ = ["Attention", "Block", "ImageEncoderViT", "MLPBlock", "get_rel_pos"]
