"""The maps' catalogue: what is in it, what a search finds, and a real client of STAC."""

import json
from datetime import UTC, datetime
from typing import Any

import pystac
import pystac_client
import pytest
from pystac.validation import JsonSchemaSTACValidator

MAPS = {"west": (6.0, "2024-05-01T10:00:00Z"), "east": (7.0, "2025-05-01T10:00:00Z")}
"""Degrees east of the western rim, and when the place looked so; newest last."""


COLLECTION = '{"type": "GeometryCollection", "geometries": ['


def item(west: float | None, seen: str) -> dict[str, Any]:
    """What the job of a map of a tenth of a degree writes; None for a place that nobody knows."""
    place: dict[str, Any] = {"geometry": None}
    if west is not None:
        rim = [(west, 50), (west + 0.1, 50), (west + 0.1, 50.1), (west, 50.1), (west, 50)]
        place["geometry"] = {"type": "Polygon", "coordinates": [[list(point) for point in rim]]}
        place["bbox"] = [west, 50, west + 0.1, 50.1]
    return {
        **{"type": "Feature", "stac_version": "1.1.0", "stac_extensions": [], "links": []},
        **{"id": "land-cover-0", "properties": {"datetime": seen, "proj:code": None}},
        "assets": {
            "classes": {"href": "./classes.tif", "roles": ["data"]},
            "model": {"href": "../../../models/town/versions/1"},
        },
        **place,
    }


def mapped(api: Any, west: float | None, seen: str) -> str:
    """A finished map that asked for an entry; its job's id."""
    job: str = api.submit(stac=True)["id"]
    written = json.dumps(item(west, seen)).encode()
    api.finish(job, {"classes.tif": b"II*", "item.json": written})
    return job


@pytest.fixture
def maps(api: Any) -> dict[str, str]:
    """Three maps, newest last, of which one has no place; and one that asked for no entry."""
    ids = {name: mapped(api, *where) for name, where in MAPS.items()}
    ids["nowhere"] = mapped(api, None, "2026-01-01T00:00:00Z")
    api.finish(api.submit()["id"], {"classes.tif": b"II*"})
    return ids


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({}, ["nowhere", "east", "west"]),
        ({"bbox": [6.05, 50.05, 6.06, 50.06]}, ["west"]),
        ({"bbox": [6, 49, -10, 8, 51, 900]}, ["east", "west"]),
        ({"bbox": [170, -90, 6.05, 90]}, ["west"]),  # over the meridian of 180°
        ({"bbox": [6.2, 50, 6.9, 50.1]}, []),
        ({"datetime": "2025-01-01T00:00:00Z/.."}, ["nowhere", "east"]),
        ({"datetime": "2024-05-01T10:00:00Z"}, ["west"]),
        ({"datetime": "../.."}, ["nowhere", "east", "west"]),
        ({"intersects": {"type": "Point", "coordinates": [7.05, 50.05]}}, ["east"]),
        ({"collections": ["maps"], "limit": 2000}, ["nowhere", "east", "west"]),
        ({"collections": ["others"]}, []),
        ({"ids": ["west", "0" * 32]}, ["west"]),
    ],
    ids=str,
)
def test_a_search_finds_maps_by_place_and_time(
    api: Any, maps: dict[str, str], asked: dict[str, Any], found: list[str]
) -> None:
    if "ids" in asked:
        asked = {"ids": [maps.get(name, name) for name in asked["ids"]]}
    by_body = api.user.post("/stac/search", json=asked)
    assert by_body.headers["content-type"] == "application/geo+json"
    wanted = [maps[name] for name in found]
    assert [each["id"] for each in by_body.raise_for_status().json()["features"]] == wanted
    parameters = {
        name: ",".join(map(str, value)) if isinstance(value, list) else value
        for name, value in asked.items()
    }
    if "intersects" in asked:
        parameters["intersects"] = json.dumps(asked["intersects"])
    by_address = api.user.get("/stac/search", params=parameters)
    assert [each["id"] for each in by_address.raise_for_status().json()["features"]] == wanted


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"bbox": [1, 2, 3]}, "stac.bad_search"),
        ({"bbox": [1, 2, 3, 1]}, "stac.bad_search"),
        ({"bbox": [1, 2, 3, 4], "intersects": {"type": "Point"}}, "stac.bad_search"),
        ({"intersects": {"type": "Ball"}}, "stac.bad_search"),
        ({"intersects": {"type": "Polygon", "coordinates": [[[0, 0], [1, 1]]]}}, "stac.bad_search"),
        ({"intersects": {"type": "Point", "coordinates": [10**400, 0]}}, "stac.bad_search"),
        ({"ids": ["0"] * 1001}, "stac.bad_search"),
        ({"datetime": "yesterday"}, "job.bad_datetime"),
    ],
)
def test_what_no_search_can_be_made_of_is_refused(
    api: Any, asked: dict[str, Any], code: str
) -> None:
    reply = api.user.post("/stac/search", json=asked)
    assert (reply.status_code, reply.json()["code"]) == (400, code)


def test_an_address_may_be_wrong_in_its_own_ways(api: Any) -> None:
    for parameters, code in (
        ({"bbox": "a,b,c,d"}, "stac.bad_search"),
        ({"intersects": "[1]"}, "stac.bad_search"),
        ({"intersects": "[" * 5000}, "stac.bad_search"),
        ({"intersects": 400 * COLLECTION + 400 * "]}"}, "stac.bad_search"),
        ({"intersects": '{"type": "Point", "coordinates": [NaN, 0]}'}, "stac.bad_search"),
        ({"intersects": '{"type": "Point", "coordinates": [1e999, 0]}'}, "stac.bad_search"),
        ({"cloud": "10"}, "request.unknown_parameter"),
    ):
        reply = api.user.get("/stac/search", params=parameters)
        assert (reply.status_code, reply.json()["code"]) == (400, code)
    reply = api.user.get("/stac/collections/others")
    assert (reply.status_code, reply.json()["code"]) == (404, "stac.unknown_collection")


def test_everybody_has_a_catalogue_of_their_own(api: Any, maps: dict[str, str]) -> None:
    assert api.other.get("/stac/search").json()["features"] == []
    one = f"/stac/collections/maps/items/{maps['west']}"
    assert api.other.get(one).status_code == 404
    assert api.admin.get(one).status_code == 200
    assert api.nobody.get("/stac").status_code == 401


def test_a_map_that_is_removed_leaves_the_catalogue(api: Any, maps: dict[str, str]) -> None:
    one = f"/stac/collections/maps/items/{maps['west']}"
    assert api.user.get(one).status_code == 200
    api.user.delete(f"/jobs/{maps['west']}").raise_for_status()
    assert api.user.get(one).status_code == 404
    left = api.user.get("/stac/collections/maps/items").json()["features"]
    assert [each["id"] for each in left] == [maps["nowhere"], maps["east"]]


def test_pystac_client_walks_searches_and_reads(api: Any, maps: dict[str, str]) -> None:
    secret = api.user.headers["authorization"]
    client = pystac_client.Client.open(f"{api.url}/stac", headers={"Authorization": secret})
    (collection,) = client.get_collections()
    assert collection.id == "maps"
    assert {each.id for each in collection.get_items()} == set(maps.values())
    for method in ("GET", "POST"):
        search = client.search(method=method, limit=1, datetime="2020-01-01/2030-01-01")
        found = list(search.items())  # a page each
        assert [each.id for each in found] == [maps["nowhere"], maps["east"], maps["west"]]
    place = client.search(bbox=[5.9, 49.9, 6.05, 50.2], collections=["maps"])
    (there,) = place.items()
    assert there.datetime == datetime(2024, 5, 1, 10, tzinfo=UTC)
    JsonSchemaSTACValidator().validate_core(
        there.to_dict(transform_hrefs=False), pystac.STACObjectType.ITEM, "1.1.0"
    )
    classes = api.user.get(there.assets["classes"].href)
    assert classes.content == b"II*"
    assert there.assets["model"].href == f"{api.url}/models/town/versions/1"
