"""Lists of classes as people write them."""

from pathlib import Path

import pytest

from mfnet.model.class_legend import LegendLine, read_legend
from mfnet.model.errors import BadLabels


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1,Haus\nWald\n2,Weg", None),
        ("1,Haus,#FF0000\n2,Weg\n", [("1", "Haus", "#ff0000"), ("2", "Weg", None)]),
        ("Wert;Name\n1;Haus\n\n2;Weg, Platz\n", [("1", "Haus", None), ("2", "Weg, Platz", None)]),
        ("00ff00\tWald\nFFFFFF\tWeg\n", [("#00ff00", "Wald", None), ("#ffffff", "Weg", None)]),
        ("Haus #808080\nWeg\n", [(None, "Haus", "#808080"), (None, "Weg", None)]),
        ("Facade, #aabbcc\nWall, #000001", [(None, "Facade", "#aabbcc"),
                                           (None, "Wall", "#000001")]),
        ('1,"Straße, Platz"\n2,森林', [("1", "Straße, Platz", None), ("2", "森林", None)]),
    ],
)  # fmt: skip
def test_lines_are_classes(
    text: str, expected: list[tuple[str | None, str, str | None]] | None, tmp_path: Path
) -> None:
    (tmp_path / "classes.txt").write_text(text, encoding="utf-8-sig")
    if expected is None:
        with pytest.raises(BadLabels, match="is no class"):
            read_legend(tmp_path / "classes.txt")
    else:
        assert read_legend(tmp_path / "classes.txt") == tuple(LegendLine(*e) for e in expected)


def test_windows_text_is_read_and_a_number_that_comes_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "classes.csv"
    path.write_bytes("1;Straße\n2;Gebäude".encode("cp1252"))
    assert [line.title for line in read_legend(path)] == ["Straße", "Gebäude"]
    path.write_text("1,a\n01,b\n")
    with pytest.raises(BadLabels, match="names 1 more than once"):
        read_legend(path)
