"""Classes are found by what people write."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mfnet.model.classes import ISPRS, MMHUNAN, ClassScheme, LandClass, scheme_of
from mfnet.model.errors import BadOption

SCHEMES = st.sampled_from((ISPRS, MMHUNAN))


def spellings(text: str) -> Iterator[str]:
    for gap in (" ", "_", "-", "  ", ""):
        joined = gap.join(text.replace("_", " ").replace("-", " ").split())
        yield from (joined, joined.upper(), joined.title(), f"  {joined}\t")


@pytest.mark.parametrize("scheme", [ISPRS, MMHUNAN], ids=lambda scheme: scheme.name)
def test_a_class_is_found_by_name_title_and_value(scheme: ClassScheme) -> None:
    for value, item in enumerate(scheme.classes):
        for text in (*spellings(item.name), *spellings(item.title)):
            assert scheme.find(text) == value
        assert [scheme.find(same) for same in (value, float(value), str(value))] == [value] * 3


@given(scheme=SCHEMES, text=st.text() | st.integers() | st.floats() | st.none() | st.binary())
def test_whatever_else_is_refused_with_what_there_is(scheme: ClassScheme, text: object) -> None:
    known = [*range(len(scheme)), *map(str, range(len(scheme)))]
    word = text.strip() if isinstance(text, str) else text
    if word in known or (isinstance(word, str) and len(word) > 2):
        return  # a number, or perhaps a name
    with pytest.raises(BadOption) as refused:
        scheme.find(text)
    assert all(name in refused.value.message for name in scheme.names)
    assert refused.value.params["nearest"] in scheme.names


@pytest.mark.parametrize("text", ["-3", "6", "3.5", "", " ", "-", "3 4", 6, -1, 2.5, None, b"car"])
def test_what_is_no_class(text: object) -> None:
    with pytest.raises(BadOption, match=r"no class .*; expected one of 0 impervious_surface, 1 "):
        ISPRS.find(text)


def test_a_slip_of_the_pen_names_the_nearest() -> None:
    with pytest.raises(BadOption, match=r"no class 'Bilding'.*the nearest is 'building'"):
        ISPRS.find("Bilding")
    with pytest.raises(BadOption, match=r"the nearest is 'built_up'"):
        MMHUNAN.find("Built up areas")


def test_what_fits_two_classes_is_neither_unless_it_is_a_name() -> None:
    classes = [("flat_roof", "Roof"), ("flatroof", "roof"), ("pitched", "0")]
    scheme = ClassScheme(
        name="roofs",
        classes=tuple(LandClass(name=n, title=t, color="#000000") for n, t in classes),
    )
    assert [scheme.find(text) for text in ("flat_roof", "flatroof", "Pitched")] == [0, 1, 2]
    with pytest.raises(BadOption, match=r"class 'ROOF' may be flat_roof or flatroof; expected"):
        scheme.find("ROOF")
    with pytest.raises(BadOption, match=r"class '0' may be flat_roof or pitched"):
        scheme.find("0")
    assert scheme.find(0) == 0


def test_names_for_programs_differ_whatever_the_titles_are() -> None:
    scheme = scheme_of(["class 1", "草地", "Wald", "Wald!", "wald-2"], "own")
    assert scheme.names == ("class_1", "class_1_2", "wald", "wald_2", "wald_2_2")
    assert len({each.color for each in scheme.classes}) == 5
