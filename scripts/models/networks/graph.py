"""Builds an ONNX graph node by node: named values, constants, TensorFlow's padding, quantized values."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 17
IR_VERSION = 8


def same_padding(size, kernel, stride):
    """TensorFlow's SAME along one axis: (before, after); the odd pixel goes after (tf.nn docs, "Same padding")."""
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


class Graph:
    """A graph under construction. Methods append a node and return the name of its output."""

    def __init__(self, name):
        self.name = name
        self.nodes, self.constants, self.inputs, self.outputs = [], [], [], []
        self._count = 0

    def input(self, name, element_type, shape):
        self.inputs.append(helper.make_tensor_value_info(name, element_type, shape))
        return name

    def output(self, name, element_type, shape):
        self.outputs.append(helper.make_tensor_value_info(name, element_type, shape))
        return name

    def constant(self, array, name=None):
        name = name or self._fresh("c")
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def node(self, op, inputs, output=None, domain="", **attributes):
        output = output or self._fresh(op.lower())
        self.nodes.append(helper.make_node(op, inputs, [output], name=output + "/" + op, domain=domain, **attributes))
        return output

    def quantized(self, value, scale, zero_point):
        """`value` (float) through QuantizeLinear and DequantizeLinear: it takes the values of uint8 only."""
        s, z = self.constant(np.float32(scale)), self.constant(np.uint8(zero_point))
        return self.node("DequantizeLinear", [self.node("QuantizeLinear", [value, s, z]), s, z])

    def dequantized(self, array, scale, zero_point, axis=None):
        """A constant of integers, read as floats: DequantizeLinear."""
        scale = np.asarray(scale, np.float32)
        inputs = [self.constant(array), self.constant(scale)]
        inputs.append(self.constant(np.full(scale.shape, zero_point, array.dtype)))
        return self.node("DequantizeLinear", inputs, **({} if axis is None else {"axis": axis}))

    def model(self):
        graph = helper.make_graph(self.nodes, self.name, self.inputs, self.outputs, self.constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
        model.producer_name = "ganglion scripts/models"
        onnx.checker.check_model(model, full_check=True)
        return model

    def _fresh(self, stem):
        self._count += 1
        return f"{stem}{self._count}"


FLOAT, UINT8 = TensorProto.FLOAT, TensorProto.UINT8
