"""Runs a command and tells its own largest memory: FILE COMMAND …, written as bytes to FILE.

A process counts what its parent held at its start into its peak. A test's process has held a lot,
this one nothing.
"""

import os
import subprocess
import sys

file, *command = sys.argv[1:]
child = subprocess.Popen(command)
_, status, usage = os.wait4(child.pid, 0)
with open(file, "w") as out:  # noqa: PTH123  importing pathlib would take memory
    out.write(str(usage.ru_maxrss << 10))
sys.exit(os.waitstatus_to_exitcode(status))
