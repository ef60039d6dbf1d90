"""What QGIS loads: the provider everywhere, the menu and the panel where there is a window."""

from qgis.core import QgsApplication
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtWidgets import QAction

from .provider import MfnetProvider

_MENU = "&MFNet"


class MfnetPlugin:
    """The plugin's life, from loading to unloading."""

    def __init__(self, iface):
        """`iface` is QGIS's window; None in qgis_process."""
        self.iface = iface
        self.provider = None
        self.panel = None
        self._actions = []

    def initProcessing(self):  # noqa: N802 - qgis_process calls this, the window initGui
        """Register the algorithms."""
        self.provider = MfnetProvider()
        QgsApplication.processingRegistry().addProvider(self.provider)

    def initGui(self):  # noqa: N802
        """Register the algorithms, and add the menu, in a QGIS with a window."""
        self.initProcessing()
        window, icon = self.iface.mainWindow(), self.provider.icon()
        for title, called in (("Jobs", self.show_panel), ("Service…", self.show_service)):
            action = QAction(icon, title, window)
            action.triggered.connect(called)
            self.iface.addPluginToMenu(_MENU, action)
            self._actions.append(action)

    def show_panel(self):
        """The jobs, in a panel on the right."""
        from .jobs_panel import JobsPanel

        if self.panel is None:
            self.panel = JobsPanel(self.iface.mainWindow())
            self.iface.addDockWidget(Qt.DockWidgetArea.RightDockWidgetArea, self.panel)
        self.panel.show()

    def show_service(self):
        """Where the service is."""
        from .service_dialog import ServiceDialog

        ServiceDialog(self.iface.mainWindow()).exec()

    def unload(self):
        """Leave QGIS as it was."""
        for action in self._actions:
            self.iface.removePluginMenu(_MENU, action)
        if self.panel is not None:
            self.iface.removeDockWidget(self.panel)
            self.panel.deleteLater()
        QgsApplication.processingRegistry().removeProvider(self.provider)
