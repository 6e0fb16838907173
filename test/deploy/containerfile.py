"""Checks a Containerfile that cannot be built here: what it copies is there, and its image is as strict as the docs say.

    containerfile.py FILE
"""

import os
import sys

from dockerfile_parse import DockerfileParser

with open(sys.argv[1], "rb") as file:
    steps = DockerfileParser(fileobj=file, cache_content=True).structure
stages = [s["value"] for s in steps if s["instruction"] == "FROM"]
assert len(stages) == 2 and stages[-1] == "scratch", stages
final = steps[max(i for i, s in enumerate(steps) if s["instruction"] == "FROM") :]
users = [s["value"] for s in final if s["instruction"] == "USER"]
assert users and users[-1].split(":")[0].isdigit() and users[-1].split(":")[0] != "0", users
build = [s["value"] for s in steps if s["instruction"] == "RUN" and "go build" in s["value"]]
assert len(build) == 1 and "CGO_ENABLED=0" in build[0] and "-trimpath" in build[0], build
copied = []
for s in steps:
    if s["instruction"] == "COPY" and "--from" not in s["value"]:
        copied += s["value"].split()[:-1]
ignored = open(".dockerignore").read().split()
for name in copied:
    if name != ".":
        assert os.path.exists(name), f"COPY {name}: it is not there"
        assert f"!{name}" in ignored, f"COPY {name}: .dockerignore keeps it out"
print("Containerfile: what it copies is there; two stages, the last of them scratch, not root")
