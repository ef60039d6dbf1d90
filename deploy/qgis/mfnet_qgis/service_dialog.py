"""Plugins > MFNet > Service…: where the service is, and its key."""

from qgis.core import QgsProcessingException, QgsProcessingFeedback
from qgis.PyQt.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QFormLayout,
    QLabel,
    QLineEdit,
    QPushButton,
)

from . import connection
from .service import Service


class ServiceDialog(QDialog):
    """Address and key; the key goes into QGIS's authentication store and is never shown again."""

    def __init__(self, parent=None):
        """Show what is set."""
        super().__init__(parent)
        self.setWindowTitle("MFNet service")
        known = connection.saved()
        self.url = QLineEdit(known.url or "http://127.0.0.1:8000")
        self.key = QLineEdit()
        self.key.setEchoMode(QLineEdit.EchoMode.Password)
        self.key.setPlaceholderText("kept as it is" if known.authcfg else "mfn_…")
        self.answer = QLabel()
        self.answer.setWordWrap(True)
        self.answer.setMinimumWidth(360)
        test = QPushButton("Save and test")
        test.clicked.connect(self.test)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        buttons.addButton(test, QDialogButtonBox.ButtonRole.ApplyRole)
        buttons.rejected.connect(self.reject)
        form = QFormLayout(self)
        form.addRow("Address", self.url)
        form.addRow("Key", self.key)
        form.addRow(self.answer)
        form.addRow(buttons)

    def test(self):
        """Save both, and ask the service whether it takes the key."""
        feedback = QgsProcessingFeedback()
        try:
            connection.save(self.url.text(), self.key.text().strip())
            service = Service(connection.connect(), feedback)
            service.greet()
            models = service.models()
        except QgsProcessingException as error:
            self.answer.setText(str(error))
            return
        connection.save_models(models)
        self.key.clear()
        self.answer.setText(f"It answers. Its models: {', '.join(models)}")
