#!/usr/bin/env python3
"""Holds the documents against the program: documents_check.py PROGRAM SOURCE_DIR [--run]

Of every Markdown page and example of a CI job: each command line of bitnet-parity is taken by the program's own parser
(--dry-run), each option that the text names is an option of some command, each test preset and script of ci/ is there,
and no line is too wide.
With --run each command line runs for real, in a folder with the files that the pages speak of, and must end with the
exit code 0 or 1; what needs a server or an engine that is not here is named and left out.
Exit codes: 0 all is well, 1 something is not.
"""
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile

PROGRAM, SOURCE = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2]).resolve()
BUILD = PROGRAM.parents[2]
RUN = "--run" in sys.argv[3:]
NOT_PAGES = {"node_modules", "build", ".git", "CHANGELOG.md"}
ENDS_A_COMMAND = {">", ">>", "|", "||", "&&", ";", "&"}
# What stands for something else in the pages.
ENGINE_HERE = str(BUILD / "fixtures/not_exact_engine")
PLACEHOLDERS = {"$SLURM_ARRAY_TASK_ID": "1", "{}": "1", "$E": ENGINE_HERE,
                "$GITHUB_WORKSPACE/engine/my-engine": ENGINE_HERE, "$CI_PROJECT_DIR/my-engine": ENGINE_HERE,
                "recorded_builds/NAME": "recorded_builds/llama_cpp_v0_5_0.haswell"}
# Of programs from elsewhere.
FOREIGN_OPTIONS = {"--build", "--preset", "--prefix", "--output-on-failure", "--ignore-scripts"}
OPTION = r"(?<![\w-])--[a-z][a-z0-9-]+"

MOST_COLUMNS = 120

problems = []


def pages():
    found = [*SOURCE.rglob("*.md"), *SOURCE.glob("docs/*.yml")]
    return sorted(p for p in found if not NOT_PAGES.intersection(p.relative_to(SOURCE).parts))


def code_lines(page):
    """Lines of code, those that end with a backslash joined with the next; (line number, text)."""
    fenced, text, start = False, "", 0
    for number, line in enumerate(page.read_text().splitlines(), 1):
        if line.lstrip().startswith("```"):
            fenced = not fenced
            continue
        if not (fenced or line.startswith("    ") or page.suffix == ".yml"):
            text = ""
            continue
        start = start if text else number
        text += line.strip()
        if text.endswith("\\"):
            text = text[:-1]
            continue
        yield start, text
        text = ""


def split(text):
    try:
        return shlex.split(text, comments=True)
    except ValueError:  # a quotation that goes on in the next line, or began in the one before
        try:
            return shlex.split(text.rstrip("'\""), comments=True)
        except ValueError:
            return text.split()


def starts_a_command(before):
    return not before or before[-1] in ENDS_A_COMMAND or "=" in before[-1] or before[-1] in ("time", "env", "if")


def commands_in(text):
    """The argument lists of bitnet-parity in a line, also within quotation marks: parallel 'bitnet-parity ...'"""
    tokens, at = split(text), 0
    while at < len(tokens):
        token = tokens[at]
        at += 1
        if re.search(r"bitnet-parity\s+\S", token):
            yield from commands_in(token[token.rfind("$(") + 2:].rstrip(")") if "$(" in token else token)
        elif token.split("/")[-1] == "bitnet-parity" and starts_a_command(tokens[:at - 1]):
            arguments = []
            while at < len(tokens) and tokens[at] not in ENDS_A_COMMAND and not re.match(r"\d?>", tokens[at]):
                arguments.append(tokens[at])
                at += 1
            yield arguments


def words(arguments):
    made = []
    for argument in arguments:
        for placeholder, value in PLACEHOLDERS.items():
            argument = argument.replace(placeholder, value)
        made.append(argument)
    if "..." in made:
        at = made.index("...")
        made[at:at + 1] = ["--model", "model.gguf", "--prompt", "Hello"]
    return [word for word in made if word != "$@"]


def is_example(arguments):
    """False: a synopsis, as `bitnet-parity COMMAND --help`."""
    return bool(arguments) and re.fullmatch(r"[a-z][a-z-]*|--[a-z-]+", arguments[0]) is not None


def found_commands():
    """(where, arguments, whether they are whole), the same ones of a page once."""
    for page in pages():
        seen, name = set(), page.relative_to(SOURCE)
        for number, text in code_lines(page):
            for arguments in commands_in(text.removeprefix("$ ").removeprefix("- ")):
                if is_example(arguments) and tuple(arguments) not in seen:
                    seen.add(tuple(arguments))
                    yield f"{name}:{number}", words(arguments), True
        if page.suffix != ".md":
            continue
        for match in re.finditer(r"(?<!`)`(bitnet-parity [^`]+)`(?!`)", page.read_text()):
            arguments = split(" ".join(match[1].split()))[1:]
            if is_example(arguments) and "|" not in arguments:
                yield f"{name}: `{match[1]}`", words(arguments), False


def program(*arguments, **options):
    return subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL,
                          **options)


def all_options():
    """Of each command, and of the other programs in the tree, by their sources."""
    listed = program("--help").stdout
    names = re.findall(r"^  ([a-z][a-z-]+)", listed.split("Subcommands:")[1], re.MULTILINE)
    text = listed + "".join(program(name, "--help").stdout for name in names)
    for folder in ("fixtures", "bench", "parity_tests/suites", "ci"):
        for source in (SOURCE / folder).rglob("*"):
            if source.suffix in (".c", ".cc", ".py", "") and source.is_file() and "node_modules" not in source.parts:
                text += source.read_text(errors="ignore")
    return set(re.findall(OPTION, text))


def check_options():
    known = all_options() | FOREIGN_OPTIONS
    for page in pages():
        if page.suffix != ".md" or page.relative_to(SOURCE).parts[0] not in ("README.md", "docs"):
            continue
        prose = "\n".join(line for line in page.read_text().splitlines() if not line.startswith("    "))
        for code in re.findall(r"`(--[^`]+)`", prose):
            for option in re.findall(OPTION, code):
                if option not in known:
                    problems.append(f"{page.relative_to(SOURCE)}: {option} is no option of any command")


def check_presets_and_scripts():
    presets = {p["name"] for p in json.loads((SOURCE / "CTestPresets.json").read_text())["testPresets"]}
    for page in pages():
        text = page.read_text()
        for name in re.findall(r"ctest --preset ([a-z-]+)", text):
            if name not in presets:
                problems.append(f"{page.relative_to(SOURCE)}: {name} is no test preset")
        for script in re.findall(r"(?<![\w/.-])(ci/[a-z][a-z-]+)(?![\w/.-])", text):
            if not (SOURCE / script).exists():
                problems.append(f"{page.relative_to(SOURCE)}: there is no {script}")


def check_width():
    """Outside tables and code a line fits a terminal."""
    for page in [*pages(), SOURCE / "CHANGELOG.md"]:
        if page.suffix != ".md":
            continue
        code = {number for number, _ in code_lines(page)}
        for number, line in enumerate(page.read_text().splitlines(), 1):
            if len(line) > MOST_COLUMNS and not line.startswith(("|", "    ")) and number not in code:
                problems.append(f"{page.relative_to(SOURCE)}:{number}: {len(line)} columns, expected {MOST_COLUMNS} at most")


def check_parsed():
    count = 0
    with tempfile.TemporaryDirectory() as nowhere:  # no bitnet-parity.toml
        for where, arguments, whole in found_commands():
            done = program(*arguments, *(["--dry-run"] if not {"--help", "--version"} & set(arguments) else []), cwd=nowhere)
            count += 1
            if done.returncode != 0 and (whole or " is required" not in done.stderr):
                problems.append(f"{where}: {shlex.join(arguments)}\n    {done.stderr.strip()}")
    print(f"{count} command lines")
    if count < 60:
        problems.append("these are fewer than the pages have: they are no longer found")
    bad = program("ladder", "--model", "model.gguf", "--promt", "Hi", "--dry-run")
    if bad.returncode != 2:
        problems.append("--dry-run takes a misspelt option")


MODELS = ("model.gguf", "clean.gguf", "quantized.gguf", "my.gguf", "mine.gguf", "M.gguf", "a.gguf", "b.gguf", "models/mine.gguf")
ENGINES = ("my_engine", "my_engine.before", "my-engine", "mine")
# An engine that follows both conventions of the pages: it prints, or leaves a capture.
ENGINE = """#!/bin/sh
if [ "$1" = -m ]; then exec {program} generate --quiet --model "$2" --prompt "$4" --max-tokens "$6"; fi
[ "$1" = --flag ] && shift
exec {engine} "$@"
"""


GATE = '{"attn_norm": {"min": 0.004, "max": 16}, "ffn_norm": {"min": 0.05, "max": 16}}'


def lay_out(folder):
    """What the pages speak of: models, engines, folders that earlier commands left."""
    (folder / "models").mkdir()
    for name in MODELS:
        (folder / name).symlink_to(SOURCE / "fixtures/models/kjv-bitnet.tq2_0.gguf")
    for model in (BUILD / "fixtures/models").glob("*.gguf"):
        (folder / model.name).symlink_to(model)
    (folder / "build").mkdir()
    (folder / "build/release").symlink_to(BUILD)
    (folder / "fixtures").symlink_to(SOURCE / "fixtures")
    (folder / "bitnet-parity").symlink_to(SOURCE)
    (folder / "gate.json").write_text(GATE)
    (folder / "tokenizer.json").symlink_to(SOURCE / "fixtures/models/kjv-tokenizer.json")
    for name in ENGINES:
        (folder / name).write_text(ENGINE.format(program=PROGRAM, engine=BUILD / "fixtures/not_exact_engine"))
        (folder / name).chmod(0o755)
    made = [["make-request", "--model", "kjv-bitnet.tq2_0.gguf", "--prompt", "In the beginning", "--out", "first.json"],
            ["ladder", "--model", "model.gguf", "--prompt", "And God said", "--reference", "native", "--max-tokens", "0",
             "--keep", "kept"],
            *(["benchmark", "--model", "model.gguf", "--reference", "native", "--rounds", "1", "--receipt", name]
              for name in ("before.json", "after.json", "receipts/one.json"))]
    (folder / "receipts").mkdir()
    for arguments in made:
        done = program(*arguments, cwd=folder)
        if done.returncode != 0:
            sys.exit(f"{shlex.join(arguments)}: {done.stderr}")
    subprocess.run([BUILD / "fixtures/not_exact_engine", "first.json", "out"], cwd=folder, check=True)
    (folder / "logits.npy").symlink_to(folder / "kept/batch/candidate/logits.npy")


def why_left_out(arguments, available):
    text = " ".join(arguments)
    for engine in ("bitnet.cpp", "llama.cpp"):
        if engine not in available and (engine in text or engine == "llama.cpp" and "--reference" not in text):
            return f"{engine} is not here"
    if "http://" in text:
        return "it needs a server"
    if "part1 part2" in text:
        return "it merges what others ran"
    return "--shard" in text and "part1" not in text and "parallel runs it beside others" or ""


def check_run():
    ran = 0
    environment = dict(os.environ, BITNET_DETERMINISTIC="1")
    listed = json.loads(program("preflight", "--format", "json").stdout)
    available = {engine["backend"] for engine in listed if engine["available"]}
    page = ""
    with tempfile.TemporaryDirectory() as scratch:
        for where, arguments, whole in found_commands():
            if not whole or arguments[0].startswith("--") or "--help" in arguments:
                continue
            if page != where.split(":")[0]:
                page = where.split(":")[0]
                folder = pathlib.Path(scratch) / page.replace("/", "_")
                folder.mkdir()
                lay_out(folder)
            if reason := why_left_out(arguments, available):
                print(f"left out, {reason}: {where}")
                continue
            done = program(*arguments, cwd=folder, env=environment)
            ran += 1
            if done.returncode not in (0, 1):
                problems.append(f"{where}: {shlex.join(arguments)}: exit code {done.returncode}\n    "
                                f"{done.stdout[-600:]}{done.stderr[-600:]}")
    print(f"{ran} commands ran")


def main():
    if RUN:
        check_run()
    else:
        check_parsed()
        check_options()
        check_presets_and_scripts()
        check_width()
    for problem in problems:
        print(problem)
    return 1 if problems else 0


sys.exit(main())
