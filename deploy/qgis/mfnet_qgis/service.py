"""What an MFNet service does, in calls: uploads, jobs, results, corrections."""

import time
import uuid
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

from qgis.core import QgsProcessingException

from .http_requests import Cancelled, ServiceError
from .upload_files import prepare
from .version import OLDEST_SERVICE, is_too_old, plugin_version

_POLL_S = 1.0
_LOOK_S = 0.1  # how soon a cancelled job is noticed
_BLOCK_BYTES = 8 << 20
UNFINISHED = ("accepted", "running")
_INSPECTION_S = 600
_PATIENCE = 30  # polls in a row that may fail before a job counts as lost sight of


class Service:
    """One service, for one algorithm's run."""

    def __init__(self, requests, feedback):
        """Nothing is sent yet.

        Args:
            requests: `Requests` to it.
            feedback: Hears what happens, and cancels.
        """
        self._requests = requests
        self._feedback = feedback
        self._files = {}  # names of files here, by what they are called there

    def greet(self):
        """Tell the user which versions talk to each other.

        Raises:
            QgsProcessingException: The service is too old.
        """
        if self._requests.is_open_to_others():
            self._feedback.pushWarning(
                f"{self._requests.url} is not encrypted: others on the way can read the key"
            )
        version = self._requests.get("/processes/segment", self._feedback).json()["version"]
        self._feedback.pushInfo(
            f"MFNet {version} at {self._requests.url}; this plugin is {plugin_version()}"
        )
        if is_too_old(version):
            oldest = ".".join(map(str, OLDEST_SERVICE))
            raise QgsProcessingException(
                f"the service is version {version}; this plugin needs {oldest} or newer: update "
                "the service, or install an earlier plugin"
            )

    def models(self):
        """What may be given for a model: names, for the version in use, and NAME@VERSION."""
        models = self._requests.get("/models", self._feedback).json()["models"]
        names = {each["name"] for each in models if each["state"] == "active"}
        return sorted(names) + sorted(f"{each['name']}@{each['version']}" for each in models)

    # ---- uploads --------------------------------------------------------------------------------

    def upload(self, file: Path, start=0.0, end=100.0):
        """Send a file and what stands beside it, unless the service has the same already.

        Args:
            file: A GeoTIFF or GeoPackage.
            start: Progress when it begins, percent.
            end: Progress when it is there.

        Returns:
            What the service says of it: id, name, report.
        """
        sending = prepare(file, self._feedback)
        self._files[sending.name] = file.name
        known = self._known(sending)
        if known is not None:
            self._feedback.pushInfo(f"{file.name}: the service has it already")
            self._feedback.setProgress(end)
            return known
        for name, each in sending.sidecars.items():
            self._requests.put_file(f"/uploads/{quote(name)}", each, self._feedback)
        self._feedback.pushInfo(f"Sending {file.name}, {file.stat().st_size / 1e6:,.1f} MB")
        with self._own_names():
            return self._put(sending, start, end)

    def _put(self, sending, start, end):
        """Send the file itself."""
        most = 0

        def progress(sent, total):
            nonlocal most
            most = max(sent, most)  # a request that is cut ends with 0
            if total > 0:
                self._feedback.setProgress(start + (end - start) * sent / total)

        path = f"/uploads/{quote(sending.name)}?sha256={sending.sha256}"
        try:
            return self._requests.put_file(path, sending.file, self._feedback, progress).json()
        except ServiceError as error:
            if error.status is not None or most < sending.file.stat().st_size:
                raise
            return self._inspected(sending, error)

    def _inspected(self, sending, error):
        """An upload that arrived whole, whose inspection takes longer than QGIS waits for it."""
        self._feedback.pushInfo("The service has it and looks at it; waiting")
        deadline = time.monotonic() + _INSPECTION_S
        while time.monotonic() < deadline:
            self._sleep()
            with suppress(ServiceError):
                known = self._known(sending)
                if known is not None:
                    return known
        raise error

    def _known(self, sending):
        """What the service has of the same name and bytes."""
        uploads = self._requests.get("/uploads?limit=1000", self._feedback).json()["uploads"]
        wanted = sending.name, sending.sha256
        return next((each for each in uploads if (each["name"], each["sha256"]) == wanted), None)

    # ---- jobs -----------------------------------------------------------------------------------

    def submit(self, inputs, outputs=None):
        """Start a segmentation; returns the job's id.

        A request that fails on the way is sent once more: the service knows it by its key.

        Args:
            inputs: As the service takes them.
            outputs: Names of the results that are wanted; None for all.
        """
        headers = {"Idempotency-Key": uuid.uuid4().hex}
        path, body = "/processes/segment/execution", {"inputs": inputs}
        if outputs is not None:
            body["outputs"] = {name: {} for name in outputs}
        with self._own_names():
            try:
                reply = self._requests.post(path, body, self._feedback, headers)
            except ServiceError as error:
                if error.status is not None:
                    raise
                reply = self._requests.post(path, body, self._feedback, headers)
        return reply.json()["jobID"]

    def status(self, job):
        """How far a job is."""
        return self._requests.get(f"/jobs/{quote(job)}", self._feedback).json()

    def inputs_of(self, job):
        """What a job was asked for, so that it can be asked for again.

        Raises:
            QgsProcessingException: It has made no map.
        """
        inputs = self.status(job)["inputs"]
        if "ortho" not in inputs:
            raise QgsProcessingException(f"job {job} has made no map; expected one that has")
        # Beside them stands what the service has noted itself.
        process = self._requests.get("/processes/segment", self._feedback).json()
        return {name: value for name, value in inputs.items() if name in process["inputs"]}

    def wait(self, job, start=0.0, end=100.0):
        """Wait for a job; cancels it on the service when the user cancels here.

        Returns:
            Its last status.

        Raises:
            QgsProcessingException: It failed, was dismissed, or is out of sight.
            Cancelled: By the user.
        """
        told, status = set(), self._patient_status(job)
        while status["status"] in UNFINISHED:
            self._tell(status, told)
            self._feedback.setProgress(start + (end - start) * status["progress"] / 100)
            self._pause(job)
            status = self._patient_status(job)
        self._tell(status, told)
        with self._own_names():
            return _finished(status)

    def _patient_status(self, job):
        """Its status, asked for again where the service is away for a while."""
        for _ in range(_PATIENCE):
            try:
                return self.status(job)
            except Cancelled:
                self.cancel(job)
                raise
            except ServiceError as error:
                if error.status is not None and error.status < 500:
                    raise
                last = error
            self._pause(job)
        raise last

    def _tell(self, status, told):
        """What has not been told of a job yet: its message, and remarks."""
        remarks = [f"{each['message']} ({each['code']})" for each in status.get("remarks") or []]
        for text in remarks:
            if text not in told:
                self._feedback.pushWarning(self._with_own_names(text))
        message = status.get("message")
        if message and message not in told:
            self._feedback.pushInfo(message)
        told.update([*remarks, message])

    def tell_report(self, upload):
        """The remarks of an upload's inspection."""
        for remark in upload.get("report", {}).get("remarks") or []:
            text = f"{remark['message']} ({remark['code']})"
            self._feedback.pushWarning(self._with_own_names(text))

    @contextmanager
    def _own_names(self):
        """Errors name files as they are called here."""
        try:
            yield
        except Cancelled:
            raise
        except QgsProcessingException as error:
            status = getattr(error, "status", None)
            raise ServiceError(self._with_own_names(str(error)), status) from None

    def _with_own_names(self, text):
        for theirs, ours in self._files.items():
            text = text.replace(theirs, ours)
        return text

    def _pause(self, job):
        try:
            self._sleep()
        except Cancelled:
            self.cancel(job)
            raise

    def _sleep(self):
        deadline = time.monotonic() + _POLL_S
        while time.monotonic() < deadline:
            if self._feedback.isCanceled():
                raise Cancelled("cancelled")
            time.sleep(_LOOK_S)

    def cancel(self, job):
        """Cancel a job that is not finished; a finished one would be removed."""
        self._requests.delete(f"/jobs/{quote(job)}")
        self._feedback.pushInfo(f"Job {job} is cancelled on the service")

    def jobs(self, limit=20):
        """The newest jobs first."""
        path = f"/jobs?processID=segment&limit={limit}"
        return self._requests.get(path, self._feedback).json()["jobs"]

    # ---- results --------------------------------------------------------------------------------

    def results(self, job):
        """Names of a job's files."""
        return list(self._requests.get(f"/jobs/{quote(job)}/results", self._feedback).json())

    def download(self, job, name, to: Path):
        """Fetch a file in pieces, so that none is in memory whole; a cut one leaves nothing."""
        part = to.with_name(to.name + ".part")
        try:
            with part.open("wb") as file:
                total = None
                while total is None or file.tell() < total:
                    total = self._piece(f"/jobs/{quote(job)}/results/{quote(name)}", file, total)
            part.replace(to)
        finally:
            part.unlink(missing_ok=True)

    def _piece(self, path, file, total):
        start = file.tell()
        headers = {"Range": f"bytes={start}-{start + _BLOCK_BYTES - 1}"}
        reply = self._requests.get(path, self._feedback, headers)
        file.write(reply.body)
        if reply.status != 206:
            return file.tell()
        found = int(reply.headers["content-range"].rpartition("/")[2])
        if total not in (None, found) or not reply.body:
            raise ServiceError(f"{path} changed while it was fetched: fetch it again")
        return found

    # ---- corrections ----------------------------------------------------------------------------

    def correct(self, job, body):
        """Send a correction; returns the labelled tile."""
        path = f"/jobs/{quote(job)}/corrections"
        with self._own_names():
            return self._requests.post(path, body, self._feedback).json()


def _finished(status):
    if status["status"] == "successful":
        return status
    if status["status"] == "failed":
        problem = status.get("exception") or {}
        said = problem.get("detail") or "no reason is known"
        raise QgsProcessingException(f"the job failed: {said} ({problem.get('code')})")
    raise QgsProcessingException("the job was cancelled on the service")
