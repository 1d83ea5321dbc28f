"""A verdict for a person, as text or as one HTML page. Every name in it may come from a hostile file.

The report says what the verifier said. A claim is shown as verified only under the verdict "verified"; what the
verifier did not compare with a proof is shown as the maker's word.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from veritune.loss_curve import Curve, curve

_MEANING = {
    0: "VERIFIED: every claim that the policy demands holds at the demanded word",
    1: "REFUTED: something in the certificate disagrees",
    2: "UNREADABLE: the input is missing or not a certificate",
    3: "INCONCLUSIVE: nothing disagrees, but evidence is missing",
    4: "INTERNAL ERROR: a bug of this program",
}
_WORDS = {
    "zk-proof": "zero-knowledge proof of all steps",
    "sampled-zk-proof": "zero-knowledge proof of a drawn sample",
    "bitwise-replay": "replayed, identical bits",
    "tolerance-replay": "replayed within a tolerance",
    "statistical-test": "statistical test",
    "tee-attested": "attested by a trusted execution environment",
    "self-declared": "the maker says so",
}
_PROVED = (
    "lora.r", "lora.lora_alpha", "lora.use_rslora", "lora.target_modules", "train.optimizer", "train.learning_rate",
    "train.lr_scheduler_type", "train.warmup_steps", "train.weight_decay", "train.adam_beta1", "train.adam_beta2",
    "train.adam_epsilon", "train.max_grad_norm", "train.per_device_train_batch_size",
    "train.gradient_accumulation_steps", "train.max_steps", "train.num_train_epochs", "data.bucket", "proof.range_bits",
    "disclose.loss", "disclose.data", "disclose.adapter",
    "beacon.source", "beacon.chain_hash",
)  # fmt: skip
"""Recipe fields that the verifier compares with what is proved; a beacon's round follows from the maker's own time."""
_MAKERS_WORD = "the maker's word"
_DISCLOSED = {
    "base": {"public": "in every run"},
    "loss": {"public": "proved and listed", "hidden": "stays with the maker"},
    "order": {
        "public": "leaves in the order of the files: the maker's word",
        "hidden": "leaves in a secret order: the maker's word",
    },
    "data": {"public": "published and recomputed", "hidden": "salted leaves only"},
    "adapter": {
        "public": "its digest and a proof of it are in the certificate",
        "hidden": "no digest and no proof of it in the certificate",
    },
}
"""What is disclosed by choice, with what each word means."""
TEMPLATE = "report.html.jinja"


@dataclass(frozen=True)
class Section:
    """A heading, a sentence, perhaps a picture, and rows of (name, value, remark); lines of one text have no name."""

    title: str
    note: str
    rows: list[tuple[str, str, str]]
    curve: Curve | None = None


def clean(value: Any, limit: int = 500) -> str:
    """Returns text without control characters, cut at ``limit`` characters."""
    text = str(value)
    shown = "".join(char if char.isprintable() else "?" for char in text[:limit])
    return shown + ("…" if len(text) > limit else "")


def headline(verdict: dict[str, Any]) -> str:
    """Returns one line: the verdict."""
    return _MEANING[verdict["exit"]]


def sections(path: Path, verdict: dict[str, Any]) -> list[Section]:
    """Returns the report below its headline."""
    subject = Section("Subject", "", [("path", clean(path), "")])
    if verdict["exit"] != 0:
        rows = [(name, clean(verdict[name]), "") for name in ("code", "message", "location") if verdict.get(name)]
        return [subject, Section("Why", "Nothing below this line was verified, so nothing is shown.", rows)]
    is_hidden = (verdict.get("disclosure") or {}).get("adapter") == "hidden"
    remark = "HIDDEN: whoever reads this digest can test guesses of the adapter" if is_hidden else ""
    files = [(clean(item["name"]), clean(item["digest"]["sha256"]), remark) for item in verdict.get("files") or ()]
    subject.rows.extend(files or [("adapter file", "none was read", "the claims are about the committed last state")])
    subject.rows.append(("last state root", clean(verdict.get("lastStateRoot", "")), ""))
    return [
        subject,
        _signer(verdict),
        _claims(verdict),
        _disclosure(verdict),
        *_losses(verdict),
        Section("Not claimed", "", [("", clean(item), "") for item in verdict.get("notClaimed") or ()]),
        *_plan(verdict),
        _ranges(verdict),
        _scales(verdict),
        _ledger(verdict),
        _policy(verdict),
    ]


def _signer(verdict: dict[str, Any]) -> Section:
    named = verdict.get("signerIsNamed")
    remark = "a key that you named" if named else "NOBODY YOU NAMED: any signer was accepted"
    rows = [("key id", clean(verdict.get("signer", "")), remark)]
    signed = "signed by the same key, at a time that nothing shows" if verdict.get("planIsSigned") else "not signed"
    rows.append(("plan", clean(verdict.get("planDigest", "")), signed))
    return Section("Signer", "", rows)


def _claims(verdict: dict[str, Any]) -> Section:
    rows = []
    for claim in verdict.get("claims") or ():
        word = clean(claim.get("word", ""))
        rows.append((clean(claim.get("kind", "")), clean(claim.get("detail", "")), _WORDS.get(word, word)))
    return Section("Claims", "Each holds by exactly one kind of evidence.", rows)


def _disclosure(verdict: dict[str, Any]) -> Section:
    disclosure = verdict.get("disclosure") or {}
    rows = []
    for name, remarks in _DISCLOSED.items():
        word = clean(disclosure.get(name, ""))
        rows.append((name, word, remarks.get(word, "")))
    if disclosure.get("rowsSha256"):
        rows.append(("rows.bin", clean(disclosure["rowsSha256"]), ""))
    rows.extend(("", clean(item), "public by nature") for item in disclosure.get("byNature") or ())
    return Section(
        "Disclosed and hidden", "What the plan says; the verifier compared it with the proofs and files.", rows
    )


def _losses(verdict: dict[str, Any]) -> list[Section]:
    losses = verdict.get("losses") or []
    if not losses:
        return []
    rows = [(f"step {clean(item['step'])}", f"{clean(item['nats'])} nats", "proved") for item in losses]
    return [Section("Loss", "The exact mean over the labels of each step's batch.", rows, curve(losses))]


def _plan(verdict: dict[str, Any]) -> list[Section]:
    plan = verdict.get("plan") or {}
    base = [("root", clean(verdict.get("baseRoot", "")), "recompute it: veritune commit model --check")]
    for item in (plan.get("base") or {}).get("files") or ():
        base.append((clean(item.get("name", "")), clean(item.get("sha256", "")), _MAKERS_WORD))
    data = [
        ("root", clean(verdict.get("datasetRoot", "")), ""),
        ("rows", clean((plan.get("spec") or {}).get("dataset_rows", "")), ""),
        ("steps", clean(verdict.get("steps", "")), ""),
        (
            "beacon",
            clean(verdict.get("beacon", "")),
            "a demo: no protection" if verdict.get("beacon") == "demo" else "",
        ),
        ("plans under this key before", clean(plan.get("planNumber", "")), _MAKERS_WORD),
    ]
    recipe = [
        (clean(name), clean(value), "" if name in _PROVED else _MAKERS_WORD)
        for name, value in flatten(plan.get("recipe") or {})
    ]
    made = plan.get("createdBy") or {}
    program = [
        ("program digest", clean(plan.get("programDigest", "")), "built again by this verifier"),
        ("made by", f"{clean(made.get('name', ''))} {clean(made.get('version', ''))}", _MAKERS_WORD),
    ]
    return [
        Section("Base model", "The roots are proved; names and digests of files are not.", base),
        Section("Data", "", data),
        Section("Recipe", "", recipe),
        Section("Program", "", program),
    ]


def _ranges(verdict: dict[str, Any]) -> Section:
    rows = [
        (clean(item["field"]), clean(item["value"]), f"{clean(item['low'])} to {clean(item['high'])}")
        for item in verdict.get("specRanges") or ()
    ]
    return Section("Spec", "Numbers of the statement, with the closed range that this version supports.", rows)


def _scales(verdict: dict[str, Any]) -> Section:
    rows = [
        (clean(item["name"]), clean(item["fractionBits"]), f"{clean(item['low'])} to {clean(item['high'])}")
        for item in verdict.get("scales") or ()
    ]
    return Section("Scales", "Fraction bits of every kind of tensor: the maker's choice within what is allowed.", rows)


def _ledger(verdict: dict[str, Any]) -> Section:
    ledger = verdict.get("ledger") or {}
    rows = [
        (clean(row.get("source", "")), f"{clean(row.get('bits', ''))} bits", clean(row.get("assumption", "")))
        for row in ledger.get("rows") or ()
    ]
    proofs = clean(ledger.get("maxProofs", ""))
    rows.append(("total", f"{clean(ledger.get('totalBits', ''))} bits", f"union bound over {proofs} proofs"))
    return Section("Soundness error", "Minus log2 of a bound, under the stated assumptions.", rows)


def _policy(verdict: dict[str, Any]) -> Section:
    rows = [(clean(name), clean(value), "") for name, value in flatten(verdict.get("policy") or {})]
    return Section("Policy", "What was demanded.", rows)


def flatten(value: dict[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Returns (dotted name, text) of every leaf, in order."""
    rows: list[tuple[str, str]] = []
    for name, item in value.items():
        if isinstance(item, dict):
            rows.extend(flatten(item, f"{prefix}{name}."))
        elif isinstance(item, list):
            rows.append((f"{prefix}{name}", ", ".join(str(entry) for entry in item)))
        elif isinstance(item, bool):
            rows.append((f"{prefix}{name}", "yes" if item else "no"))
        elif item is not None:
            rows.append((f"{prefix}{name}", str(item)))
    return rows


def lines(verdict: dict[str, Any]) -> list[str]:
    """Returns what ``verify`` prints below the headline: why, or the claims and what is not claimed."""
    shown: list[str] = []
    if verdict["exit"] != 0:
        return [f"  {name}: {clean(verdict[name])}" for name in ("code", "message", "location") if verdict.get(name)]
    if not verdict.get("signerIsNamed"):
        shown.append(f"  signer {clean(verdict.get('signer', ''))}: nobody you named, any signer was accepted")
    for kind, detail, word in _claims(verdict).rows:
        shown.append(f"  {kind}: {word}")
        if detail:
            shown.append(f"    {detail}")
    shown.append("  disclosed and hidden:")
    for name, word, remark in _disclosure(verdict).rows:
        shown.append(f"    {name}: {word} ({remark})" if name in _DISCLOSED else f"    {name or remark}: {word}")
    losses = verdict.get("losses") or []
    if losses:
        ends = f"from {clean(losses[0]['nats'])} to {clean(losses[-1]['nats'])} nats"
        shown.append(f"  loss of every step: public and proved, {ends}")
    shown.append("  not claimed:")
    shown.extend(f"    - {clean(item)}" for item in verdict.get("notClaimed") or ())
    return shown


def text(path: Path, verdict: dict[str, Any]) -> str:
    """Returns the report as plain text; ends with a newline."""
    page = ["Veritune report", "", headline(verdict)]
    for section in sections(path, verdict):
        page += ["", section.title + (f" ({section.note.rstrip('.')})" if section.note else "")]
        for name, value, remark in section.rows:
            named = f"{name}: {value}" if name else f"- {value}"
            page.append(f"  {named}" + (f"  [{remark}]" if remark else ""))
    page += ["", "Checked offline by the verifier of this program."]
    return "\n".join(page) + "\n"


def html(path: Path, verdict: dict[str, Any]) -> str:
    """Returns the report as one HTML page without scripts or links."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("veritune"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(TEMPLATE).render(
        headline=headline(verdict),
        mark={0: "✓", 1: "✗"}.get(verdict["exit"], "?"),
        exit=verdict["exit"],
        sections=sections(path, verdict),
    )
