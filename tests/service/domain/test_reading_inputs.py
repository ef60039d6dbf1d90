"""What a job may say about its rasters is what the engine understands."""

import pytest

from mfnet.model.cli.arguments import _READING
from mfnet.model.raster.values.reading_options import ReadingOptions
from mfnet.service.domain.reading_inputs import (
    NAMES,
    ReadingInputs,
    as_arguments,
    inspection_options,
    reading_of,
)
from mfnet.service.operations.inspection import file_inspection


def test_a_job_takes_what_the_engine_and_the_command_line_take() -> None:
    assert set(NAMES) == set(ReadingOptions.model_fields) == set(_READING)


def test_what_a_job_says_the_engine_reads() -> None:
    said = {
        "white": 4095.0,
        "bands": [3, 2, 1],
        "collar": False,
        "unmultiply": False,
        "height_band": 2,
        "dtm_band": 1,
        "height_unit": "us-ft",
        "height_offset": -3.5,
        "height_shift": [1.5, -2.0],
        "height_nodata": "none",
        "spikes": False,
        "crs": "EPSG:2154",
    }
    kept = reading_of(ReadingInputs(**said).model_dump(mode="json") | {"stride": 64})
    assert kept == said
    assert ReadingOptions(**kept).chosen() == said
    assert as_arguments(kept) == [
        "--white=4095.0",
        "--bands=3,2,1",
        "--no-collar",
        "--no-unmultiply",
        "--height-band=2",
        "--dtm-band=1",
        "--height-unit=us-ft",
        "--height-offset=-3.5",
        "--height-shift=1.5,-2.0",
        "--height-nodata=none",
        "--no-spikes",
        "--crs=EPSG:2154",
    ]


def test_a_terrain_that_is_derived_is_one_band_in_metres() -> None:
    sent = {"dtm": "auto", "dtm_band": 2, "dtm_unit": "ft", "height_unit": "ft"}
    assert reading_of(sent) == {"dtm_unit": "m", "height_unit": "ft"}
    asked = inspection_options(sent | {"largest_building": 40.0})
    assert asked == {"dtm_unit": "m", "height_unit": "ft", "dtm": "auto", "largest_building": 40.0}


@pytest.mark.parametrize(
    ("told", "shown"),
    [
        (
            "pass --dtm DTM; or --height-offset 3.0",
            "pass inputs.dtm DTM; or inputs.height_offset 3.0",
        ),
        ("--largest-building 60", "inputs.largest_building 60"),
        ("--no-collar if it is ground", "inputs.collar false if it is ground"),
        ("--no-spikes if they are heights", "inputs.spikes false if they are heights"),
        ("expected one of a, b: --layer a", "expected one of a, b: layer a"),
        ("the layer '--model' of a--dtm.gpkg", "the layer '--model' of a--dtm.gpkg"),
        ("gdalwarp -tr 0.1 0.1", "gdalwarp -tr 0.1 0.1"),
        ("--crs C, or rio edit-info --crs C", "inputs.crs C, or rio edit-info --crs C"),
    ],
)
def test_messages_name_the_inputs_of_a_job(told: str, shown: str) -> None:
    assert file_inspection._renamed(told, {}) == shown
