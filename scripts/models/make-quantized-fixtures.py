"""
Writes a small network as floats and as the quantizers of quantize.py leave it, for the tests of the engine.

    python scripts/models/make-quantized-fixtures.py test/fixtures/models

Two layers, 64 to 32 to 8, weights at random from a fixed seed.
"""

import pathlib
import sys

import numpy as np
import onnx

from networks import quantization
from networks.graph import FLOAT, Graph


def network(random):
    graph = Graph("tiny")
    value = graph.input("x", FLOAT, ["n", 64])
    for inputs, outputs in ((64, 32), (32, 8)):
        weights = random.normal(0, inputs**-0.5, (inputs, outputs)).astype(np.float32)
        value = graph.node("MatMul", [value, graph.constant(weights)])
        value = graph.node("Add", [value, graph.constant(random.normal(0, 0.1, outputs).astype(np.float32))])
        if outputs == 32:
            value = graph.node("Relu", [value])
    graph.nodes[-1].output[0] = "y"
    graph.output("y", FLOAT, ["n", 8])
    return graph.model()


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    random = np.random.default_rng(7)
    model = network(random)
    feeds = [{"x": random.uniform(-1, 1, (1, 64)).astype(np.float32)} for _ in range(200)]
    made = {"static": quantization.static_qdq(model, feeds), "dynamic": quantization.dynamic(model), "int4": quantization.int4(model)}
    for mode, quantized in made.items():
        print(mode, quantization.require_quantized(quantized, mode, 1)["quantized"])
    for name, one in {"float": model, **made}.items():
        onnx.save(one, pathlib.Path(sys.argv[1]) / f"tiny-{name}.onnx")
