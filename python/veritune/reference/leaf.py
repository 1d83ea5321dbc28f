"""The leaf of a row: a Poseidon2 sponge over Python's integers, docs/spec/step.md "Rows and leaves".

Source: Poseidon2 (ePrint 2023/323) for Goldilocks, width 12, S-box x^7, rounds 4 + 22 + 4, constants as
Plonky3 publishes them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

P = 2**64 - 2**32 + 1
WIDTH = 12
RATE = 8
ROW_TAG = 3

INITIAL = (
    0x13DCF33ABA214F46,
    0x30B3B654A1DA6D83,
    0x1FC634ADA6159B56,
    0x937459964DC03466,
    0xEDD2EF2CA7949924,
    0xEDE9AFFDE0E22F68,
    0x8515B9D6BAC9282D,
    0x6B5C07B4E9E900D8,
    0x1EC66368838C8A08,
    0x9042367D80D1FBAB,
    0x400283564A3C3799,
    0x4A00BE0466BCA75E,
    0x7913BEEE58E3817F,
    0xF545E88532237D90,
    0x22F8CB8736042005,
    0x6F04990E247A2623,
    0xFE22E87BA37C38CD,
    0xD20E32C85FFE2815,
    0x117227674048FE73,
    0x4E9FB7EA98A6B145,
    0xE0866C232B8AF08B,
    0x00BBC77916884964,
    0x7031C0FB990D7116,
    0x240A9E87CF35108F,
    0x2E6363A5A12244B3,
    0x5E1C3787D1B5011C,
    0x4132660E2A196E8B,
    0x3A013B648D3D4327,
    0xF79839F49888EA43,
    0xFE85658EBAFE1439,
    0xB6889825A14240BD,
    0x578453605541382B,
    0x4508CDA8F6B63CE9,
    0x9C3EF35848684C91,
    0x0812BDE23C87178C,
    0xFE49638F7F722C14,
    0x8E3F688CE885CBF5,
    0xB8E110ACF746A87D,
    0xB4B2E8973A6DABEF,
    0x9E714C5DA3D462EC,
    0x6438F9033D3D0C15,
    0x24312F7CF1A27199,
    0x23F843BB47ACBF71,
    0x9183F11A34BE9F01,
    0x839062FBB9D45DBF,
    0x24B56E7E6C2E43FA,
    0xE1683DA61C962A72,
    0xA95C63971A19BFA7,
)
PARTIAL = (
    0x4ADF842AA75D4316,
    0xF8FBB871AA4AB4EB,
    0x68E85B6EB2DD6AEB,
    0x07A0B06B2D270380,
    0xD94E0228BD282DE4,
    0x8BDD91D3250C5278,
    0x209C68B88BBA778F,
    0xB5E18CDAB77F3877,
    0xB296A3E808DA93FA,
    0x8370ECBDA11A327E,
    0x3F9075283775DAD8,
    0xB78095BB23C6AA84,
    0x3F36B9FE72AD4E5F,
    0x69BC96780B10B553,
    0x3F1D341F2EB7B881,
    0x4E939E9815838818,
    0xDA366B3AE2A31604,
    0xBC89DB1E7287D509,
    0x6102F411F9EF5659,
    0x58725C5E7AC1F0AB,
    0x0DF5856C798883E7,
    0xF7BB62A8DA4C961B,
)
FINAL = (
    0xC68BE7C94882A24D,
    0xAF996D5D5CDAEDD9,
    0x9717F025E7DAF6A5,
    0x6436679E6E7216F4,
    0x8A223D99047AF267,
    0xBB512E35A133BA9A,
    0xFBBF44097671AA03,
    0xF04058EBF6811E61,
    0x5CCA84703FAC7FFB,
    0x9B55C7945DE6469F,
    0x8E05BF09808E934F,
    0x2EA900DE876307D7,
    0x7748FFF2B38DFB89,
    0x6B99A676DD3B5D81,
    0xAC4BB7C627CF7C13,
    0xADB6EBE5E9E2F5BA,
    0x2D33378CAFA24AE3,
    0x1E5B73807543F8C2,
    0x09208814BFEBB10F,
    0x782E64B6BB5B93DD,
    0xADD5A48EAC90B50F,
    0xADD4C54C736EA4B1,
    0xD58DBB86ED817FD8,
    0x6D5ED1A533F34DDD,
    0x28686AA3E36B7CB9,
    0x591ABD3476689F36,
    0x047D766678F13875,
    0xA2A11112625F5B49,
    0x21FD10A3F8304958,
    0xF9B40711443B0280,
    0xD2697EB8B2BDE88E,
    0x3493790B51731B3F,
    0x11CAF9DD73764023,
    0x7ACFB8F72878164E,
    0x744EC4DB23CEFC26,
    0x1E00E58F422C6340,
    0x21DD28D906A62DDA,
    0xF32A46AB5F465B5F,
    0xBFCE13201F3F7E6B,
    0xF30D2E7ADB5304E2,
    0xECDF4EE4ABAD48E9,
    0xF94E82182D395019,
    0x4EE52E3744D887C5,
    0xA1341C7CAC0083B2,
    0x2302FB26C30C834A,
    0xAEA3C587273BF7D3,
    0xF798E24961823EC7,
    0x962DEBA3E9A2CD94,
)
DIAGONAL = (
    0xFFFFFFFEFFFFFFFF,
    0x0000000000000001,
    0x0000000000000002,
    0x7FFFFFFF80000001,
    0x0000000000000003,
    0x0000000000000004,
    0x7FFFFFFF80000000,
    0xFFFFFFFEFFFFFFFE,
    0xFFFFFFFEFFFFFFFD,
    0xBFFFFFFF40000001,
    0x3FFFFFFFC0000000,
    0xDFFFFFFF20000001,
)

_BLOCK = ((2, 3, 1, 1), (1, 2, 3, 1), (1, 1, 2, 3), (3, 1, 1, 2))

State = list[int]
SBoxes = list[tuple[int, int, int]]


def external(state: State) -> State:
    """Returns the product with circ(2M, M, M), M the 4 by 4 block."""
    parts = [[sum(a * b for a, b in zip(row, state[i : i + 4], strict=True)) for row in _BLOCK] for i in (0, 4, 8)]
    total = [sum(column) for column in zip(*parts, strict=True)]
    return [(x + total[j]) % P for part in parts for j, x in enumerate(part)]


def internal(state: State) -> State:
    """Returns the product with the matrix of ones plus the diagonal."""
    total = sum(state)
    return [(x * d + total) % P for x, d in zip(state, DIAGONAL, strict=True)]


def permute(state: State) -> tuple[State, SBoxes]:
    """Returns the permuted state, and what every S-box reads with its third and seventh power."""
    trace: SBoxes = []

    def sbox(x: int) -> int:
        cube = pow(x, 3, P)
        trace.append((x, cube, pow(x, 7, P)))
        return trace[-1][2]

    def full(state: State, constants: tuple[int, ...]) -> State:
        for i in range(0, len(constants), WIDTH):
            state = external([sbox((x + c) % P) for x, c in zip(state, constants[i : i + WIDTH], strict=True)])
        return state

    state = full(external(state), INITIAL)
    for constant in PARTIAL:
        state = internal([sbox((state[0] + constant) % P), *state[1:]])
    return full(state, FINAL), trace


def leaf_tensors(
    headers: NDArray[np.int64], tokens: NDArray[np.int64], targets: NDArray[np.int64]
) -> tuple[dict[str, NDArray[np.int64]], list[list[int]]]:
    """Returns the tensors ``batch.leaf.*`` of a batch and the leaf of each row, four elements.

    Args:
        headers: (rows, 8) salt and digest of the meta data, signed integers that encode field elements.
        tokens: (rows, tokens) ids.
        targets: (rows, tokens) label of each position, -100 for none.
    """
    num_rows, num_tokens = tokens.shape
    states: list[State] = []
    boxes: list[SBoxes] = []
    leaves = []
    for row in range(num_rows):
        state = [int(x) % P for x in headers[row]] + [ROW_TAG, RATE * (1 + num_tokens), 0, 0]
        for block in range(1 + num_tokens):
            if block > 0:
                target = int(targets[row, block - 1])
                message = (int(tokens[row, block - 1]), max(target, 0), int(target >= 0))
                state = [(x + m) % P for x, m in zip(state, (*message, *[0] * 9), strict=True)]
            states.append(state)
            state, trace = permute(state)
            boxes.append(trace)
        leaves.append(state[:4])
    shape = (num_rows, 1 + num_tokens, -1)
    tensors = {"batch.leaf.header": headers, "batch.leaf.state": _signed(states).reshape(shape)}
    for i, name in enumerate(("point", "cube", "seventh")):
        tensors[f"batch.leaf.{name}"] = _signed([[box[i] for box in trace] for trace in boxes]).reshape(shape)
    return tensors, leaves


def _signed(values: list[list[int]]) -> NDArray[np.int64]:
    """Returns field elements as the signed integers of least absolute value."""
    return np.array([[x if x <= P // 2 else x - P for x in row] for row in values], dtype=np.int64)
