"""Everything that this project raises on purpose: one root, one class a cause.

`InputError` is the caller's fault (exit status 2, HTTP 4xx); `EngineError` is ours (exit status 1,
HTTP 5xx). Each class has a stable `code` that programs may rely on; the message says what was
found, what was expected and what to do; `params` holds the numbers behind the message.
"""

from typing import Any, ClassVar


class MfnetError(Exception):
    """Root of the project's errors.

    Args:
        message: What was found, what was expected, what to do.
        params: The numbers and names behind the message, as JSON values.
    """

    code: ClassVar[str] = "internal"

    def __init__(self, message: str, **params: Any) -> None:
        super().__init__(message)
        self.message = message
        self.params = params

    def to_dict(self) -> dict[str, Any]:
        """The error as it travels: to `--json`, to a job's record, to problem+json."""
        return {"code": self.code, "message": self.message, "params": self.params}


class InputError(MfnetError, ValueError):
    """A mistake of the caller's."""

    code = "input.invalid"


class EngineError(MfnetError, RuntimeError):
    """A fault of the program or of the machine."""

    code = "engine.failed"


# ---- one raster file -----------------------------------------------------------------------


class RasterMissing(InputError):
    """There is no such file, or it cannot be read."""

    code = "raster.missing"


class NotGeoTiff(InputError):
    """The file is not a TIFF, whatever its name says."""

    code = "raster.not_geotiff"


class RasterForbidden(InputError):
    """A genuine TIFF with a feature that we do not accept from strangers."""

    code = "raster.forbidden"


class RasterTooLarge(InputError):
    """The declared size, band count or block size is over the limit."""

    code = "raster.too_large"


class RasterUnreadable(InputError):
    """Truncated, corrupt, or a compression that cannot be decoded."""

    code = "raster.unreadable"


class BadSidecar(InputError):
    """A file beside a raster (.tfw, .prj, .aux.xml, .msk) that cannot be understood."""

    code = "raster.bad_sidecar"


class BadArchive(InputError):
    """A zip of tiles that is damaged, encrypted, or holds archives, links or ambiguous names."""

    code = "raster.bad_archive"


class ArchiveTooLarge(InputError):
    """A zip of tiles with too many files, or that unpacks to too much."""

    code = "raster.archive_too_large"


class TilesDiffer(InputError):
    """A tile of a raster that is kept in tiles differs from the others."""

    code = "raster.tiles_differ"


class InputChanged(InputError):
    """The file was replaced, rewritten or truncated while it was being read."""

    code = "raster.changed"


class WrongClasses(InputError):
    """A class raster with values that the scheme does not have."""

    code = "raster.wrong_classes"


class WrongBands(InputError):
    """The number or kind of bands is not what the role asks for."""

    code = "raster.wrong_bands"


class WrongType(InputError):
    """A pixel type that is no picture and no height: complex, palette, 64-bit integers."""

    code = "raster.wrong_type"


class NoData(InputError):
    """Not one valid pixel."""

    code = "raster.no_data"


class NotGeoreferenced(InputError):
    """No transform to the ground: it cannot be said where the pixels are."""

    code = "raster.not_georeferenced"


# ---- a pair ---------------------------------------------------------------------------------


class CrsMissing(InputError):
    """One raster has a coordinate reference system, the other has none."""

    code = "pair.crs_missing"


class NoOverlap(InputError):
    """The height raster covers too little of the orthophoto."""

    code = "pair.no_overlap"


class AmbiguousInput(InputError):
    """The numbers can be read in two ways; the message names the option that decides.

    `params["option"]` holds the option's name.
    """

    code = "pair.ambiguous"


class NotAboveGround(AmbiguousInput):
    """Heights that are not metres above ground: an absolute DSM, or another level than ground."""

    code = "pair.not_above_ground"


class UnclearUnit(AmbiguousInput):
    """Heights whose unit follows neither from tags nor from numbers."""

    code = "pair.unclear_unit"


class UnclearWhite(AmbiguousInput):
    """An orthophoto whose white follows neither from tags nor from numbers."""

    code = "pair.unclear_white"


class UnclearNodata(AmbiguousInput):
    """A height that so many pixels share that it may stand for a missing one."""

    code = "pair.unclear_nodata"


# ---- models ---------------------------------------------------------------------------------


class UnknownModel(InputError):
    """No model of this name or path."""

    code = "model.unknown"


class BadCheckpoint(InputError):
    """The file is no checkpoint of ours, or of a version that this program does not know."""

    code = "model.bad_checkpoint"


class ModelAltered(InputError):
    """A registered model's file is not the one that was made and measured."""

    code = "model.altered"


class BaseMissing(InputError):
    """The frozen weights that a model builds on are not installed."""

    code = "model.base_missing"


class DownloadFailed(EngineError):
    """A download that broke off; what has come is kept."""

    code = "model.download_failed"


class ModelInput(InputError):
    """A tensor or raster that the model cannot take: modality, bands or size."""

    code = "model.wrong_input"


class BadOption(InputError):
    """An option outside its range."""

    code = "option.invalid"


class MissingExtra(InputError):
    """A part of the program that is installed on demand is not there."""

    code = "install.extra_missing"


# ---- a run ----------------------------------------------------------------------------------


class OutputNotWritable(InputError):
    """The result cannot be written where it was asked for."""

    code = "output.not_writable"


class DiskFull(OutputNotWritable):
    """Too little room for the result where it was asked for: told before the work, or during it."""

    code = "output.disk_full"


class TooLittleMemory(InputError):
    """A raster too wide for the memory that is free: told before the work."""

    code = "run.too_little_memory"


class PartMissing(EngineError):
    """A part of a map that is to be joined is not there, or not whole."""

    code = "part.missing"


class PartOfOtherKind(EngineError):
    """A part of a map that would not fit those of other workers, so it is not computed."""

    code = "part.other_kind"


class Cancelled(MfnetError):
    """The caller asked to stop; nothing was published."""

    code = "run.cancelled"


class LibraryMissing(EngineError):
    """A library of the operating system that a package needs is not installed."""

    code = "engine.library_missing"


class GeodataMissing(EngineError):
    """PROJ has no database of coordinate reference systems, or one of another version."""

    code = "engine.geodata"


class NonFiniteLogits(EngineError):
    """The network returned NaN or Inf for finite input."""

    code = "engine.non_finite"


# ---- training ------------------------------------------------------------------------------


class BadRecipe(InputError):
    """A recipe that is no TOML, has a key that nobody knows, or a value out of range."""

    code = "recipe.invalid"


class TrainingDiverged(EngineError):
    """The loss or its gradient became NaN or Inf."""

    code = "training.diverged"


# ---- labelled tiles -------------------------------------------------------------------------


class BadManifest(InputError):
    """A manifest of labelled tiles that cannot be read, or that names what nobody knows."""

    code = "data.manifest"


class DataMissing(InputError):
    """A data set lacks a file that it should have, or a tile lacks its heights or labels."""

    code = "data.missing"


class DataMismatch(InputError):
    """Files of a tile that do not belong together: another size, place or kind."""

    code = "data.mismatch"


class SceneAmongTiles(InputError):
    """A labelled tile that every model is measured on: nobody may learn from it."""

    code = "data.scene"


class BadLabels(InputError):
    """Labels that nothing can be learned from: unknown values, none at all, one class alone."""

    code = "data.labels"


class BadZones(InputError):
    """Polygons that areas cannot be summed in: unreadable, of no place, or beside the map."""

    code = "zones.invalid"


class BadPolygons(BadLabels):
    """A vector file that is damaged, or holds no polygons with the column asked for."""

    code = "data.polygons"


class BadGeoPackage(BadPolygons):
    """The same of a GeoPackage, or of a database that is none."""

    code = "data.geopackage"


class NeedsHeights(InputError):
    """An orthophoto without heights, for a model that maps by heights."""

    code = "model.needs_heights"


# ---- maps ----------------------------------------------------------------------------------


class NoMap(InputError):
    """A raster that does not say which model, inputs and options it was made with."""

    code = "map.unknown"


class MapDiffers(InputError):
    """A map that is not what its tags say, or inputs or a model that did not make it."""

    code = "map.differs"


class MapsNotComparable(InputError):
    """Two maps of other places, pixels or classes."""

    code = "map.not_comparable"


# ---- corrections ---------------------------------------------------------------------------


class OtherGrid(InputError):
    """A corrected class raster that does not lie on the map's grid."""

    code = "correction.other_grid"


class EmptyCorrection(InputError):
    """A correction that says nothing: it differs nowhere, labels no pixel, or lies elsewhere."""

    code = "correction.empty"


class TooSmall(InputError):
    """A map smaller than one window: nothing can be learned from it."""

    code = "correction.too_small"
