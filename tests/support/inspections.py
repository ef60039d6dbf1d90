"""One process that forks the children of all inspections of a test process."""

import atexit

from mfnet.service.operations.inspection.file_inspection import ENVIRONMENT
from mfnet.service.operations.inspection.inspection_child import Children

CHILDREN = Children(ENVIRONMENT)
atexit.register(CHILDREN.close)
