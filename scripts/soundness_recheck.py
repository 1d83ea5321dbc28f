"""Recompute the soundness total of an opening, or of a whole run, from its parameters, with exact rationals.

Reads the JSON that ``cargo run -p veritune-commit --example ledger`` (an opening) or ``cargo run -p
veritune-verifier --example run_ledger -- plan.json`` (a run) prints, on standard input or from the files named. Only
the parameters are used: the error terms are derived here once more from docs/spec/commitment.md, docs/spec/argument.md
and docs/notes/soundness.md, and no code is shared with the Rust ledger.
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
    if "argument" in parameters:
        found.update(argument_terms(parameters["argument"]))
    return found


def log2_ceiling(number: int) -> int:
    """Return the least k with ``number <= 2^k``."""
    return max(number - 1, 0).bit_length()


def argument_terms(counts: dict) -> dict[str, Fraction]:
    """Return every error term of a run's argument and settlement by name."""
    tables = sum(2**log for log in counts["table_logs"])
    leaves = tables + sum(2**log for log in counts["row_logs"])
    numerators = {
        # A rational function of alpha with a pole for each leaf; rows collide at few betas.
        "lookup alpha": leaves,
        "lookup beta": tables * counts["widest_table"],
        "lookup merge of layer 1": 1,
    }
    for layer in range(1, max(log2_ceiling(leaves), counts["least_log_leaves"])):
        # A challenge for the two claims, rounds of degree three, a challenge for the two halves.
        numerators[f"lookup layer {layer}"] = 1 + 3 * layer + 1
    numerators["equation rho"] = sum(log2_ceiling(length) for length in counts["axis_lengths"])
    numerators["equation delta"] = counts["equations"]
    numerators["equation sumcheck"] = (counts["most_factors"] + 1) * counts["most_variables"]
    if counts["one_hot_claims"]:
        numerators["one-hot eta"] = counts["one_hot_claims"]
        numerators["one-hot sumcheck"] = counts["one_hot_degree"] * counts["one_hot_rounds"]
    # C - L R has degree below twice the least power of two above the number of products.
    nodes = 1
    while nodes < counts["products"] + 1:
        nodes *= 2
    numerators["products of pads"] = 2 * nodes
    numerators["joint gamma"] = counts["claims"] + counts["checks"] + 2
    numerators["settlement challenge"] = counts["base_claims"] * counts["steps"]
    return {source: Fraction(numerator, CHALLENGE_FIELD) for source, numerator in numerators.items()}


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
