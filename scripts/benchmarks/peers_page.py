"""The page of ``peers.py``: what is said of its rows."""

from __future__ import annotations

from rows import Row, commit_line, machine_line, paragraph, seconds, table

ADAMW_TARGET_US = 10.0
RATIO_TARGET = 100
#: Kaizen's LeNet: parameters, and multiply-adds of one training iteration at batch 1 (convolutions 4x1x5x5 on 28x28,
#: 16x4x5x5 on 10x10, 128x16x5x5 on 1x1, layers 128x32 and 32x16; backward: weight gradients of all, input gradients of
#: all but the first).
KAIZEN_PARAMETERS = 57_508
KAIZEN_FORWARD = 784 * 100 + 100 * 1600 + 51_200 + 4_096 + 512
KAIZEN_MULTIPLY_ADDS = 3 * KAIZEN_FORWARD - 784 * 100


def page(results: Row) -> str:
    """The whole page."""
    rows, line = results["workloads"], results["adamw"]
    quiet = results["machine"]["load"] <= results["machine"]["cores"]
    parts = [
        "# Peers: P1 to P5\n",
        "    make bench          # ours alone\n    make bench-peers    # with ezkl 23.0.5 in its own environment\n",
        commit_line(results["commit"]),
        machine_line(results["machine"], results["machine_after"]),
        paragraph("""
        Every workload is an integer program of `relations::builder`, proved and verified by the prover and the
        verifier of a real step (`crates/bench`). All inputs and weights lie behind hiding trees (random rows, salted
        leaves); scalars are masked and openings hide, so every row is zero knowledge. Bits: the
        ledger's total after its union bound over 1,000 proofs, recomputed by the verifier. Set-up: program and tables,
        and the tree of the state before where there is one; there are no keys. Prove: execution, commitments,
        argument, opening; median of three to nine proofs in one process, the first, cold one among them. Verify:
        median of seven, in another process, from the files; bytes are those of the files. Peak: the proving process.
        """),
        workload_table(rows, quiet),
        detail_table(rows),
        paragraph(f"""
        P4, line through the smallest and the largest size: **{1e6 * line["seconds_per_element"]:.2f} µs per element**
        (reach ≤ {ADAMW_TARGET_US:g} µs: {met(1e6 * line["seconds_per_element"], ADAMW_TARGET_US, quiet)}), fixed cost
        {seconds(max(0.0, line["fixed_seconds"]))}: the range table of 2^19 rows and the opening. Processor time, all
        threads: {1e6 * line["processor_seconds_per_element"]:.2f} µs per element.
        """),
        *ezkl_part(rows, line),
        *training_part(results["training"], results["kaizen"]),
    ]
    return "\n".join(parts)


def met(value: float, target: float | None, quiet: bool) -> str:
    """Whether a time meets its target; a time of a busy machine that does not says nothing."""
    if target is None:
        return "–"
    return "met" if value <= target else "missed" if quiet else "not judged: busy machine"


def workload_table(rows: list[Row], quiet: bool) -> str:
    """The figures against their targets."""
    heads = ["#", "workload", "bits", "set-up", "prove", "verify", "proof, bytes", "peak", "reach", ""]
    lines = [
        [
            row["number"],
            row["statement"],
            str(row["security_bits"]),
            seconds(row["setup_seconds"]),
            seconds(row["prove_seconds"]),
            seconds(row["verify_seconds"]),
            f"{row['proof_bytes']:,}",
            f"{row['peak_mib']:.0f} MiB",
            "–" if row["target_seconds"] is None else f"≤ {row['target_seconds']} s",
            met(row["prove_seconds"], row["target_seconds"], quiet),
        ]
        for row in rows
    ]
    return table(heads, lines)


def detail_table(rows: list[Row]) -> str:
    """Precision, hiding, and what the load did."""
    heads = ["workload", "precision", "hiding", "first proof", "processor time", "load"]
    lines = [
        [
            row["workload"],
            row["precision"],
            ("hiding trees" if row["hiding_commitments"] else "trees not hiding")
            + (", masked" if row["masked_transcript"] else ", not masked"),
            seconds(row["first_prove_seconds"]),
            seconds(row["prove_processor_seconds"]),
            f"{row['load']:.1f}",
        ]
        for row in rows
    ]
    return table(heads, lines)


def ezkl_part(rows: list[Row], line: Row) -> list[str]:
    """The peer's tables; a sentence without a peer."""
    compared = [row for row in rows if row["peer"]]
    if not compared:
        return ["ezkl was not run this time.\n"]
    heads = ["workload", "set-up", "prove", "proofs", "verify", "proof, bytes", "key", "peak", "logrows", "ezkl / ours"]
    lines, notes = [], []
    for row in compared:
        peer = row["peer"]
        if "failed" in peer:
            lines.append([row["workload"], f"failed: {peer['failed']}", *[""] * 8])
            continue
        ratio = peer["prove_seconds"] / row["prove_seconds"]
        lines.append(
            [
                row["workload"],
                f"{peer['setup_seconds']:.1f} s",
                f"{peer['prove_seconds']:.2f} s",
                str(len(peer["prove_runs"])),
                seconds(peer["verify_seconds"]),
                f"{peer['proof_bytes']:,}",
                f"{peer['key_bytes'] / 2**20:.0f} MiB",
                f"{peer['peak_mib']:.0f} MiB",
                str(peer["logrows"]),
                f"**{ratio:.0f}**",
            ]
        )
        notes.append(f"- `{row['workload']}`: {peer['compared']}.")
    parts = [
        "## ezkl 23.0.5, in the same run, in turn\n",
        paragraph("""
        Halo2 with KZG over BN254: trusted set-up, not post-quantum, zero knowledge, constant-size proofs. Precision: 7
        fraction bits, its default. Inputs and weights `private`, the cheapest visibility that hides them (they get no
        commitment of their own, ours have one); outputs public, because ezkl refuses a graph without public values.
        The SRS is made locally by `gen_srs`, fit for timing only; its time is not counted. Set-up: settings,
        calibration, compilation, keys. Prove: witness and proof. Ratio: medians of proving time.
        """),
        table(heads, lines),
        "What was compared:\n",
        "\n".join(notes) + "\n",
    ]
    if "peer_seconds_per_element" in line:
        small, large = line["peer_sizes"]
        ratio = line["peer_seconds_per_element"] / line["seconds_per_element"]
        parts.append(
            paragraph(f"""
            AdamW, ezkl at {small} and {large} elements: {1e3 * line["peer_seconds_per_element"]:.1f} ms per further
            element, {1e3 * line["peer_seconds_per_element_with_fixed"]:.1f} ms per element with its fixed cost at
            {large}; ratio of the costs per further element **{ratio:,.0f}**. Compared: {line["peers"][-1]["compared"]}.
            """)
        )
    return parts


def training_part(rows: list[Row], reference: Row) -> list[str]:
    """P5."""
    per_parameter = 1e6 * reference["processor_seconds"] / KAIZEN_PARAMETERS
    per_multiply_add = 1e9 * reference["processor_seconds"] / KAIZEN_MULTIPLY_ADDS
    heads = ["step", "trained", "multiply-adds", "bits", "prove", "processor", "verify", "proof, bytes", "peak"]
    lines, ratios = [], []
    for row in rows:
        name = row["workload"].removeprefix("step of the small model: ")
        parameter = per_parameter / row["processor_us_per_parameter"]
        multiply_add = per_multiply_add / row["processor_ns_per_multiply_add"]
        lines.append(
            [
                name,
                f"{row['trained_parameters']:,}",
                f"{row['multiply_adds']:,}",
                str(row["security_bits"]),
                seconds(row["prove_seconds"]),
                seconds(row["prove_processor_seconds"]),
                seconds(row["verify_seconds"]),
                f"{row['proof_bytes']:,}",
                f"{row['peak_mib']:.0f} MiB",
            ]
        )
        ratios.append(
            [
                name,
                f"{row['processor_us_per_parameter']:.1f} µs",
                f"{parameter:.1f} ({'met' if parameter >= RATIO_TARGET else 'missed'})",
                f"{row['processor_ns_per_multiply_add']:.1f} ns",
                f"{multiply_add:,.0f} ({'met' if multiply_add >= RATIO_TARGET else 'missed'})",
            ]
        )
    return [
        "## P5: one training iteration\n",
        paragraph("""
        Ours: a whole step of the small model on the demo's text: forward pass, softmax, cross-entropy, complete
        backward pass, clipping, AdamW, states chained; zero knowledge; 20-bit base and the widths of
        docs/spec/step.md. **One processor**, so one thread: the two of this machine share a core, and each would be
        charged for the other's waiting. Divided: processor time of proving one step (user and system, execution and
        commitments included; the base's settlement, once a run, is not), median of the steps after the first. By: (a)
        the trained adapter entries alone, frozen parameters never counted; (b) the multiply-adds of the step's matrix
        products, forward and backward (`steps::multiply_adds` in `crates/bench`).
        """),
        table(heads, lines),
        paragraph(f"""
        Kaizen: LeNet, batch 1, {KAIZEN_PARAMETERS:,} parameters, {KAIZEN_MULTIPLY_ADDS:,} multiply-adds forward and
        backward, random data, no loss function. Its cost, {reference["label"]}: {reference["processor_seconds"]:.1f}
        processor-seconds for one iteration with the aggregation of its commitment, so {per_parameter:.0f} µs per
        parameter and {per_multiply_add:,.0f} ns per multiply-add.
        """),
        table(["step", "per trained parameter", "Kaizen / ours", "per multiply-add", "Kaizen / ours"], ratios),
        paragraph(f"""
        Reach: {RATIO_TARGET} on both. The systems do not do the same work: ours runs tokens through a frozen model
        to train adapter entries, Kaizen one image through a net of which every parameter is trained. The first
        ratio favours Kaizen, the second ours.
        """),
    ]
