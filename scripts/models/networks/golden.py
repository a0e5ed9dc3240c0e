"""
Writes inputs and outputs of an original network for the tests: JSON, tensors as base64 of deflated little-endian bytes.
"""

import base64
import json
import zlib

import numpy as np

_datatypes = {"float32": "FP32", "uint8": "UINT8", "int8": "INT8", "int32": "INT32", "int64": "INT64"}


def tensor(name, array):
    array = np.ascontiguousarray(array)
    packed = base64.b64encode(zlib.compress(array.tobytes(), 9)).decode()
    return {"name": name, "datatype": _datatypes[array.dtype.name], "shape": list(array.shape), "deflated": packed}


def write(path, **content):
    with open(path, "w") as file:
        json.dump(content, file, indent=1)
        file.write("\n")
