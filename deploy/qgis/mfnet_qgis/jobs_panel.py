"""Plugins > MFNet > Jobs: the newest jobs and how far they are, without blocking the window."""

from qgis.core import (
    QgsApplication,
    QgsProcessingAlgRunnerTask,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProcessingUtils,
    QgsProject,
    QgsRasterLayer,
    QgsTask,
)
from qgis.PyQt.QtCore import QDateTime, Qt, QTimer
from qgis.PyQt.QtWidgets import (
    QDockWidget,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QPushButton,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from . import connection
from .service import UNFINISHED, Service

_POLL_MS = 2000
_COLUMNS = ("Begun", "Status", "%", "Message")
_ID = Qt.ItemDataRole.UserRole


class JobsPanel(QDockWidget):
    """A table of jobs; asks the service every two seconds while it is seen."""

    def __init__(self, parent=None):
        """Empty until the service has answered."""
        super().__init__("MFNet jobs", parent)
        self.setObjectName("MfnetJobs")
        self._task = None
        self._loading = None
        self.note = QLabel()
        self.note.setWordWrap(True)
        self.table = QTableWidget(0, len(_COLUMNS))
        self.table.setHorizontalHeaderLabels(_COLUMNS)
        self.table.setSelectionBehavior(QTableWidget.SelectionBehavior.SelectRows)
        self.table.setEditTriggers(QTableWidget.EditTrigger.NoEditTriggers)
        self.table.verticalHeader().hide()
        header = self.table.horizontalHeader()
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setStretchLastSection(True)
        self.load = QPushButton("Load map")
        self.cancel = QPushButton("Cancel job")
        self.load.clicked.connect(self.load_map)
        self.cancel.clicked.connect(self.cancel_job)
        self.table.itemSelectionChanged.connect(self._offer)
        self._lay_out()
        self._offer()
        self._timer = QTimer(self)
        self._timer.timeout.connect(self.refresh)
        self._timer.start(_POLL_MS)

    def refresh(self):
        """Ask for the jobs in a task, unless nobody sees them or an answer is awaited."""
        if self._task is None and self.isVisible():
            self._begin(lambda service: service.jobs(), self._show_jobs)

    def cancel_job(self):
        """Cancel the chosen job on the service."""
        job = self._chosen()
        if job is not None and job["status"] in UNFINISHED:
            self._begin(lambda service: service.cancel(job["jobID"]), lambda _: self.refresh())

    def load_map(self):
        """Fetch the chosen job's map in the background, and add it to the project."""
        job = self._chosen()
        if job is None:
            return
        algorithm = QgsApplication.processingRegistry().algorithmById("mfnet:fetchjob")
        path = QgsProcessingUtils.generateTempFilename("map.tif")
        context, feedback = QgsProcessingContext(), QgsProcessingFeedback()
        task = QgsProcessingAlgRunnerTask(
            algorithm, {"JOB": job["jobID"], "OUTPUT": path}, context, feedback
        )
        name = f"Map {job['jobID'][:8]}"
        task.executed.connect(lambda good, results: self._add(good, results, name, feedback))
        self._loading = task, context, feedback  # Processing does not keep them alive
        self.note.setText(f"Fetching {name}")
        QgsApplication.taskManager().addTask(task)

    def _add(self, good, results, name, feedback):
        self._loading = None
        if not good or "OUTPUT" not in results:
            self.note.setText(feedback.textLog().strip().rpartition("\n")[2])
            return
        self.note.setText("")
        QgsProject.instance().addMapLayer(QgsRasterLayer(results["OUTPUT"], name))

    def _begin(self, ask, then):
        """Ask the service outside the window's thread; `then` gets the answer in it."""
        try:
            service = Service(connection.connect(), QgsProcessingFeedback())
        except QgsProcessingException as error:
            self.note.setText(str(error))
            return

        def finished(error, answer=None):
            self._task = None
            self.note.setText(str(error) if error else "")
            if not error:
                then(answer)

        self._task = QgsTask.fromFunction(
            "MFNet jobs",
            lambda _: ask(service),
            on_finished=finished,
            flags=QgsTask.Flag.CanCancel,
        )
        QgsApplication.taskManager().addTask(self._task)

    def _show_jobs(self, jobs):
        chosen = self._chosen()
        self.table.blockSignals(True)
        self.table.clearSelection()
        self.table.setRowCount(len(jobs))
        for row, job in enumerate(jobs):
            moment = QDateTime.fromString(job["created"], Qt.DateFormat.ISODateWithMs)
            begun = moment.toLocalTime().toString("yyyy-MM-dd hh:mm")
            cells = (begun, job["status"], str(job["progress"]), job.get("message") or "")
            for column, text in enumerate(cells):
                item = QTableWidgetItem(text)
                item.setToolTip(_detail(job))
                item.setData(_ID, job)
                self.table.setItem(row, column, item)
            if chosen is not None and job["jobID"] == chosen["jobID"]:
                self.table.selectRow(row)
        self.table.blockSignals(False)
        self._offer()

    def _chosen(self):
        rows = self.table.selectionModel().selectedRows()
        item = self.table.item(rows[0].row(), 0) if rows else None
        return None if item is None else item.data(_ID)

    def _offer(self):
        """Only what the chosen job is fit for."""
        status = (self._chosen() or {}).get("status")
        self.load.setEnabled(status == "successful")
        self.cancel.setEnabled(status in UNFINISHED)

    def _lay_out(self):
        inside = QWidget()
        rows, buttons = QVBoxLayout(inside), QHBoxLayout()
        buttons.addWidget(self.load)
        buttons.addWidget(self.cancel)
        rows.addWidget(self.table)
        rows.addWidget(self.note)
        rows.addLayout(buttons)
        self.setWidget(inside)


def _detail(job):
    """Why it failed, and what is odd about its rasters."""
    told = [f"Job {job['jobID']}"]
    if job.get("exception"):
        told.append(job["exception"].get("detail", ""))
    told += [each["message"] for each in job.get("remarks") or []]
    return "\n".join(told)
