"""A job can be asked for what the command line can: the two lists, side by side."""

import inspect

from mfnet.model.cli.main import inspect as inspect_command
from mfnet.model.cli.predict import predict
from mfnet.service.domain.job_uploads import UPLOADS
from mfnet.service.domain.reading_inputs import FURTHER, NAMES
from mfnet.service.schemas.jobs import SegmentInputs

OF_THE_COMMAND_LINE_ALONE = {
    "out": "a job's files have names of their own",
    "statistics": "always a result",
    "least_sure": "a result of every job with confidence",
    "keep_dtm": "a result of every job that derives a terrain",
    "models_dir": "a job names a registered model",
    "protocol": "said by stride and blend",
    "batch_size": "the worker's, with its memory",
    "device": "the worker's",
    "precision": "the worker's: all parts of a map are of one",
    "runtime": "the worker's",
    "as_json": "all answers are",
    "each": "the process `batch`",
    "resume": "workers always keep what is finished",
}


def test_a_job_takes_what_predict_takes() -> None:
    of_predict = set(inspect.signature(predict).parameters)
    of_jobs = set(SegmentInputs.model_fields)
    assert of_predict - of_jobs == set(OF_THE_COMMAND_LINE_ALONE)
    assert of_jobs - of_predict == {"model_sha256"}  # of what a job's status shows


def test_a_pair_is_inspected_with_what_it_is_mapped_with() -> None:
    of_inspect = set(inspect.signature(inspect_command).parameters)
    assert {*UPLOADS, *NAMES, *FURTHER} <= of_inspect
