"""What `import mfnet` offers: its examples run, and it is light."""

import doctest
import subprocess
import sys
from pathlib import Path

import pytest

import mfnet
from mfnet.model import interface
from mfnet.training.synthetic.town import draw_town, write_town


def test_examples_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_town(tmp_path, draw_town(500_000, 256))
    monkeypatch.chdir(tmp_path)
    found = doctest.testmod(interface)
    assert found.failed == 0
    assert found.attempted > 8


def test_every_name_is_there() -> None:
    for name in mfnet.__all__:
        assert getattr(mfnet, name).__doc__, name
    assert set(mfnet.__all__) | {"__version__"} == set(dir(mfnet))
    with pytest.raises(AttributeError, match="no attribute 'train'"):
        mfnet.train  # noqa: B018


def test_importing_it_imports_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "import mfnet\n"
        "heavy = 'torch rasterio numpy pydantic fastapi celery sqlalchemy typer'.split()\n"
        "print([name for name in heavy if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
