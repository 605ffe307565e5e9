#!/usr/bin/env python3
"""Opens the HTML pages in headless Chromium: pages_check.py PROGRAM SOURCE_DIR [--keep DIR | --picture FILE]

Pages of a healthy and a broken engine, of a sweep and of trace-diff, 1280 and 400 pixels wide: nothing is wider than the
page, no text of a cell lies over another one, the page shows the figures of the JSON format, and a prompt that is markup
is shown and not obeyed. --keep DIR leaves pictures there, also dark and printed; --picture FILE makes the one of the
README. CHROMIUM names the browser where it has another name.
Exit codes: 0 all is well, 1 something is not, 77 there is no Chromium here.
"""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

PROGRAM, SOURCE = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2]).resolve()
MODEL = str(SOURCE / "fixtures/models/kjv-bitnet.tq2_0.gguf")
ENGINE = PROGRAM.parents[2] / "fixtures/not_exact_engine"
HOSTILE = "<script>document.title='owned'</script><img src=x onerror=document.title='owned'>"
# A page in a frame, which may be narrower than any window, and what can be measured of it.
FRAME = """<!DOCTYPE html><meta charset="utf-8"><body style="margin:0"><iframe id="page" src="PAGE"
style="width:WIDTHpx;height:1500px;border:0"></iframe><pre id="measured"></pre><script>
const inside = (e, what) => { const r = document.createRange(); r.selectNodeContents(e); return r.getBoundingClientRect(); };
page.onload = () => {
  const d = page.contentDocument, root = d.documentElement;
  for (const details of d.querySelectorAll("details")) details.open = true;
  const over = [...d.querySelectorAll("td.num")].filter(e => {
    const next = e.nextElementSibling;
    return next && next.textContent && inside(e).right > inside(next).left + 0.5 && inside(e).top === inside(next).top; });
  const requests = page.contentWindow.performance.getEntriesByType("resource").map(e => e.name);
  measured.textContent = JSON.stringify({wide: root.scrollWidth, title: d.title, text: root.innerText,
    over: over.slice(0, 3).map(e => e.textContent), scripts: d.scripts.length, images: d.images.length, requests});
};</script>"""

problems = []


def browser():
    names = [os.environ.get("CHROMIUM"), "chromium", "chromium-browser", "google-chrome"]
    return next((found for found in (shutil.which(name) for name in names if name) if found), None)


def chromium(scratch, *arguments):
    return subprocess.run([browser(), "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
                           "--allow-file-access-from-files", f"--user-data-dir={scratch}/profile", *arguments],
                          capture_output=True, text=True, check=False, timeout=120)


def run(*arguments):
    done = subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, check=False)
    if done.returncode not in (0, 1):
        sys.exit(f"{' '.join(arguments)}: exit code {done.returncode}\n{done.stderr}")
    return done.stdout


def measured(scratch, page, width):
    frame = pathlib.Path(scratch) / "frame.html"
    frame.write_text(FRAME.replace("PAGE", f"file://{page}").replace("WIDTH", str(width)))
    done = chromium(scratch, f"--window-size={max(width, 500)},1500", "--virtual-time-budget=10000", "--dump-dom",
                    f"file://{frame}")
    found = re.search(r'<pre id="measured">(.*?)</pre>', done.stdout, re.DOTALL)
    if not found or not found[1]:
        sys.exit(f"{page}: Chromium measured nothing\n{done.stderr[-2000:]}")
    text = found[1].replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    return json.loads(text)


def check_layout(scratch, name, page):
    for width in (1280, 400):
        seen = measured(scratch, page, width)
        where = f"{name}, {width} pixels"
        if seen["wide"] > width:
            problems.append(f"{where}: the page is {seen['wide']} wide")
        if seen["over"]:
            problems.append(f"{where}: cells lie over their neighbours: {seen['over']}")
        if seen["scripts"] or seen["images"] or seen["requests"]:
            problems.append(f"{where}: the page has scripts or images, or loads something: {seen['requests']}")
        if "owned" in seen["title"]:
            problems.append(f"{where}: markup in a prompt was obeyed")
    return seen["text"]


def expect(name, text, *expected):
    squeezed = " ".join(text.split())
    for figure in expected:
        if " ".join(figure.split()) not in squeezed:
            problems.append(f"{name}: the page does not show {figure}")


def ladder_pages(scratch):
    common = ["--model", MODEL, "--max-tokens", "4", "--threads", "1"]
    broken = ["--reference", "native", "--profile", "cosine", "--candidate", f"exec:{ENGINE} --fault rope_layout"]
    ladders = {"healthy": ["--prompt", "In the beginning God created", "--reference", "native"],
               "broken": ["--prompt", "In the beginning God created the heaven and the earth", *broken],
               "hostile": ["--prompt", HOSTILE, "--reference", "native"]}
    for name, more in ladders.items():
        page = f"{scratch}/{name}.html"
        run("ladder", *common, *more, "--format", "html", "--output", page)
        verdict = json.loads(run("ladder", *common, *more, "--format", "json"))
        text = check_layout(scratch, name, page)
        worst = [format(check["worst"], ".6f" if check["metric"] == "cosine" else ".2e")
                 for stage in verdict["stages"] for check in stage.get("checks", []) if not check["pass"]]
        expect(name, text, *worst, verdict["said"]["candidate"]["text"])
        if name == "hostile":
            expect(name, text, "<script>document.title=", "onerror=document.title=")
        if name == "broken":
            expect(name, text, "DIVERGENCE at", verdict["explanation"]["causes"][0]["what"])
            if not worst:
                problems.append("broken: nothing is over a limit, so no figure was looked for")


def run_pages(scratch):
    apart = ["--model", MODEL, "--threads", "1", "--reference", "native", "--candidate", f"exec:{ENGINE}"]
    run("sweep", *apart, "--prompt", "hello", "--out", f"{scratch}/sweep", "--trace", "core")
    summary = json.loads(pathlib.Path(f"{scratch}/sweep/summary.json").read_text())
    text = check_layout(scratch, "sweep", f"{scratch}/sweep/summary.html")
    for case in summary["cases"]:
        expect("sweep", text, case["id"], format(case["cosine"], ".6f"), case["candidate_text"].strip())
    run("ladder", *apart, "--prompt", "In the", "--max-tokens", "2", "--keep", f"{scratch}/kept", "--trace", "full",
        "--no-explanation")
    sides = [f"{scratch}/kept/batch/{side}" for side in ("candidate", "reference")]
    run("trace-diff", *sides, "--format", "html", "--output", f"{scratch}/traces.html")
    diff = json.loads(run("trace-diff", *sides, "--format", "json"))
    text = check_layout(scratch, "trace-diff", f"{scratch}/traces.html")
    first = next(t for t in diff["tensors"] if t["status"] != "equal")
    expect("trace-diff", text, f"DIVERGENCE at {first['name']}", format(first["rms_a"], ".6g"))


def pictures(scratch, folder):
    folder.mkdir(parents=True, exist_ok=True)
    for name, page in {"healthy": "healthy.html", "broken": "broken.html", "sweep": "sweep/summary.html",
                       "trace-diff": "traces.html"}.items():
        url = f"file://{scratch}/{page}"
        chromium(scratch, "--window-size=1280,2200", f"--screenshot={folder}/{name}.png", url)
        chromium(scratch, "--window-size=1280,2200", "--force-dark-mode", "--blink-settings=preferredColorScheme=0",
                 f"--screenshot={folder}/{name}-dark.png", url)
        chromium(scratch, f"--print-to-pdf={folder}/{name}.pdf", "--no-pdf-header-footer", url)
        frame = pathlib.Path(scratch) / "frame.html"
        frame.write_text(FRAME.replace("PAGE", url).replace("WIDTH", "400").replace("1500px", "4000px"))
        chromium(scratch, "--window-size=500,3000", f"--screenshot={folder}/{name}-400.png", f"file://{frame}")


def readme_picture(scratch, file):
    page = pathlib.Path(scratch) / "picture.html"
    run("ladder", "--model", MODEL, "--prompt", "In the beginning God created the heaven and the earth", "--max-tokens",
        "4", "--threads", "1", "--reference", "native", "--profile", "cosine", "--candidate",
        f"exec:{ENGINE} --fault rope_layout", "--format", "html", "--output", str(page))
    page.write_text(page.read_text().replace(f"{SOURCE}/", ""))  # where this checkout is interests nobody
    chromium(scratch, "--window-size=1100,1010", f"--screenshot={file}", f"file://{page}")


def main():
    if browser() is None:
        print("skipped: no Chromium (Debian: chromium)")
        return 77
    options = dict(zip(sys.argv[3::2], sys.argv[4::2]))
    with tempfile.TemporaryDirectory() as scratch:
        if "--picture" in options:
            readme_picture(scratch, pathlib.Path(options["--picture"]).resolve())
            return 0
        ladder_pages(scratch)
        run_pages(scratch)
        if "--keep" in options:
            pictures(scratch, pathlib.Path(options["--keep"]).resolve())
    for problem in problems:
        print(problem)
    return 1 if problems else 0


sys.exit(main())
