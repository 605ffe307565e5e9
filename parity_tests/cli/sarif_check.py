#!/usr/bin/env python3
"""Holds --format sarif against Microsoft's validator: sarif_check.py PROGRAM SOURCE_DIR

The validator comes from npm (sarif_package beside this file; ci/install fetches it). It must find no error in what
commands write, and must find one where a report is broken. Exit codes: 0 all is well, 1 something is not, 77 there is
no validator here.
"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile

try:
    import jsonschema
except ImportError:
    jsonschema = None

PROGRAM, SOURCE = sys.argv[1], pathlib.Path(sys.argv[2])
MODEL = str(SOURCE / "fixtures/models/kjv-bitnet.tq2_0.gguf")
PACKAGE = SOURCE / "parity_tests/cli/sarif_package/node_modules/@microsoft/sarif-multitool-linux"
APART = ["--reference", "native:llama.cpp-avx2", "--candidate", "native:llama.cpp-avx512", "--profile", "exact"]
# No library for languages is needed where messages are in none.
ENVIRONMENT = dict(os.environ, DOTNET_SYSTEM_GLOBALIZATION_INVARIANT="1")


def run(*arguments):
    done = subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, check=False)
    if done.returncode not in (0, 1):
        sys.exit(f"{' '.join(arguments)}: exit code {done.returncode}\n{done.stderr}")


def errors_of(tool, file):
    """What the validator calls an error, and what the format's own schema does, where python3-jsonschema is here."""
    done = subprocess.run([tool, "validate", file], capture_output=True, text=True, check=False, env=ENVIRONMENT)
    said = (done.stdout + done.stderr).splitlines()
    errors = [line for line in said if ": error " in line or "Unhandled" in line]
    if done.returncode != 0 and not errors:
        errors = said
    if jsonschema is not None:
        schema = json.loads((PACKAGE / "sarif-2.1.0.json").read_text())
        report = json.loads(pathlib.Path(file).read_text())
        errors += [error.message for error in jsonschema.Draft7Validator(schema).iter_errors(report)]
    return errors


def main():
    tool = PACKAGE / "Sarif.Multitool"
    if not tool.exists():
        print(f"skipped: no validator at {tool.parent} (ci/install fetches it with npm)")
        return 77
    if not os.access(tool, os.X_OK):
        tool.chmod(0o755)
    problems, checked = [], 0
    with tempfile.TemporaryDirectory() as scratch:
        ladder = ["ladder", "--model", MODEL, "--prompt", "In the", "--max-tokens", "2", "--threads", "1"]
        run(*ladder, *APART, "--keep", f"{scratch}/kept", "--trace", "core", "--no-explanation")
        reports = {
            "divergence": [*ladder, *APART],
            "parity": [*ladder, "--reference", "native"],
            "traces": ["trace-diff", f"{scratch}/kept/batch/candidate", f"{scratch}/kept/batch/reference"],
        }
        for name, command in reports.items():
            file = f"{scratch}/{name}.sarif"
            run(*command, "--format", "sarif", "--output", file)
            problems += [f"{name}: {line}" for line in errors_of(tool, file)]
            checked += 1
        report = json.loads(pathlib.Path(f"{scratch}/divergence.sarif").read_text())
        del report["runs"][0]["tool"]
        broken = f"{scratch}/broken.sarif"
        pathlib.Path(broken).write_text(json.dumps(report))
        if not errors_of(tool, broken):
            problems.append("the validator finds nothing wrong with a run without a tool")
    print(f"{checked} reports")
    for problem in problems[:40]:
        print(problem)
    return 1 if problems else 0


sys.exit(main())
