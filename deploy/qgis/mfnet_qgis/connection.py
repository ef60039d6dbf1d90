"""Which service is asked, and with which key."""

import os
from dataclasses import dataclass

from qgis.core import (
    QgsApplication,
    QgsAuthMethodConfig,
    QgsProcessingException,
    QgsProcessingParameterAuthConfig,
    QgsProcessingParameterDefinition,
    QgsProcessingParameterString,
    QgsSettings,
)

from .http_requests import Requests

URL, AUTH = "URL", "AUTH"
_URL_SETTING, _AUTH_SETTING, _MODELS_SETTING = "mfnet/url", "mfnet/authcfg", "mfnet/models"


@dataclass(frozen=True)
class Connection:
    """Where the service is, and where its key is kept.

    Attributes:
        url: Empty where nobody has said.
        authcfg: Id in QGIS's authentication store; empty for none.
    """

    url: str
    authcfg: str


def saved():
    """The connection that the user has set."""
    settings = QgsSettings()
    return Connection(settings.value(_URL_SETTING, ""), settings.value(_AUTH_SETTING, ""))


def save(url, key):
    """Remember a service; its key goes into QGIS's authentication store.

    Args:
        url: Of the service.
        key: Empty to keep the one that is stored.

    Raises:
        QgsProcessingException: The store is not open.
    """
    settings = QgsSettings()
    if key:
        settings.setValue(_AUTH_SETTING, _store(url, key, saved().authcfg))
    settings.setValue(_URL_SETTING, url.strip().rstrip("/"))


def known_models():
    """Models of the service that is set, as it told them last; empty where it was never asked."""
    return list(QgsSettings().value(_MODELS_SETTING, []) or [])


def save_models(models):
    """Remember a service's models, for the algorithms' lists."""
    QgsSettings().setValue(_MODELS_SETTING, models)


def parameters():
    """Of every algorithm: another service than the one that is set."""
    url = QgsProcessingParameterString(
        URL, "Address of the service (if not the one that is set)", optional=True
    )
    auth = QgsProcessingParameterAuthConfig(
        AUTH, "Its key (authentication entry; a Basic one holds it as password)", optional=True
    )
    for parameter in (url, auth):
        parameter.setFlags(parameter.flags() | QgsProcessingParameterDefinition.Flag.FlagAdvanced)
    return [url, auth]


def connect(url="", authcfg=""):
    """Requests to the service that is named, or set, or in the environment; in this order.

    Raises:
        QgsProcessingException: None is known.
    """
    known = saved()
    address = url or known.url or os.environ.get("MFNET_URL", "")
    if not address:
        raise QgsProcessingException(
            "no MFNet service is set: Plugins > MFNet > Service… takes its address and a key; "
            "in qgis_process: --URL and --AUTH, or MFNET_URL and MFNET_KEY in the environment"
        )
    if not address.startswith(("http://", "https://")):
        raise QgsProcessingException(
            f"{address!r} is no address of a service: expected http://… or https://…"
        )
    # A key goes only to the service that it was stored for.
    entry = authcfg or (known.authcfg if address.rstrip("/") == known.url else "")
    return Requests(address, key=None if entry else os.environ.get("MFNET_KEY"), authcfg=entry)


def _store(url, key, authcfg):
    manager = QgsApplication.authManager()
    config = QgsAuthMethodConfig("Basic")
    config.setName("MFNet")
    config.setUri(url)
    config.setConfig("username", "mfnet")
    config.setConfig("password", key)
    if authcfg and authcfg in manager.configIds():
        config.setId(authcfg)
        stored = manager.updateAuthenticationConfig(config)
    else:
        answer = manager.storeAuthenticationConfig(config)
        # QGIS 3.22 gives the entry with its new id back beside the answer.
        stored, config = answer if isinstance(answer, tuple) else (answer, config)
    if not stored:
        raise QgsProcessingException(
            "QGIS's authentication store did not take the key: set or enter its master password"
        )
    return config.id()
