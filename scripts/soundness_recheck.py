"""Recompute the soundness total of an opening from its parameters, with exact rationals.

Reads the JSON that ``cargo run -p veritune-commit --example ledger`` prints, on standard input or from
the files named. Only the parameters are used: the error terms are derived here once more from
docs/spec/commitment.md and docs/adr/0002-commitment.md, and no code is shared with the Rust ledger.
Exits with status 1 when a query count, a term or the total differs, or the total is below 128 bits.
"""

import json
import sys
from fractions import Fraction
from pathlib import Path

GOLDILOCKS = 2**64 - 2**32 + 1
CHALLENGE_FIELD = GOLDILOCKS**3
TARGET_BITS = 128
# The Rust ledger rounds errors up and bits down; both are below a thousandth of a bit each.
TOLERANCE_MILLIBITS = 2


def millibits(error: Fraction) -> int:
    """Return the largest k with ``error <= 2^(-k/1000)``, exactly."""
    numerator, denominator = error.numerator**1000, error.denominator**1000
    k = denominator.bit_length() - numerator.bit_length()
    while numerator << k > denominator:
        k -= 1
    while numerator << (k + 1) <= denominator:
        k += 1
    return k


def miss(log_inverse_rate: int, queries: int) -> Fraction:
    """Return the probability bound that no query meets a disagreement, at half the distance."""
    rate = Fraction(1, 2**log_inverse_rate)
    return (1 - (1 - rate) / 2) ** queries


def least_queries(log_inverse_rate: int, bits: int) -> int:
    queries = 1
    while miss(log_inverse_rate, queries) > Fraction(1, 2**bits):
        queries += 1
    return queries


def terms(parameters: dict) -> dict[str, Fraction]:
    """Return every error term of one opening by name."""
    rows, rate = parameters["log_rows"], parameters["log_inverse_rate"]
    trees, columns = parameters["num_trees"], parameters["max_log_columns"]
    found = {
        "opening sumcheck": Fraction(2 * (rows + columns), CHALLENGE_FIELD),
        "level 0 proximity": Fraction((columns + trees) * 2 ** (rows + rate), CHALLENGE_FIELD),
        "combination of trees": Fraction(trees, CHALLENGE_FIELD),
        "level 0 queries": miss(rate, parameters["queries"]),
        # Pads and cover: words of the masked tree, one line of combinations, two relations, the same positions.
        "cover proximity": Fraction(2 ** (rows + rate), CHALLENGE_FIELD),
        "cover relations": Fraction(2, CHALLENGE_FIELD),
        "cover queries": miss(rate, parameters["queries"]),
    }
    claims = parameters["queries"]
    length = rows
    for number, level in enumerate(parameters["levels"], start=1):
        assert level["log_rows"] + level["log_columns"] == length, "levels do not follow each other"
        folds, rate = level["log_columns"], level["log_inverse_rate"]
        domain = 2 ** (level["log_rows"] + rate)
        found[f"level {number} claims"] = Fraction(claims, CHALLENGE_FIELD)
        found[f"level {number} sumcheck"] = Fraction(2 * folds, CHALLENGE_FIELD)
        found[f"level {number} proximity"] = Fraction(folds * domain, CHALLENGE_FIELD)
        found[f"level {number} queries"] = miss(rate, level["queries"])
        claims, length = level["queries"], level["log_rows"]
    return found


def differences(parameters: dict) -> list[str]:
    """Return what the printed ledger and this recomputation disagree about."""
    problems = []
    for level in [parameters, *parameters["levels"]]:
        expected = least_queries(level["log_inverse_rate"], parameters["term_bits"])
        if level["queries"] != expected:
            problems.append(f"{level['queries']} queries, {expected} are the least that suffice")
    ledger, found = parameters["ledger"], terms(parameters)
    if [entry["source"] for entry in ledger["entries"]] != list(found):
        problems.append("the entries are not the terms of the protocol")
    for entry in ledger["entries"]:
        exact = millibits(found.get(entry["source"], Fraction(1)))
        if not exact - TOLERANCE_MILLIBITS <= entry["millibits"] <= exact:
            problems.append(f"{entry['source']}: printed {entry['millibits']}, exact {exact}")
    total = millibits(sum(found.values()) * ledger["max_proofs"])
    if not total - TOLERANCE_MILLIBITS <= ledger["total_millibits"] <= total:
        problems.append(f"total: printed {ledger['total_millibits']}, exact {total}")
    if total < 1000 * TARGET_BITS:
        problems.append(f"total: {total} millibits are below {TARGET_BITS} bits")
    return problems


def main(paths: list[str]) -> int:
    texts = [Path(path).read_text("utf-8") for path in paths] or [sys.stdin.read()]
    status = 0
    for text in texts:
        parameters = json.loads(text)
        problems = differences(parameters)
        total = millibits(sum(terms(parameters).values()) * parameters["ledger"]["max_proofs"])
        print(f"{parameters['id']}: {total // 1000}.{total % 1000:03} bits")
        for problem in problems:
            print(f"  differs: {problem}")
            status = 1
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
