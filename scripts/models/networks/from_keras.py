"""
Rebuilds a Keras network (.h5: layer list in `model_config`, weights by layer name) as an ONNX graph, layer by layer.

Batch normalisation folds into the layer before it, exactly: y = g (Wx + b - m) / sqrt(v + e) + t. Inside, images are
channels first, as ONNX wants them; the input stays channels last, as cameras give them. The first axis stays free.
"""

import json

import h5py
import numpy as np

from .graph import FLOAT, Graph, same_padding


def read_network(path):
    """The layers of a network in order, each {kind, name, config, inputs, weights}."""
    with h5py.File(path) as file:
        config = json.loads(file.attrs["model_config"])["config"]
        layers = []
        for layer in config["layers"]:
            group = file["model_weights"][layer["config"]["name"]]
            names = [n.decode() if isinstance(n, bytes) else n for n in group.attrs["weight_names"]]
            weights = {n.split("/")[-1].split(":")[0]: np.asarray(group[n]) for n in names}
            nodes = layer.get("inbound_nodes") or [[]]
            inputs = [source[0] for source in nodes[0]]
            layers.append(dict(kind=layer["class_name"], name=layer["config"]["name"], config=layer["config"], inputs=inputs, weights=weights))
    return layers


def rebuild(layers, name, input_name, output_name, half_layers=()):
    """The ONNX model. Weights of the dense layers named in `half_layers` are stored as float16, and used as float32."""
    return _Rebuilt(layers, name, input_name, output_name, half_layers).model()


class _Rebuilt:
    def __init__(self, layers, name, input_name, output_name, half_layers):
        self.layers, self.input_name, self.output_name = layers, input_name, output_name
        self.half_layers = half_layers
        self.graph = Graph(name)
        self.values, self.shapes = {}, {}
        users = {}
        for layer in layers:
            for source in layer["inputs"]:
                users.setdefault(source, []).append(layer)
        # A layer whose only reader is a batch normalisation takes it over.
        self.norms = {s: u[0] for s, u in users.items() if len(u) == 1 and u[0]["kind"] == "BatchNormalization"}

    def model(self):
        for layer in self.layers:
            getattr(self, "_" + layer["kind"].lower())(layer)
        last = self.layers[-1]["name"]
        self.graph.nodes[-1].output[0] = self.output_name
        self.graph.output(self.output_name, FLOAT, ["n", *self.shapes[last]])
        return self.graph.model()

    def _set(self, layer, value, shape):
        self.values[layer["name"]], self.shapes[layer["name"]] = value, tuple(shape)

    def _source(self, layer):
        return self.values[layer["inputs"][0]], self.shapes[layer["inputs"][0]]

    def _folded(self, layer, kernel, bias):
        """Kernel (output channels first) and bias with the batch normalisation that follows."""
        norm = self.norms.get(layer["name"])
        if norm is None:
            return kernel.astype(np.float32), bias.astype(np.float32)
        w = {k: v.astype(np.float64) for k, v in norm["weights"].items()}
        factor = w["gamma"] / np.sqrt(w["moving_variance"] + norm["config"]["epsilon"])
        kernel = kernel.astype(np.float64) * factor.reshape(-1, *[1] * (kernel.ndim - 1))
        return kernel.astype(np.float32), ((bias - w["moving_mean"]) * factor + w["beta"]).astype(np.float32)

    def _inputlayer(self, layer):
        shape = layer["config"]["batch_input_shape"][1:]
        value = self.graph.input(self.input_name, FLOAT, ["n", *shape])
        if len(shape) == 3:
            value = self.graph.node("Transpose", [value], perm=[0, 3, 1, 2])
            shape = [shape[2], shape[0], shape[1]]
        self._set(layer, value, shape)

    def _convolution(self, layer, kernel, group):
        value, (_, *sizes) = self._source(layer)
        config = layer["config"]
        kernel, bias = self._folded(layer, kernel, layer["weights"]["bias"])
        pads = [(0, 0), (0, 0)]
        if config["padding"] == "same":
            pads = [same_padding(n, k, s) for n, k, s in zip(sizes, kernel.shape[2:], config["strides"])]
        out = [(n + sum(p) - k) // s + 1 for n, p, k, s in zip(sizes, pads, kernel.shape[2:], config["strides"])]
        inputs = [value, self.graph.constant(kernel), self.graph.constant(bias)]
        value = self.graph.node(
            "Conv", inputs, kernel_shape=list(kernel.shape[2:]), strides=config["strides"], group=group,
            pads=[pads[0][0], pads[1][0], pads[0][1], pads[1][1]],
        )
        self._set(layer, value, [kernel.shape[0], *out])

    def _conv2d(self, layer):
        self._convolution(layer, layer["weights"]["kernel"].transpose(3, 2, 0, 1), 1)

    def _depthwiseconv2d(self, layer):
        kernel = layer["weights"]["depthwise_kernel"].transpose(2, 3, 0, 1)
        self._convolution(layer, kernel, kernel.shape[0])

    def _batchnormalization(self, layer):
        if self.norms.get(layer["inputs"][0]) is not layer:
            raise ValueError(f"{layer['name']}: nothing to fold into")
        self._set(layer, *self._source(layer))

    def _activation(self, layer):
        if layer["config"]["activation"] != "relu":
            raise ValueError(f"{layer['name']}: activation {layer['config']['activation']} is not known")
        value, shape = self._source(layer)
        self._set(layer, self.graph.node("Relu", [value]), shape)

    def _add(self, layer):
        value = self.graph.node("Add", [self.values[source] for source in layer["inputs"]])
        self._set(layer, value, self.shapes[layer["inputs"][0]])

    def _averagepooling2d(self, layer):
        value, (channels, *sizes) = self._source(layer)
        if list(layer["config"]["pool_size"]) != sizes:
            raise ValueError(f"{layer['name']}: pools a part of the image")
        self._set(layer, self.graph.node("GlobalAveragePool", [value]), [channels, 1, 1])

    def _flatten(self, layer):
        value, shape = self._source(layer)
        if shape[1:] != (1, 1):
            raise ValueError(f"{layer['name']}: channels first and last flatten differently")
        self._set(layer, self.graph.node("Flatten", [value]), [shape[0]])

    def _dense(self, layer):
        value, _ = self._source(layer)
        kernel, bias = self._folded(layer, layer["weights"]["kernel"].T, layer["weights"]["bias"])
        if layer["name"] in self.half_layers:
            weights = self.graph.node("Cast", [self.graph.constant(kernel.astype(np.float16))], to=FLOAT)
        else:
            weights = self.graph.constant(kernel)
        value = self.graph.node("Gemm", [value, weights, self.graph.constant(bias)], transB=1)
        if layer["config"]["activation"] == "softmax":
            value = self.graph.node("Softmax", [value], axis=1)
        self._set(layer, value, [kernel.shape[0]])
