"""Pages in a real browser: what they drew, what they complained of, and how wide they are."""

from __future__ import annotations

import html
import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

#: Chromium must be there if this says ``required``; otherwise tests that need it are skipped.
_ASKED = "FASTADL_CHROMIUM"
_NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")

#: Runs in the page once everything is drawn, and tells the window around it what it saw.
_PROBE = """
<script type="module">
const figures = [...document.querySelectorAll("figure:has(.plot)")];
const drawn = () => figures.every((each) => each.querySelector("svg"));
for (let tries = 0; tries < 200 && !drawn(); tries++) await new Promise((done) => setTimeout(done, 25));
const marks = (figure) => [...figure.querySelectorAll("svg .role-mark > *")].filter((mark) => {
  const box = mark.getBoundingClientRect(), look = getComputedStyle(mark);
  const seen = [look.fill, look.stroke].some((of) => !["none", "rgba(0, 0, 0, 0)"].includes(of));
  return (box.width > 0 || box.height > 0) && look.opacity !== "0" && seen;
});
const tips = [];
for (const figure of figures) {
  figure.scrollIntoView();
  const box = figure.querySelector("svg").getBoundingClientRect();
  const clientX = box.left + box.width * 0.45, clientY = box.top + box.height * 0.5;
  for (let twice = 0; twice < 2; twice++) {
    const under = document.elementFromPoint(clientX, clientY);
    for (const kind of ["pointerover", "pointermove"])
      under?.dispatchEvent(new PointerEvent(kind, { clientX, clientY, bubbles: true }));
    await new Promise((done) => setTimeout(done, 20));
  }
  const tip = document.querySelector("#tip.visible");
  tips.push(tip ? tip.innerText : "");
  figure.querySelector("svg").dispatchEvent(new PointerEvent("pointerout", { bubbles: true }));
}
const key = document.querySelector(".key button");
const faint = () => [document.querySelectorAll("svg .role-mark > [opacity='0.12']").length,
  document.querySelectorAll(".dim").length];
const before = faint();
const seen = {
  figures: figures.map((each, at) => (
    { title: each.textContent.slice(0, 60), marks: marks(each).length, tip: tips[at] })),
  width: document.documentElement.scrollWidth, window: innerWidth,
  page: getComputedStyle(document.body).backgroundColor,
  line: getComputedStyle(document.querySelector("svg .mark-line path") ?? document.body).stroke,
  several: [...document.querySelectorAll(".several")].map((each) =>
    [...each.querySelectorAll(":scope > figure > .plot")].map((plot) => {
      const box = plot.getBoundingClientRect();
      return [Math.round(box.left), Math.round(box.top + scrollY)];
    })),
  fits: Object.fromEntries(["figcaption", "summary", ".points b", "thead th"].map((part) =>
    [part, [...document.querySelectorAll(part)].every((each) => each.scrollWidth <= each.clientWidth + 1)])),
  tallest: Math.max(0, ...[...document.querySelectorAll(".key button")].map((each) => each.offsetHeight)),
  copy: [...document.querySelectorAll(".code")].map((each) => {
    const [button, text] = [...each.children].map((part) => part.getBoundingClientRect());
    return text.top - button.bottom;
  }),
  text: document.body.innerText, title: document.title,
  requests: performance.getEntriesByType("resource").map((each) => each.name),
};
if (key) {
  key.click();
  await new Promise((done) => setTimeout(done, 50));
  seen.faint = [...before, ...faint()];
}
parent.postMessage(JSON.stringify(seen), "*");
</script>
"""
#: A window is never narrower than some 500 px, a frame is.
_FRAME = """<!doctype html><iframe src="page.html" width="{width}" height="900"></iframe>
<script>addEventListener("message", (told) => {{
  const out = document.createElement("pre");
  out.id = "seen";
  out.textContent = told.data;
  document.body.append(out);
}});</script>
"""


def chromium() -> str:
    """The browser; without one the test is skipped, or fails if it has to be there."""
    found = next(filter(None, map(shutil.which, _NAMES)), None)
    if found is None:
        if os.environ.get(_ASKED) == "required":
            pytest.fail(f"no Chromium, and {_ASKED} says that it is required")
        pytest.skip("no Chromium to open pages in")
    return found


def opened(page: str, folder: Path, *, width: int = 1200, dark: bool = False) -> dict[str, Any]:
    """What a browser makes of a page.

    Returns
    -------
    dict
        ``console``, everything it complained of; ``requests``, what it loaded; ``figures``, of each the
        ``title``, how many ``marks`` are visible, and the ``tip`` under the pointer near its middle;
        ``width`` of what is drawn and of the ``window``; colours of the ``page`` and of the first ``line``;
        where the plots of each row of ``several`` are (left, top), and how far below each ``copy`` button its
        text begins; whether all words of some parts ``fits`` their places; the ``tallest`` name of the fixed
        key; its ``text`` and ``title``; ``faint``, how many marks and numbers step back before a click on the
        first name of the key, and after it.
    """
    before, end, after = page.rpartition("</body>")
    (folder / "page.html").write_text(before + _PROBE + end + after, "utf-8")
    frame = folder / "frame.html"
    frame.write_text(_FRAME.format(width=width), "utf-8")
    command = [
        *(chromium(), "--headless=new", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr"),
        *("--host-resolver-rules=MAP * ~NOTFOUND", "--disable-background-networking", "--no-first-run"),
        *("--dump-dom", "--virtual-time-budget=20000", f"--user-data-dir={folder / 'profile'}"),
        *(("--blink-settings=preferredColorScheme=0",) if dark else ()),
        frame.as_uri(),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)
    found = re.search(r'<pre id="seen">(.*?)</pre>', done.stdout, re.DOTALL)
    assert found, done.stderr[-2000:]
    return {
        "console": re.findall(r"CONSOLE.*", done.stderr),
        **json.loads(html.unescape(found[1])),
    }
