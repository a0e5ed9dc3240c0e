"""
Rebuilds a TensorFlow Lite network as an ONNX graph from its flatbuffer, operator by operator.

A network of floats becomes a graph of floats (weights kept as int8 are read as floats). A network of int8 becomes QDQ
with the very scales of the original. Activations and weights are uint8 there: x + 128 with zero point z + 128 is the
same number, and uint8 times uint8 is exact on every processor, while x86-64 without VNNI saturates sums of
uint8 times int8 (onnxruntime docs, "Quantize ONNX models", reduce_range).
"""

import numpy as np
from tensorflow.lite.python import schema_py_generated as schema

from .graph import FLOAT, UINT8, Graph, same_padding

_dtypes = {schema.TensorType.FLOAT32: np.float32, schema.TensorType.INT8: np.int8, schema.TensorType.INT32: np.int32}
_operators = {number: name for name, number in vars(schema.BuiltinOperator).items() if not name.startswith("_")}
_relu = schema.ActivationFunctionType.RELU


class Network:
    """The first subgraph of a .tflite file."""

    def __init__(self, path):
        with open(path, "rb") as file:
            self.model = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(file.read(), 0))
        subgraph = self.model.subgraphs[0]
        self.tensors, self.operators = subgraph.tensors, subgraph.operators
        self.input, self.output = subgraph.inputs[0], subgraph.outputs[0]

    def kind(self, operator):
        code = self.model.operatorCodes[operator.opcodeIndex]
        return _operators[max(code.builtinCode, code.deprecatedBuiltinCode)]

    def shape(self, index):
        return tuple(int(n) for n in self.tensors[index].shape)

    def constant(self, index):
        tensor = self.tensors[index]
        buffer = self.model.buffers[tensor.buffer].data
        return np.frombuffer(bytes(buffer), _dtypes[tensor.type]).reshape(tensor.shape)

    def quantization(self, index):
        """(scales, zero points), or None for a tensor of floats."""
        q = self.tensors[index].quantization
        if q is None or q.scale is None or len(q.scale) == 0:
            return None
        return np.asarray(q.scale, np.float32), np.asarray(q.zeroPoint, np.int64)

    def floats(self, index):
        """A constant as floats, whatever it is kept as. Quantized along the first axis, if so."""
        array, q = self.constant(index), self.quantization(index)
        if q is None or array.dtype == np.float32:
            return array.astype(np.float32)
        axis = self.tensors[index].quantization.quantizedDimension
        shape = [1] * array.ndim
        shape[axis] = -1
        zero_points = q[1].astype(np.float32).reshape(shape if len(q[1]) > 1 else [1] * array.ndim)
        return (array.astype(np.float32) - zero_points) * q[0].reshape(shape)


def rebuild(network, name, input_name, output_name):
    """The ONNX model: channels last at the input, probabilities at the output as floats, first axis free."""
    return _Rebuilt(network, name, input_name, output_name).model()


class _Rebuilt:
    def __init__(self, network, name, input_name, output_name):
        self.network, self.input_name, self.output_name = network, input_name, output_name
        self.graph = Graph(name)
        self.values = {}

    def model(self):
        self._begin()
        for operator in self.network.operators:
            getattr(self, "_" + self.network.kind(operator).lower())(operator, operator.builtinOptions)
        self.graph.nodes[-1].output[0] = self.output_name
        self.graph.output(self.output_name, FLOAT, ["n", *self.network.shape(self.network.output)[1:]])
        return self.graph.model()

    def _begin(self):
        index = self.network.input
        q = self.network.quantization(index)
        shape = ["n", *self.network.shape(index)[1:]]
        value = self.graph.input(self.input_name, UINT8 if q else FLOAT, shape)
        value = self.graph.node("Transpose", [value], perm=[0, 3, 1, 2])
        if q:
            scale, zero = self.graph.constant(np.float32(q[0][0])), self.graph.constant(np.uint8(q[1][0] + 128))
            value = self.graph.node("DequantizeLinear", [value, scale, zero])
        self.values[index] = value

    def _end(self, operator, value, activation=0):
        """The operator's result, as fine as the original keeps it. Rectifying is what the zero point 0 does, where it is."""
        index = operator.outputs[0]
        q = self.network.quantization(index)
        if activation not in (0, _relu):
            raise ValueError(f"activation {activation} is not known")
        if activation == _relu and (q is None or q[1][0] != -128):
            value = self.graph.node("Relu", [value])
        self.values[index] = value if q is None else self.graph.quantized(value, q[0][0], q[1][0] + 128)

    def _weights(self, operator, arrange):
        """Kernel and bias, as constants of floats or as quantized constants."""
        source, kernel, bias = operator.inputs[:3]
        q, input_q = self.network.quantization(kernel), self.network.quantization(source)
        if input_q is None:
            array = arrange(self.network.floats(kernel))
            return array, self.graph.constant(array), self.graph.constant(self.network.floats(bias))
        if np.any(q[1] != 0):
            raise ValueError("weights have a zero point")
        array = arrange(self.network.constant(kernel))
        scale, axis = (q[0], 0) if len(q[0]) > 1 else (q[0][0], None)
        weights = self.graph.dequantized((array.astype(np.int16) + 128).astype(np.uint8), scale, 128, axis)
        # The interpreter adds the bias in steps of input scale × weight scale, which is how it is kept.
        bias_scale = (np.float32(input_q[0][0]) * q[0]).astype(np.float32)
        bias_scale = bias_scale if axis == 0 else bias_scale[0]
        return array, weights, self.graph.dequantized(self.network.constant(bias), bias_scale, 0, axis)

    def _convolution(self, operator, options, arrange, group):
        array, weights, bias = self._weights(operator, arrange)
        strides, kernel = [options.strideH, options.strideW], array.shape[2:]
        sizes = self.network.shape(operator.inputs[0])[1:3]
        pads = [(0, 0), (0, 0)]
        if options.padding == schema.Padding.SAME:
            pads = [same_padding(n, k, s) for n, k, s in zip(sizes, kernel, strides)]
        value = self.graph.node(
            "Conv", [self.values[operator.inputs[0]], weights, bias], kernel_shape=list(kernel), strides=strides,
            group=group, pads=[pads[0][0], pads[1][0], pads[0][1], pads[1][1]],
        )
        self._end(operator, value, options.fusedActivationFunction)

    def _conv_2d(self, operator, options):
        self._convolution(operator, options, lambda kernel: kernel.transpose(0, 3, 1, 2), 1)

    def _depthwise_conv_2d(self, operator, options):
        channels = self.network.shape(operator.inputs[1])[3]
        self._convolution(operator, options, lambda kernel: kernel.transpose(3, 0, 1, 2), channels)

    def _average_pool_2d(self, operator, options):
        source = operator.inputs[0]
        if (options.filterHeight, options.filterWidth) != self.network.shape(source)[1:3]:
            raise ValueError("pools a part of the image")
        self._end(operator, self.graph.node("GlobalAveragePool", [self.values[source]]))

    def _reshape(self, operator, _):
        self.values[operator.outputs[0]] = self.graph.node("Flatten", [self.values[operator.inputs[0]]])

    def _fully_connected(self, operator, options):
        _, weights, bias = self._weights(operator, lambda kernel: kernel)
        value = self.graph.node("Gemm", [self.values[operator.inputs[0]], weights, bias], transB=1)
        self._end(operator, value, options.fusedActivationFunction)

    def _softmax(self, operator, _):
        # Of floats: the original's last rounding, of a probability to 1/256, is left out.
        self.values[operator.outputs[0]] = self.graph.node("Softmax", [self.values[operator.inputs[0]]], axis=1)
