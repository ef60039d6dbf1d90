"""What the command says where a package or a library of the system is not there."""

import pytest

from mfnet.model.cli.main import explained
from mfnet.model.errors import LibraryMissing, MissingExtra


def test_an_extra_is_named() -> None:
    error = explained(ModuleNotFoundError("No module named 'torch'", name="torch"))
    assert isinstance(error, MissingExtra)
    assert "pip install 'mfnet[train]'" in error.message


@pytest.mark.parametrize(
    ("library", "command"),
    [
        ("libexpat.so.1", "apt-get install libexpat1"),
        ("libother.so.2", "apt-get install the package that has it"),
    ],
)
def test_a_library_is_named_with_the_command_that_installs_it(library: str, command: str) -> None:
    text = f"{library}: cannot open shared object file: No such file or directory"
    error = explained(ImportError(text))
    assert isinstance(error, LibraryMissing)
    assert command in error.message


def test_what_is_broken_in_our_own_code_is_not_explained_away() -> None:
    assert (
        explained(ModuleNotFoundError("No module named 'mfnet.other'", name="mfnet.other")) is None
    )
    assert explained(ImportError("cannot import name 'a' from 'b'")) is None
