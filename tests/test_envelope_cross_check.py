"""Bundles, keys, canonical JSON and adapter files of `crates/envelope`, checked with other programs' code.

Needs cargo and the `cryptography` package; the adapter files are read with `struct` and `json` only.
"""

import base64
import hashlib
import json
import struct
import subprocess
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

ROOT = Path(__file__).resolve().parent.parent
PAYLOAD_TYPE = "application/vnd.in-toto+json"
MEDIA_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
ECDSA = ec.ECDSA(hashes.SHA256())


@pytest.fixture
def program(examples: Path) -> Path:
    """Makes keys, signs and opens."""
    return examples / "sign"


def call(program: Path, *arguments: object) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([program, *map(str, arguments)], capture_output=True, check=False)


def pae(payload: bytes) -> bytes:
    return b"DSSEv1 %d %s %d %s" % (len(PAYLOAD_TYPE), PAYLOAD_TYPE.encode(), len(payload), payload)


def spki(key: ec.EllipticCurvePublicKey, encoding: serialization.Encoding) -> bytes:
    return key.public_bytes(encoding, serialization.PublicFormat.SubjectPublicKeyInfo)


def bundle_of(payload: bytes, key: ec.EllipticCurvePrivateKey, *, low: bool = True) -> dict:
    r, s = decode_dss_signature(key.sign(pae(payload), ECDSA))
    s = min(s, ORDER - s) if low else max(s, ORDER - s)
    key_id = hashlib.sha256(spki(key.public_key(), serialization.Encoding.DER)).hexdigest()
    signature = base64.b64encode(encode_dss_signature(r, s)).decode()
    return {
        "mediaType": MEDIA_TYPE,
        "verificationMaterial": {"publicKey": {"hint": key_id}},
        "dsseEnvelope": {
            "payload": base64.b64encode(payload).decode(),
            "payloadType": PAYLOAD_TYPE,
            "signatures": [{"sig": signature, "keyid": key_id}],
        },
    }


def test_our_bundle_verifies_elsewhere(program: Path, tmp_path: Path) -> None:
    private, public = tmp_path / "key.pem", tmp_path / "key.pub"
    payload, bundle = tmp_path / "payload", tmp_path / "bundle.sigstore.json"
    assert call(program, "keygen", private, public).returncode == 0
    payload.write_bytes(b'{"x":1}')
    assert call(program, "sign", private, payload, bundle).returncode == 0

    theirs = serialization.load_pem_public_key(public.read_bytes())
    assert isinstance(theirs, ec.EllipticCurvePublicKey)
    loaded = serialization.load_pem_private_key(private.read_bytes(), password=None)
    assert loaded.public_key().public_numbers() == theirs.public_numbers()
    parsed = json.loads(bundle.read_bytes())
    assert parsed["mediaType"] == MEDIA_TYPE
    key_id = hashlib.sha256(spki(theirs, serialization.Encoding.DER)).hexdigest()
    assert parsed["verificationMaterial"] == {"publicKey": {"hint": key_id}}
    envelope = parsed["dsseEnvelope"]
    assert base64.b64decode(envelope["payload"], validate=True) == payload.read_bytes()
    (signature,) = envelope["signatures"]
    theirs.verify(base64.b64decode(signature["sig"]), pae(payload.read_bytes()), ECDSA)
    with pytest.raises(InvalidSignature):
        theirs.verify(base64.b64decode(signature["sig"]), pae(b'{"x":2}'), ECDSA)


def test_their_bundle_verifies_here(program: Path, tmp_path: Path) -> None:
    key, other = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    public, stranger, bundle = (tmp_path / name for name in ("key.pub", "stranger.pub", "bundle"))
    public.write_bytes(spki(key.public_key(), serialization.Encoding.PEM))
    stranger.write_bytes(spki(other.public_key(), serialization.Encoding.PEM))
    bundle.write_text(json.dumps(bundle_of(b"payload", key), indent=2))
    result = call(program, "verify", public, bundle)
    assert (result.returncode, result.stdout) == (0, b"payload"), result.stderr

    result = call(program, "verify", stranger, bundle)
    assert result.returncode == 3 and b"VT-ENV-041" in result.stderr
    bundle.write_text(json.dumps(bundle_of(b"payload", key, low=False)))
    result = call(program, "verify", public, bundle)
    assert result.returncode == 1 and b"VT-ENV-043" in result.stderr
    forged = bundle_of(b"payload", key)
    forged["dsseEnvelope"]["payload"] = base64.b64encode(b"another").decode()
    bundle.write_text(json.dumps(forged))
    result = call(program, "verify", public, bundle)
    assert result.returncode == 1 and b"VT-ENV-044" in result.stderr


def test_other_curves_are_refused(program: Path, tmp_path: Path) -> None:
    public, bundle = tmp_path / "key.pub", tmp_path / "bundle"
    bundle.write_text("{}")
    for curve in (ec.SECP384R1(), ec.SECP256K1()):
        key = ec.generate_private_key(curve).public_key()
        public.write_bytes(spki(key, serialization.Encoding.PEM))
        result = call(program, "verify", public, bundle)
        assert result.returncode == 2 and b"VT-ENV-045" in result.stderr


def test_canonical_json(program: Path, tmp_path: Path) -> None:
    value = {"é": [1, None, True, -(2**53)], "a": {"\u007f\n\x01": '\\"/', "": []}, "z": "\U0001f600"}
    file = tmp_path / "value.json"
    file.write_text(json.dumps(value, indent=1))
    # Python sorts by code point, which is RFC 8785's order for these keys.
    expected = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    result = call(program, "canonical", file)
    assert result.stdout.decode() == expected


def test_adapter_files(program: Path, tmp_path: Path) -> None:
    assert call(program, "adapter", tmp_path).returncode == 0
    data = (tmp_path / "adapter_model.safetensors").read_bytes()
    (length,) = struct.unpack_from("<Q", data)
    header = json.loads(data[8 : 8 + length])
    assert header.pop("__metadata__") == {"format": "pt"}
    prefix = "base_model.model.model.layers.0.self_attn.q_proj"
    assert list(header) == [f"{prefix}.lora_A.weight", f"{prefix}.lora_B.weight"]
    for (name, entry), shape, bits in zip(header.items(), ([2, 3], [3, 2]), (16, 18), strict=True):
        assert (entry["dtype"], entry["shape"]) == ("F32", shape), name
        start, end = entry["data_offsets"]
        values = struct.unpack("<6f", data[8 + length + start : 8 + length + end])
        assert list(values) == [n * 2.0**-bits for n in range(-2, 4)]

    text = (tmp_path / "adapter_config.json").read_text()
    config = json.loads(text)
    assert text == json.dumps(config, indent=2, sort_keys=True)
    assert config["target_modules"] == ["q_proj"] and config["lora_dropout"] == 0.0
