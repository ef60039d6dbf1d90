"""The models that the service offers: which there are, which one a name means, and changing that.

A fresh service starts with the models that are installed (`mfnet models list`), each as version 1
of its name. What is installed later under a known name, and is another file, becomes a candidate:
nothing goes live by itself.
"""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy.exc import IntegrityError

from mfnet.service.db.repositories.models import ModelRepository
from mfnet.service.db.session import Database
from mfnet.service.db.tables import Model
from mfnet.service.domain.model_version import ModelState, Ref
from mfnet.service.errors import ModelConflict, ModelRefused, NoSuchModel, ServiceError
from mfnet.service.files.model_store import ModelFiles, digest

_log = logging.getLogger(__name__)


class ModelInspector(Protocol):
    """Reads the headers of model files, in a child process (see `Inspector`)."""

    def installed(self) -> dict[str, Path]:
        """The files of the installed models, by name."""

    def config(self, path: Path) -> dict[str, Any]:
        """What stands in a model's file beside its weights."""


class Registry:
    """Models by name and version.

    Args:
        database: Where their rows are.
        files: Where their files are.
        inspector: Looks at installed models.
    """

    def __init__(self, database: Database, files: ModelFiles, inspector: ModelInspector) -> None:
        self._database = database
        self._files = files
        self._inspector = inspector

    def enter_installed(self) -> None:
        """Take in the installed models that are not here yet; what cannot be taken in is logged.

        For a service that starts: it has work to do without that model, too.
        """
        try:
            installed = self._inspector.installed()
        except ServiceError as error:
            _log.error("the installed models could not be listed: %s", error)
            return
        for name, path in installed.items():
            try:
                self._enter(name, path)
            except (ServiceError, OSError) as error:
                _log.error("the installed model %s could not be taken in: %s", name, error)

    def find(self, ref: Ref) -> Model:
        """The version that is meant: the active one where none is named.

        Raises:
            NoSuchModel: There is none, nor has one been installed since we looked.
        """
        model = self._get(ref)
        if model is None and (path := self._inspector.installed().get(ref.name)) is not None:
            self._enter(ref.name, path)
            model = self._get(ref)
        if model is None:
            raise self._unknown(ref)
        return model

    def promote(
        self, ref: Ref, replaces: int | None, who: str, why: str, *, force: bool = False
    ) -> Model:
        """Make a version the active one, once its file has been found as it was measured.

        Args:
            ref: Names the version.
            replaces: The version that is to be active until then; the one that is active now where
                it is None.
            who: Asks for it.
            why: In words.
            force: Also if the gate has refused it, which the history then says.

        Raises:
            NoSuchModel: There is none.
            ModelConflict: It is active already, or another than `replaces` is.
            ModelRefused: The gate has refused it, and `force` was not asked for.
            ModelAltered: Its file is another than when it was made.
        """
        model, active = self.find(ref), self.find(Ref(ref.name))
        if model.version == active.version:
            raise _conflict(f"{model.name}@{model.version} is active already", active)
        if replaces is None:
            replaces = active.version
        elif replaces == model.version:
            raise _conflict(f"version {replaces} was to replace itself", active)
        against = _refusal(model)
        if against is not None:
            if not force:
                raise ModelRefused(
                    f"the gate has refused {model.name}@{model.version}: {against}. Look at its "
                    "report; to promote it all the same, ask with force (`mfnet registry promote "
                    f"{model.name}@{model.version} --force`)",
                    model=model.name,
                    version=model.version,
                    reason=against,
                )
            why = f"forced against the gate ({against}): {why or 'no reason given'}"[:2000]
        self._files.check(model.sha256)
        with self._database.writing() as session:
            promoted = ModelRepository(session).promote(model, replaces, who, why)
        if not promoted:
            raise _conflict(
                f"version {replaces} was to be replaced by {model.version}, and is not active (any "
                "more)",
                self.find(Ref(ref.name)),
            )
        _log.info("%s@%d is active: %s, %s", model.name, model.version, who, why)
        return self.find(ref)

    def roll_back(self, name: str, replaces: int | None, who: str, why: str) -> Model:
        """Make the version active again that the active one has replaced; returns it.

        Args:
            name: Of the model.
            replaces: The version that is to be active until then; the one that is active now where
                it is None.
            who: Asks for it.
            why: In words.

        Raises:
            NoSuchModel: There is no model of this name.
            ModelConflict: The active version has replaced none, or is another than `replaces`.
            ModelAltered: The file of the former version is another than when it was made.
        """
        active = self.find(Ref(name))
        if replaces not in (None, active.version):
            raise _conflict(f"version {replaces} was to be rolled back, and is not active", active)
        with self._database.reading() as session:
            before = ModelRepository(session).replaced_by(active)
        if before is None:
            raise _conflict(f"{name}@{active.version} has replaced no other version", active)
        self._files.check(before.sha256)
        with self._database.writing() as session:
            model = ModelRepository(session).roll_back(active, who, why)
        if model is None:
            raise _conflict(
                f"version {active.version} is not active any more", self.find(Ref(name))
            )
        _log.info("%s@%d is active again: %s, %s", name, model.version, who, why)
        return self.find(Ref(name, model.version))

    def versions(self, name: str | None = None) -> Sequence[Model]:
        """All versions of a model, or of all models."""
        with self._database.reading() as session:
            return ModelRepository(session).all(name)

    # ---- below -----------------------------------------------------------------------------

    def _get(self, ref: Ref) -> Model | None:
        with self._database.reading() as session:
            return ModelRepository(session).get(ref.name, ref.version)

    def _enter(self, name: str, path: Path) -> None:
        known = {model.sha256 for model in self.versions(name)}
        sha256 = digest(path)
        if sha256 in known:
            # An export may have come later, or with a newer version of this program.
            self._files.keep_export(path, sha256)
            return
        self._files.add(path, sha256)
        config, size = self._inspector.config(path), path.stat().st_size
        why = "installed under this name"
        try:
            with self._database.writing() as session:
                models = ModelRepository(session)
                model = models.add(name, sha256, size, config, who="the service", why=why)
                if sum(other.sha256 == sha256 for other in models.all(name)) > 1:
                    raise _TakenIn
        except (IntegrityError, _TakenIn):
            return  # by another process, meanwhile or at the very moment
        if model.state is ModelState.CANDIDATE:
            _log.warning("%s: another file is installed; it is candidate %d", name, model.version)

    def _unknown(self, ref: Ref) -> NoSuchModel:
        known = sorted({model.name for model in self.versions()})
        version = "" if ref.version is None else f"@{ref.version}"
        return NoSuchModel(
            f"no model {ref.name + version!r}; there are: {', '.join(known) or 'none'}",
            model=ref.name + version,
            known=known,
        )


def _refusal(model: Model) -> str | None:
    """What the gate had against a version; None where it passed, or was never asked."""
    verdict = (model.config.get("provenance") or {}).get("gate") or {"passed": True}
    return None if verdict.get("passed") else str(verdict.get("reason"))


class _TakenIn(Exception):
    """Undoes what has been added twice."""


def _conflict(what: str, active: Model) -> ModelConflict:
    return ModelConflict(
        f"{what}: version {active.version} is the active one of {active.name!r}; look at it, then "
        "decide again",
        model=active.name,
        active=active.version,
    )
