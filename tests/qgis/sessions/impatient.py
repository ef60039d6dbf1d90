"""A raster is sent by a QGIS that does not wait for its inspection.

    impatient.py URL KEY RASTER

Prints the upload's name and the log, as JSON. Runs under QGIS's Python.
"""

import json
import sys
from pathlib import Path

from qgis.core import QgsApplication, QgsNetworkAccessManager, QgsProcessingFeedback

url, key, raster = sys.argv[1:]
application = QgsApplication([], False)
application.initQgis()

from mfnet_qgis.http_requests import Requests  # noqa: E402 - needs an application
from mfnet_qgis.service import Service  # noqa: E402


class Impatient(Requests):
    """Has no patience for what is sent: other answers may take their time on a busy machine."""

    def put_file(self, *arguments):
        patience = QgsNetworkAccessManager.timeout()
        QgsNetworkAccessManager.setTimeout(500)  # ms; the inspection takes three times as long
        try:
            return super().put_file(*arguments)
        finally:
            QgsNetworkAccessManager.setTimeout(patience)


feedback = QgsProcessingFeedback()
service = Service(Impatient(url, key), feedback)
upload = service.upload(Path(raster))
told = {"name": upload["name"], "report": upload["report"], "log": feedback.textLog()}
sys.stdout.write(json.dumps(told) + "\n")
