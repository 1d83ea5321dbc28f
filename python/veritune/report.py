"""A verdict as text for a person. Every name in it may come from a hostile file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

_MEANING = {
    0: "VERIFIED: every claim that the policy demands holds at the demanded word",
    1: "REFUTED: something in the certificate disagrees",
    2: "UNREADABLE: the input is missing or not a certificate",
    3: "INCONCLUSIVE: nothing disagrees, but evidence is missing",
    4: "INTERNAL ERROR: a bug of this program",
}
_WORDS = {
    "zk-proof": "zero-knowledge proof of all steps",
    "proof-not-hiding": "proof (not hiding)",
    "sampled-zk-proof": "zero-knowledge proof of a drawn sample",
    "bitwise-replay": "replayed, identical bits",
    "tolerance-replay": "replayed within a tolerance",
    "statistical-test": "statistical test",
    "tee-attested": "attested by a trusted execution environment",
    "self-declared": "the maker says so",
}


def clean(value: Any, limit: int = 500) -> str:
    """Returns text without control characters, cut at ``limit`` characters."""
    text = str(value)
    shown = "".join(char if char.isprintable() else "?" for char in text[:limit])
    return shown + ("…" if len(text) > limit else "")


def headline(verdict: dict[str, Any]) -> str:
    """Returns one line: the verdict."""
    return _MEANING[verdict["exit"]]


def lines(verdict: dict[str, Any]) -> list[str]:
    """Returns where it failed, the claims with their words, and what is not claimed."""
    shown = []
    if verdict["exit"] != 0:
        for name in ("code", "message", "location"):
            if verdict.get(name):
                shown.append(f"  {name}: {clean(verdict[name])}")
    for claim in verdict.get("claims") or ():
        word = clean(claim.get("word", ""))
        detail = clean(claim.get("detail", ""))
        shown.append(f"  {clean(claim.get('kind', ''))}: {_WORDS.get(word, word)}")
        if detail:
            shown.append(f"    {detail}")
    not_claimed = verdict.get("notClaimed") or ()
    if not_claimed:
        shown.append("  not claimed:")
        shown.extend(f"    - {clean(item)}" for item in not_claimed)
    return shown


def ledger_lines(ledger: Any) -> list[str]:
    """Returns the terms of the soundness error."""
    if not isinstance(ledger, dict):
        return []
    shown = []
    for row in ledger.get("rows") or ():
        bits, source = clean(row.get("bits", "")), clean(row.get("source", ""))
        shown.append(f"  {bits:>5} bits  {source} ({clean(row.get('assumption', ''))})")
    if "totalBits" in ledger:
        proofs = clean(ledger.get("maxProofs", ""))
        shown.append(f"  {clean(ledger['totalBits']):>5} bits  total, union bound, {proofs} proofs")
    return shown


def text(path: Path, verdict: dict[str, Any]) -> str:
    """Returns the whole report, ends with a newline."""
    page = ["Veritune report", "", f"Subject: {clean(path)}", headline(verdict), *lines(verdict)]
    ledger = ledger_lines(verdict.get("ledger"))
    if ledger:
        page += ["", "Soundness error, minus log2 (a bound under the stated assumptions):", *ledger]
    page += ["", "Checked offline by the verifier of this program."]
    return "\n".join(page) + "\n"
