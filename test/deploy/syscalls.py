"""Compares the system calls of straced programs with a unit's filter.

    syscalls.py UNIT TRACE…
"""

import re
import subprocess
import sys


def group(name: str) -> set[str]:
    """The system calls of one of systemd's groups."""
    text = subprocess.run(["systemd-analyze", "syscall-filter", "--no-pager", name], capture_output=True, text=True, check=True).stdout
    calls = set()
    for line in text.splitlines()[1:]:
        word = line.split("#")[0].strip()
        if word.startswith("@"):
            calls |= group(word)
        elif word:
            calls.add(word)
    return calls


unit, *traces = sys.argv[1:]
allowed: set[str] = set()
for line in open(unit):
    if line.startswith("SystemCallFilter="):
        value = line.strip().removeprefix("SystemCallFilter=")
        for name in value.removeprefix("~").split():
            if value.startswith("~"):
                allowed -= group(name)
            else:
                allowed |= group(name)
made: set[str] = set()
for trace in traces:
    for line in open(trace, errors="replace"):
        m = re.match(r"\d+\s+(?:<\.\.\. )?([a-z_0-9]+)[( ]", line)
        if m:
            made.add(m[1])
if len(made) < 20 or len(allowed) < 100:
    sys.exit(f"{len(made)} calls made, {len(allowed)} allowed: the trace or the filter was not read")
if refused := made - allowed:
    sys.exit(f"the filter of {unit} refuses {', '.join(sorted(refused))}")
print(f"systemd: the filter lets the {len(made)} system calls through that the programs make")
