"""Makes safetensors.json beside this file, with the reference implementation of the format.

    python3 test/golden/make_safetensors.py

Needs the Python package safetensors and NumPy (made with the versions that the file names); the tests need neither.

written   what the reference writes for these tensors: the order, the header's text and its padding
verdicts  what it says to headers of all kinds, each before so many zero bytes: "" where it takes them
float16   the SHA-256 of all 65,536 float16s, by their bits from 0, as NumPy converts them to float32, each NaN as 7fc00000
"""

import base64
import ctypes
import hashlib
import json
import pathlib
import platform

import numpy as np
import safetensors
from safetensors import TensorSpec, deserialize, serialize

# The Python package's names, those of files, and the bits of an element; F4 comes in pairs.
DTYPES = [
    ("bool", "BOOL", 8), ("float4_e2m1fn_x2", "F4", 4), ("uint8", "U8", 8), ("int8", "I8", 8),
    ("float8_e5m2", "F8_E5M2", 8), ("float8_e4m3fn", "F8_E4M3", 8), ("float8_e8m0fnu", "F8_E8M0", 8),
    ("float8_e4m3fnuz", "F8_E4M3FNUZ", 8), ("float8_e5m2fnuz", "F8_E5M2FNUZ", 8), ("int16", "I16", 16),
    ("uint16", "U16", 16), ("float16", "F16", 16), ("bfloat16", "BF16", 16), ("int32", "I32", 32),
    ("uint32", "U32", 32), ("float32", "F32", 32), ("complex64", "C64", 64), ("float64", "F64", 64),
    ("int64", "I64", 64), ("uint64", "U64", 64),
]


def written(tensors, metadata=None):
    """tensors: (name, Python dtype, shape in the file); their bytes count up."""
    specs, listed, buffers, seed = {}, [], [], 0
    for name, dtype, shape in tensors:
        _, file_dtype, bits = next(d for d in DTYPES if d[0] == dtype)
        length = int(np.prod(shape, dtype=int)) * bits // 8
        data = bytes((seed + i) % 251 for i in range(length))
        seed += length
        buffers.append(ctypes.create_string_buffer(data, max(length, 1)))
        given = shape[:-1] + [shape[-1] // 2] if bits == 4 else shape
        specs[name] = TensorSpec(
            dtype=dtype, shape=given, data_ptr=ctypes.addressof(buffers[-1]), data_len=length
        )
        listed.append({"name": name, "dtype": file_dtype, "shape": shape, "data": data.hex()})
    file = serialize(specs, metadata)
    return {"tensors": listed, "metadata": metadata, "file": base64.b64encode(file).decode()}


def verdict(header, data_bytes):
    header = header if isinstance(header, bytes) else header.encode()
    try:
        deserialize(len(header).to_bytes(8, "little") + header + bytes(data_bytes))
        said = ""
    except safetensors.SafetensorError as error:
        said = str(error).removeprefix("Error while deserializing: ")[:90].split(" for tensor `")[0]
    return {"header": header.decode("latin-1"), "dataBytes": data_bytes, "reference": said}


def entry(dtype='"U8"', shape="[4]", offsets="[0,4]", more=""):
    return f'{{"dtype":{dtype},"shape":{shape},"data_offsets":{offsets}{more}}}'


A = f'"a":{entry()}'
B = f'"b":{entry(offsets="[4,8]")}'

VERDICTS = [
    ("{}", 0), (" \n\t\r{ } \n", 0), ("{}", 1), ("{" + A + "}", 4), ("{" + A + "}", 3), ("{" + A + "}", 5),
    ("{" + B + "," + A + "}", 8), ("{ " + A.replace(":", " : ").replace(",", " ,\n") + " }", 4),
    ("", 0), ("{", 0), ("[]", 0), ("null", 0), ("1", 0), ('"a"', 0), ("{}{}", 0), ("{},", 0), ("{},{}", 0), ("{}\0", 0),
    ("\ufeff{}", 0), (b'{"\xff":1}', 0), (b"{}\x80", 0), ("{'a':1}", 0), ("{" + A + ",}", 4), ("{,}", 0), ("{a:1}", 0),
    ("\v{}", 0), ("\u00a0{}", 0), ("// c\n{}", 0),
    ("{" + A + "," + B + "}", 4), ("{" + A + "," + B + "}", 9),
    ("{" + A + "," + f'"b":{entry(offsets="[0,4]")}' + "}", 4),
    ("{" + A + "," + f'"b":{entry(offsets="[2,6]")}' + "}", 6),
    ("{" + A + "," + f'"b":{entry(offsets="[5,9]")}' + "}", 9),
    (f'{{"b":{entry(offsets="[4,8]")}}}', 8),
    ("{" + A + "," + f'"z":{entry(shape="[0]", offsets="[4,4]")}' + "}", 4),
    ("{" + A + "," + f'"z":{entry(shape="[0]", offsets="[0,0]")}' + "}", 4),
    ("{" + A + "," + f'"z":{entry(shape="[0]", offsets="[2,2]")}' + "}", 4),
    ("{" + A + "," + f'"z":{entry(shape="[0]", offsets="[9,9]")}' + "}", 4),
    (f'{{"a":{entry(shape="[]", offsets="[0,1]")}}}', 1), (f'{{"a":{entry(shape="[2,2]")}}}', 4),
    (f'{{"a":{entry(shape="[0,9007199254740991]", offsets="[0,0]")}}}', 0),
    (f'{{"a":{entry(shape="[4503599627370496,4503599627370496,0]", offsets="[0,0]")}}}', 0),
    (f'{{"a":{entry(shape="[2,18446744073709551614]")}}}', 4), (f'{{"a":{entry(shape="[18446744073709551616]")}}}', 4),
    (f'{{"a":{entry(shape="[-1]")}}}', 4), (f'{{"a":{entry(shape="[4.0]")}}}', 4), (f'{{"a":{entry(shape="[4e0]")}}}', 4),
    (f'{{"a":{entry(shape="[04]")}}}', 4), (f'{{"a":{entry(shape="[-0]", offsets="[0,0]")}}}', 0),
    (f'{{"a":{entry(shape="[+4]")}}}', 4), (f'{{"a":{entry(shape="[0x4]")}}}', 4),
    (f'{{"a":{entry(shape="4")}}}', 4), (f'{{"a":{entry(shape="null")}}}', 4),
    (f'{{"a":{entry(shape=json.dumps("4"))}}}', 4), (f'{{"a":{entry(shape="[[4]]")}}}', 4), (f'{{"a":{entry(shape="[4,]")}}}', 4),
    (f'{{"a":{entry(shape="[5]")}}}', 4), (f'{{"a":{entry(offsets="[4,0]")}}}', 4), (f'{{"a":{entry(offsets="[0]")}}}', 4),
    (f'{{"a":{entry(offsets="[0,4,4]")}}}', 4), (f'{{"a":{entry(offsets="[]")}}}', 4), (f'{{"a":{entry(offsets="[-4,0]")}}}', 4),
    (f'{{"a":{entry(offsets="[0,18446744073709551615]")}}}', 4), (f'{{"a":{entry(offsets="[0,99999999999]", shape="[99999999999]")}}}', 4),
    (f'{{"a":{entry(dtype=json.dumps("u8"))}}}', 4), (f'{{"a":{entry(dtype=json.dumps("float32"))}}}', 4),
    (f'{{"a":{entry(dtype="8")}}}', 4), (f'{{"a":{entry(dtype="null")}}}', 4), (f'{{"a":{entry(dtype=json.dumps("toString"))}}}', 4),
    ('{"a":{"dtype":"U8","shape":[4]}}', 4), ('{"a":{"dtype":"U8","data_offsets":[0,4]}}', 4), ('{"a":{"shape":[4],"data_offsets":[0,4]}}', 4),
    ('{"a":{}}', 0), ('{"a":null}', 0), ('{"a":1}', 0), ('{"a":"U8"}', 0), ('{"a":[]}', 0), ('{"a":["U8",[4],[0,4]]}', 4),
    (f'{{"a":{entry(more=",%s:1" % json.dumps("extra"))}}}', 4),
    (f'{{"a":{entry(more=",%s:%s" % (json.dumps("dtype"), json.dumps("U8")))}}}', 4),
    (f'{{"a":{entry(more=",%s:[4]" % json.dumps("shape"))}}}', 4),
    ('{"a":{"data_offsets":[0,4],"shape":[4],"dtype":"U8"}}', 4), ('{"a":{"dty\\u0070e":"U\\u0038","shape":[4],"data_offsets":[0,4]}}', 4),
    ("{" + A + "," + A + "}", 4), ("{" + A + "," + f'"\\u0061":{entry(offsets="[4,8]")}' + "}", 8), ("{" + A + "," + f'"\\u0061":{entry()}' + "}", 4),
    (f'{{"__proto__":{entry()}}}', 4), (f'{{"constructor":{entry()}}}', 4), (f'{{"":{entry()}}}', 4), (f'{{"0":{entry()}}}', 4),
    (f'{{"\\u0000\\n\\"":{entry()}}}', 4), (f'{{"\n":{entry()}}}', 4), (f'{{"\\x":{entry()}}}', 4), (f'{{"\\u00":{entry()}}}', 4),
    (f'{{"\\ud800":{entry()}}}', 4), (f'{{"\\ud83d\\ude00":{entry()}}}', 4), (f'{{"\U0001f600":{entry()}}}', 4),
    ('{"__metadata__":{}}', 0), ('{"__metadata__":{"a":"b"}}', 0), ('{"__metadata__":{"a":1}}', 0), ('{"__metadata__":{"a":null}}', 0),
    ('{"__metadata__":{"a":{}}}', 0), ('{"__metadata__":null}', 0), ('{"__metadata__":[]}', 0), ('{"__metadata__":"a"}', 0), ('{"__metadata__":1}', 0),
    ('{"__metadata__":{"a":"b","a":"c"}}', 0), ('{"__metadata__":{"a":"b","\\u0061":"c"}}', 0), ('{"__metadata__":{"__proto__":"b"}}', 0),
    ('{"__metadata__":{},"__metadata__":{}}', 0), ('{"__met\\u0061data__":{"a":"b"}}', 0), (f'{{"__metadata__":{entry()}}}', 4),
    (f'{{"a":{entry(dtype=json.dumps("F4"), shape="[8]")}}}', 4), (f'{{"a":{entry(dtype=json.dumps("F4"), shape="[7]")}}}', 4),
    (f'{{"a":{entry(dtype=json.dumps("F6_E2M3"), shape="[4]", offsets="[0,3]")}}}', 3), (f'{{"a":{entry(dtype=json.dumps("F6_E3M2"), shape="[3]", offsets="[0,3]")}}}', 3),
    ("[" * 300, 0), ('{"a":' * 300, 0), ('{"a":{"dtype":' + "[" * 300, 0), ('{"a":{"x":' + "[" * 200 + "]" * 200 + "}}", 0),
]

if __name__ == "__main__":
    values = np.arange(65536, dtype=np.uint16).view(np.float16).astype(np.float32).view(np.uint32)
    values[(values & 0x7FFFFFFF) > 0x7F800000] = 0x7FC00000
    fixture = {
        "made": {
            "by": "test/golden/make_safetensors.py",
            "safetensors": safetensors.__version__,
            "numpy": np.__version__,
            "python": platform.python_version(),
        },
        "written": [
            written([]),
            written([], {"framework": "pt"}),
            written([("attn.0", "float32", [1, 2, 3])]),
            written([("attn0", "float32", [1, 1, 2, 3])]),
            written([("w", "float32", [2, 3]), ("b", "float32", [3])], {"\u00e9\u007f\u2028\u0001\b\t\n\f\r/\\\"\u001f": "\U0001f600"}),
            written([("scalar", "float64", []), ("empty", "float32", [2, 0]), ("also empty", "float32", [0, 5])]),
            written([(f"t{i:02}", dtype, [3, 2]) for i, (dtype, _, _) in enumerate(DTYPES)]),
            # Rust orders strings by their UTF-8, JavaScript by UTF-16; keys like array indices come first in an object.
            written([(n, "float32", [1]) for n in ["b", "a", "10", "9", "", "__proto__", "constructor", "\U0001f600", "\uff5e", "a\U0001f600", "a\uff5e", "\U0001f600\u0001", "\U0001f601", "\ud7ff", "\u00e9", "aa"]]),
        ],
        "verdicts": [verdict(*case) for case in VERDICTS],
        "float16": hashlib.sha256(values.astype("<u4").tobytes()).hexdigest(),
    }
    lines = [f'"made": {json.dumps(fixture["made"])}']
    for key in ("written", "verdicts"):
        lines.append(f'"{key}": [\n' + ",\n".join(json.dumps(item) for item in fixture[key]) + "\n]")
    lines.append(f'"float16": "{fixture["float16"]}"')
    path = pathlib.Path(__file__).with_name("safetensors.json")
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n")
    print(path.name, path.stat().st_size)
