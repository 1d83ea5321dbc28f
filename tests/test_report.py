"""The report: shows what was verified and nothing else, whatever the names in it are."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from conftest import STEPS, veritune
from veritune.report import clean, html, lines, text

HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</td></table><div class='verdict exit-0'>✓ VERIFIED</div>",
    "{{ 7 * 7 }}{% for x in y %}",
    "\x1b[2J\x1b[32mVERIFIED",
    "a\r\nVERIFIED: every claim",
    "\u202egnp.exe\u2028VERIFIED",
    "&lt;b&gt;&amp;",
)
TAGS = {
    "html", "head", "meta", "title", "style", "body", "h1", "h2", "div", "p", "table", "tr", "th", "td",
    "svg", "polyline",
}  # fmt: skip
ATTRIBUTES = {
    "lang",
    "charset",
    "name",
    "content",
    "http-equiv",
    "class",
    "role",
    "scope",
    "colspan",
    "viewbox",
    "aria-label",
    "points",
}


class Page(HTMLParser):
    """Tags, attributes and text of a page."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: set[str] = set()
        self.verdicts: list[str] = []
        self.words: list[str] = []
        self.feed(source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes.update(name for name, _ in attrs)
        self.verdicts += [value for name, value in attrs if name == "class" and value and "verdict" in value]

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def verdict(name: str, exit_code: int = 0) -> dict[str, Any]:
    """A verdict with one text everywhere where a file could have put it."""
    return {
        "exit": exit_code,
        "verdict": name,
        "code": name,
        "message": name,
        "location": name,
        "signer": name,
        "signerIsNamed": True,
        "planIsSigned": False,
        "planDigest": name,
        "beacon": name,
        "baseRoot": name,
        "datasetRoot": name,
        "lastStateRoot": name,
        "steps": 3,
        "files": [{"name": name, "digest": {"sha256": name}}],
        "claims": [{"kind": name, "word": name, "detail": name}],
        "disclosure": {"base": name, "loss": name, "order": name, "data": name, "rowsSha256": name, "byNature": [name]},
        "losses": [{"step": step, "units": 1 << 20, "fractionBits": 20, "nats": name} for step in (1, 2)],
        "notClaimed": [name],
        "ledger": {
            "rows": [{"source": name, "bits": 140, "assumption": name}],
            "totalBits": 128,
            "maxProofs": 1000,
        },
        "specRanges": [{"field": name, "value": 1, "low": 1, "high": 2}],
        "scales": [{"name": name, "fractionBits": 1, "low": 1, "high": 2}],
        "plan": {
            "planNumber": 0,
            "programDigest": name,
            "createdBy": {"name": name, "version": name},
            "base": {"files": [{"name": name, "sha256": name}]},
            "recipe": {name: {name: name}, "lora": {"r": 8}},
            "spec": {"dataset_rows": 4},
        },
        "policy": {"claims": {name: [name]}},
    }


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("exit_code", range(5))
def test_hostile_names_stay_text(name: str, exit_code: int) -> None:
    page = Page(html(Path(name), verdict(name, exit_code)))
    assert set(page.tags) <= TAGS and page.attributes <= ATTRIBUTES
    assert page.verdicts == [f"verdict exit-{exit_code}"]
    assert clean(name) in page.words
    shown = text(Path(name), verdict(name, exit_code))
    assert all(char.isprintable() or char == "\n" for char in shown)
    assert sum(line.startswith("VERIFIED") for line in shown.splitlines()) == (exit_code == 0)
    # What verify says on the terminal: clean, whatever the core has escaped already.
    assert all(line.isprintable() for line in lines(verdict(name, exit_code)))


@pytest.mark.parametrize("exit_code", [1, 2, 3, 4])
def test_nothing_unverified_is_shown(exit_code: int) -> None:
    """Even if a verdict that is not "verified" carried claims."""
    carried = verdict("zk-proof", exit_code)
    for page in (html(Path("a"), carried), text(Path("a"), carried)):
        assert "zero-knowledge proof" not in page and "VERIFIED" not in page
        assert "nothing is shown" in page


def test_words_say_what_colour_says() -> None:
    for exit_code, word in enumerate(("VERIFIED", "REFUTED", "UNREADABLE", "INCONCLUSIVE", "INTERNAL ERROR")):
        page = Page(html(Path("a"), verdict("x", exit_code)))
        assert any(word in item for item in page.words)


def test_a_signer_whom_nobody_named_is_said() -> None:
    anonymous = {**verdict("x"), "signerIsNamed": False}
    assert "NOBODY YOU NAMED" in text(Path("a"), anonymous) and "NOBODY YOU NAMED" in html(Path("a"), anonymous)


def test_the_report_of_a_real_certificate(job: Path, tmp_path: Path) -> None:
    arguments = ["report", str(job / "adapter"), "--key", str(job / "keys" / "demo.pub.pem")]
    ran = veritune(*arguments, "--json")
    assert ran.returncode == 0, ran.stderr
    result = json.loads(ran.stdout)
    page = str(result["report"])
    for needed in (
        "VERIFIED", "a key that you named", "training: all 3 optimiser steps", "[zero-knowledge proof of all steps]",
        f"steps: {STEPS}", "a demo: no protection", "model.safetensors", "train.learning_rate: 1e-3", "lora.r: 8",
        "model.hidden: ", "2 to 16384", "heuristic: BLAKE3 as a random oracle", "union bound over",
        result["baseRoot"], result["datasetRoot"], result["signer"], "adapter_model.safetensors: ",
    ):  # fmt: skip
        assert needed in page, needed
    output = tmp_path / "report.html"
    assert veritune(*arguments, "-o", str(output)).returncode == 0
    parsed = Page(output.read_text("utf-8"))
    assert set(parsed.tags) <= TAGS and result["baseRoot"] in parsed.words
    refused = tmp_path / "refused.html"
    assert veritune("report", str(job / "adapter"), "-o", str(refused)).returncode == 3
    assert "INCONCLUSIVE" in refused.read_text("utf-8") and result["baseRoot"] not in refused.read_text("utf-8")
