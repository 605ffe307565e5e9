#!/usr/bin/env python3
"""Holds what bitnet-parity writes against docs/schemas: schemas_check.py PROGRAM SOURCE_DIR

Each command runs for real; its JSON must be valid by the schema that it names, and must no longer be when a required key
is taken away or a value has another type. Exit codes: 0 all is well, 1 something is not, 77 jsonschema is not installed.
"""
import copy
import json
import pathlib
import subprocess
import sys
import tempfile

try:
    import jsonschema
except ImportError:
    print("python3-jsonschema is not installed (ci/install brings it)")
    sys.exit(77)

PROGRAM, SOURCE = sys.argv[1], pathlib.Path(sys.argv[2])
MODEL = str(SOURCE / "fixtures/models/kjv-bitnet.tq2_0.gguf")
OTHER = str(SOURCE / "fixtures/models/kjv-bitnet-b1.58.tq2_0.gguf")
RECORDED = str(SOURCE / "fixtures/recorded/llama_cpp.kjv_bitnet_tq2_0.hello.batch")
NAMES = {"bitnet-parity/": ""}

problems = []


def run(*arguments, exit_codes=(0, 1)):
    done = subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, check=False)
    if done.returncode not in exit_codes:
        problems.append(f"{' '.join(arguments)}: exit code {done.returncode}\n{done.stderr}")
    return done.stdout


def load_schema(name):
    schema = json.loads((SOURCE / "docs/schemas" / f"{name}.schema.json").read_text())
    jsonschema.Draft7Validator.check_schema(schema)
    return schema


checked = {}


def check(name, document, where):
    schema = load_schema(name)
    validator = jsonschema.Draft7Validator(schema)
    for error in validator.iter_errors(document):
        problems.append(f"{where}: {name}: {'/'.join(map(str, error.path))}: {error.message[:300]}")
    checked[name] = checked.get(name, 0) + 1
    if checked[name] > 1 or not isinstance(document, dict):
        return
    # The schema says something: without any of its required keys, and with another type, a document is invalid.
    for key in schema.get("required", []):
        broken = copy.deepcopy(document)
        del broken[key]
        if validator.is_valid(broken):
            problems.append(f"{name}: valid without {key}")
        broken[key] = {"not": "this"} if not isinstance(document[key], dict) else 0
        if validator.is_valid(broken):
            problems.append(f"{name}: valid where {key} is of another type")


def check_all(text, where, name=None):
    documents = json.loads(text) if text else problems.append(f"{where}: no output") or []
    for document in documents if isinstance(documents, list) and name is None else [documents]:
        # "bitnet-parity/trace-diff/1" is in trace-diff.schema.json
        check(name or document["schema"].split("/")[1], document, where)


def ladders(scratch):
    two = ["--model", MODEL, "--prompt", "In the", "--max-tokens", "3", "--threads", "1", "--format", "json"]
    runs = {
        "parity": ["--reference", "native"],
        "both": ["--reference", "native", "--schedule", "both", "--dump-ids", "--dump-ref-ids"],
        "divergence": ["--reference", "native:llama.cpp-avx2", "--candidate", "native:llama.cpp-avx512", "--profile",
                       "exact"],
        "habits": ["--reference", "native:llama.cpp-avx2", "--candidate", "native:llama.cpp-avx512"],
        "stopped": ["--reference", "native", "--stage", "tokens"],
        "error": ["--reference", "recorded:/nowhere"],
        "refused": ["--reference", "native", "--n-ctx", "2"],
        "kept": ["--reference", "native", "--keep", f"{scratch}/kept", "--trace", "full", "--dump-raw"],
        "otherModel": ["--reference", "native", "--candidate-model", OTHER],
    }
    for name, more in runs.items():
        check_all(run("ladder", *two, *more, exit_codes=(0, 1, 2)), f"ladder, {name}")
    for line in run("ladder", *two, "--reference", "native", "--format", "jsonl").splitlines():
        check("ladder-lines", json.loads(line), "ladder --format jsonl")
    for case in ("divergence", "parity"):
        check_all(run("ladder", *two, *runs[case], "--format", "sarif"), f"ladder --format sarif, {case}", "sarif-subset")


def others(scratch):
    prompt = ["--model", MODEL, "--prompt", "In the", "--threads", "1", "--format", "json"]
    apart = ["--reference", "native:llama.cpp-avx2", "--candidate", "native:llama.cpp-avx512", "--profile", "exact"]
    kept = f"{scratch}/kept/batch"
    check_all(run("bisect", *prompt, *apart), "bisect")
    check_all(run("bisect", *prompt, "--reference", "native"), "bisect, parity")
    check_all(run("replay", *prompt, "--reference", "native"), "replay")
    three = ["native:llama.cpp-avx2", "native:llama.cpp-avx512", RECORDED]
    check_all(run("compare", *three, *prompt, "--prompt", "Hello"), "compare")
    check_all(run("compare", *three, "exec:false", *prompt, "--prompt", "Hello", exit_codes=(2,)), "compare, no answer")
    check_all(run("noise", *prompt, "--reference", "native"), "noise")
    check_all(run("trace-diff", f"{kept}/candidate", f"{kept}/reference", "--format", "json"), "trace-diff")
    check_all(run("trace-diff", f"{kept}/candidate", RECORDED, "--format", "sarif", exit_codes=(0, 1, 2)) or
              run("trace-diff", RECORDED, RECORDED, "--format", "sarif"), "trace-diff --format sarif", "sarif-subset")
    for line in run("trace-diff", RECORDED, RECORDED, "--format", "jsonl").splitlines():
        check("trace-diff-lines", json.loads(line), "trace-diff --format jsonl")
    check_all(run("diff-models", MODEL, MODEL, "--format", "json"), "diff-models")
    check_all(run("whatbug", *prompt, "--got", " beginning", "--budget", "5", "--confirm", "And God said"), "whatbug")
    check_all(run("inspect", MODEL, "--format", "json"), "inspect", "inspect")
    check_all(run("inspect", MODEL, "--tensors", "--format", "json"), "inspect --tensors", "inspect-tensors")
    check_all(run("compat-check", MODEL, "--show-kv", "--format", "json"), "compat-check", "compat-check")
    check_all(run("preflight", "--format", "json"), "preflight", "preflight")
    check_all(run("tokenize", *prompt, "--reference", "native"), "tokenize", "tokenize")
    check_all(run("generate", *prompt, "--max-tokens", "3"), "generate", "generate")
    check_all(run("make-request", "--model", MODEL, "--prompt", "Hi"), "make-request")
    run("calibrate", "--model", MODEL, "--reference", "native", "--prompt", "hello", "--max-tokens", "2", "--threads", "1",
        "--output", f"{scratch}/limits.json")
    run("ctest-init", f"{scratch}/project", "--model", MODEL)
    for file in (f"{scratch}/limits.json", f"{scratch}/project/parity_matrix.json", f"{scratch}/project/prompts.json",
                 f"{kept}/candidate/capture.json", f"{RECORDED}/capture.json", SOURCE / "fixtures/thresholds.json",
                 SOURCE / "fixtures/parity_matrix.json", SOURCE / "fixtures/prompts.json"):
        check_all(pathlib.Path(file).read_text(), str(file))
    for record in pathlib.Path(f"{kept}/candidate/traces/t0.trace").read_text().splitlines():
        check("trace-record", json.loads(record), "a trace record")
    check_all(run("matrix", "--model", "kjv-bitnet.tq2_0", "--prompt", "hello", "--reference", "recorded", "--format",
                  "json"), "matrix")
    for more in (apart[:4], apart, ["--reference", "native"]):
        folder = f"{scratch}/sweep{len(more)}{more[-1]}"
        run("sweep", "--model", MODEL, "--prompt", "hello", "--threads", "1", "--out", folder, "--receipt",
            f"{folder}.receipt.json", *more, exit_codes=(0, 1))
        for file in ("run.json", "summary.json", "hello.batch/case.json", "../" + pathlib.Path(folder).name +
                     ".receipt.json"):
            check_all(pathlib.Path(f"{folder}/{file}").read_text(), f"sweep, {file}")


def main():
    with tempfile.TemporaryDirectory() as scratch:
        ladders(scratch)
        others(scratch)
    there = {path.name.removesuffix(".schema.json") for path in (SOURCE / "docs/schemas").glob("*.schema.json")}
    for name in sorted(there - set(checked)):
        problems.append(f"docs/schemas/{name}.schema.json: nothing was held against it")
    print(f"{sum(checked.values())} documents of {len(checked)} schemas")
    for problem in problems[:40]:
        print(problem)
    return 1 if problems else 0


sys.exit(main())
