"""Imported checkpoints of any number of classes, and the base that they were trained on."""

from pathlib import Path

import pytest
import torch
from golden.cases import load_case

from mfnet.model.classes import NODATA, scheme_of
from mfnet.model.cli.models import read_scheme
from mfnet.model.errors import BadOption
from mfnet.model.weights.checkpoint import import_file, load_model, save
from mfnet.model.weights.import_released import import_released

HEAD = "decoder.segmentation_head.2.0.weight"


def released(classes: int) -> dict[str, torch.Tensor]:
    """A golden case whose last layer has another number of rows."""
    state = dict(load_case("mmadapter_small").state_dict)
    rows = state[HEAD]
    state[HEAD] = rows[torch.arange(classes) % len(rows)].clone()
    return state


@pytest.mark.parametrize("classes", [2, 5, 9, 13, 19, 60])
def test_the_number_of_classes_is_in_the_tensors(classes: int) -> None:
    net = import_released(released(classes))
    assert net.config.classes.names == tuple(f"class_{value}" for value in range(classes))
    with torch.inference_mode():
        logits = net({"ortho": torch.rand(1, 3, 256, 256), "ndsm": torch.rand(1, 1, 256, 256)})
    assert logits.shape == (1, classes, 256, 256)


def test_six_and_seven_are_those_of_the_papers_data_unless_told_otherwise() -> None:
    assert import_released(released(6)).config.classes.name == "isprs"
    assert import_released(released(7)).config.classes.name == "mmhunan"
    own = scheme_of(["Dach", "Straße", "Wiese", "Wald", "Wasser", "Gleis"], "stadt")
    assert import_released(released(6), classes=own).config.classes == own
    with pytest.raises(BadOption, match="has 5 classes; 6 are named"):
        import_released(released(5), classes=own)


def test_names_come_from_a_file_in_any_language(tmp_path: Path) -> None:
    file = tmp_path / "klassen.txt"
    file.write_text("Gebäude #FF0000\n\nStraße\n草地\n  Hecke, niedrig  \n", encoding="utf-8-sig")
    scheme = read_scheme(str(file))
    assert scheme.name == "klassen"
    assert scheme.names == ("gebaude", "strasse", "class_2", "hecke_niedrig")
    assert [each.title for each in scheme.classes] == [
        "Gebäude", "Straße", "草地", "Hecke, niedrig",
    ]  # fmt: skip
    assert scheme.classes[0].color == "#ff0000"
    assert len({each.color for each in scheme.classes}) == 4
    assert scheme.find("GEBÄUDE") == 0


@pytest.mark.parametrize("titles", [["a"], ["a", "A"], ["a", " "], ["x"] * (NODATA + 1)])
def test_schemes_that_cannot_be_told_apart_are_refused(titles: list[str]) -> None:
    with pytest.raises(BadOption):
        scheme_of(titles, "odd")


def test_a_name_of_no_scheme_and_no_file_is_refused() -> None:
    with pytest.raises(BadOption, match="isprs or mmhunan, or a text file"):
        read_scheme("cityscapes")


def test_two_imports_of_one_file_are_one_model(tmp_path: Path) -> None:
    torch.save(released(9), tmp_path / "theirs.pth")
    paths = [import_file(tmp_path / "theirs.pth", "theirs", tmp_path / at) for at in ("a", "b")]
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_the_same_network_is_the_same_file_however_often_it_is_written(tmp_path: Path) -> None:
    net = import_released(released(5))
    written = set()
    for number in range(8):
        save(net, tmp_path / f"{number}.safetensors")
        written.add((tmp_path / f"{number}.safetensors").read_bytes())
    assert len(written) == 1
    assert load_model(tmp_path / "0.safetensors").config == net.config
