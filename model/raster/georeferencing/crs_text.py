"""Which texts of coordinate reference systems (CRSs) may be given to GDAL and PROJ.

PROJ opens what a CRS names, grids above all, from the local disk or from the network: when it
transforms coordinates, and already when it compares the CRS with those that it knows.
"""

import re

# Keywords as in WKT 1 and 2, in either kind of brackets; strings with doubled quotes inside.
_STRING = r'"((?:[^"]|"")*)"'
_EXTENSION = re.compile(rf"EXTENSION\s*[\[(]\s*{_STRING}\s*,\s*{_STRING}\s*[\])]", re.I)
_ANY_EXTENSION = re.compile(r"EXTENSION\s*[\[(]", re.I)
_METHOD = re.compile(rf"(?:METHOD|PROJECTION)\s*[\[(]\s*{_STRING}", re.I)
_PARAMETER_FILE = re.compile(r"PARAMETERFILE\s*[\[(]", re.I)
# nadgrids, geoidgrids, xy_grids, …; `@null` is no file: the usual WKT 1 of EPSG:3857 has it.
_NAMED = re.compile(r"(?:grids|file|model|init|catalog)\s*=\s*(?!@null(?:\s|$))", re.I)


def names_files(text: str) -> bool:
    """Whether a CRS's text (WKT of any age, a PROJ string) names a file, a grid or an address.

    A datum that was called after its grids ("… using nadgrids=conus") names none by that. What is
    written so that we cannot follow it counts as naming one.
    """
    extensions = _EXTENSION.findall(text)
    if len(extensions) < len(_ANY_EXTENSION.findall(text)) or _PARAMETER_FILE.search(text):
        return True
    told = [value for name, value in extensions if name.upper() != "PROJ4_GRIDS"]
    grids = [value for name, value in extensions if name.upper() == "PROJ4_GRIDS"]
    told += _METHOD.findall(text)
    if text.lstrip().startswith("+"):
        told.append(text)
    return any(value != "@null" for value in grids) or any(_NAMED.search(each) for each in told)
