"""Which files a map's job makes, and what is told of it when it is done."""

from mfnet.service.domain.map_outputs import further_files, remarks_after

ODD = {"code": "height.missing", "message": "some"}
TO_COME = {"code": "dtm.to_derive", "message": "later"}
UNSURE = {"code": "dtm.unsure", "message": "steep"}


def test_what_is_known_of_a_derived_terrain_takes_the_place_of_what_was_said_before() -> None:
    statistics = {"pair": {"remarks": [ODD, UNSURE]}}
    assert remarks_after([ODD, TO_COME], statistics) == [ODD, UNSURE]
    assert remarks_after(None, statistics) == [UNSURE]


def test_other_maps_keep_their_remarks() -> None:
    assert remarks_after([ODD], {"pair": {"remarks": [ODD]}}) is None
    assert remarks_after([ODD], {}) is None


def test_files_are_made_in_one_order_whatever_was_chosen_first() -> None:
    asked = {"zones": "1f", "polygons": True, "stac": True}
    chosen = {"item.json": None, "zones.csv": None, "polygons.gpkg": None}
    assert further_files(asked | {"outputs": chosen}) == ("polygons.gpkg", "zones.csv", "item.json")
