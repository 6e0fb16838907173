"""Runs the recipes of a document as they stand in it, and compares what each says with the manifest.

    python test/recipes.py DOCUMENT DIRECTORY [RECIPE…]

DIRECTORY is where `lake/default/current` is; each recipe prints a line "DAY TOTAL" for each day of
daily_account_cost. Exit code 1 names every recipe whose days or totals differ, to the last digit.
"""

import decimal
import json
import os
import re
import subprocess
import sys

decimal.getcontext().prec = 60  # the default of 28 digits would round sums
BLOCK = re.compile(r"<!-- recipe: (\w+) -->\n```(\w+)\n(.*?)```", re.DOTALL)
DUCKDB = """
import duckdb, sys
for statement in duckdb.extract_statements(sys.stdin.read()):
    result = duckdb.execute(statement)
for row in result.fetchall():
    print(*row)
"""


def expected(directory):
    """The days and totals of the release that `current` names, from its manifest."""
    release = os.path.realpath(os.path.join(directory, "lake/default/current"))
    with open(os.path.join(release, "manifest.json"), encoding="utf-8") as f:
        manifest = json.load(f)
    return {d["usage_date"]: decimal.Decimal(d["total_usd"]) for d in manifest["days"]}


def run(language, code, directory):
    """What a recipe prints, as days and totals."""
    program = DUCKDB if language == "sql" else code
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=directory, input=code, capture_output=True, text=True, timeout=300, check=False
    )
    if done.returncode != 0:
        raise ValueError(done.stderr.strip()[-2000:])
    lines = [line.split() for line in done.stdout.splitlines() if line.strip()]
    if any(len(line) != 2 for line in lines):
        raise ValueError("printed something else than days and totals:\n" + done.stdout)
    return {day: decimal.Decimal(total) for day, total in lines}


def main(document, directory, *only):
    with open(document, encoding="utf-8") as f:
        recipes = BLOCK.findall(f.read())
    want = expected(directory)
    if not recipes or not want:
        sys.exit("nothing to run: no recipe in the document, or no day in the release")
    passed = failed = 0
    for name, language, code in recipes:
        if only and name not in only:
            continue
        try:
            got = run(language, code, directory)
        except (ValueError, ArithmeticError, subprocess.TimeoutExpired) as err:
            got = err
        if got == want:
            passed += 1
            print(f"ok    {name}: {len(want)} days, {sum(want.values())} USD")
        else:
            failed += 1
            print(f"FAIL  {name}: {got}\n      want {want}")
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed or not passed else 0)


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
