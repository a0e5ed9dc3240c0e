"""
Cuts an ONNX graph in two at one tensor. A tensor is a place to cut when every path from an input to an output goes through
it: it dominates the outputs. What depends on no input (constants that nodes compute) may be needed on both sides.
"""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

LINK = "link"
# What the inference envelope carries, but for strings.
_types = {TensorProto.FLOAT, TensorProto.UINT8, TensorProto.INT8, TensorProto.INT32, TensorProto.INT64}


class Graph:
    """A model to cut. Only tensors of known rank are places: the halves have to declare them."""

    def __init__(self, model):
        self.model = onnx.shape_inference.infer_shapes(model)
        graph = self.model.graph
        self.constants = {constant.name for constant in graph.initializer}
        self.inputs = [value for value in graph.input if value.name not in self.constants]
        self.outputs = list(graph.output)
        self.producers = {name: node for node in graph.node for name in node.output}
        self.values = {value.name: value for value in [*graph.value_info, *graph.input, *graph.output]}

    def cuts(self):
        """Names of the tensors where the graph can be cut, in the order in which they are computed."""
        inputs, outputs = {value.name for value in self.inputs}, {value.name for value in self.outputs}
        names = [name for node in self.model.graph.node for name in node.output]
        return [
            name for name in names
            if name not in outputs and self._declared(name)
            and not inputs & self._leaves(outputs, name) and inputs & self._leaves({name})
        ]

    def element_type(self, name):
        return self.values[name].type.tensor_type.elem_type

    def split(self, name, scale=None):
        """
        (head, tail) at tensor `name`. `scale` = (scale, zero point): the tensor crosses as uint8, quantized at the end of
        the head and back at the start of the tail.
        """
        value = self.values[name]
        head = self._part(self._needed({name}), self.inputs, [value])
        tail = self._part(self._needed({one.name for one in self.outputs}, name), [value], self.outputs)
        if scale:
            _quantize_link(head, tail, name, *scale)
        for model in (head, tail):
            onnx.checker.check_model(model)
        return head, tail

    def _declared(self, name):
        value = self.values.get(name)
        return value is not None and value.type.tensor_type.HasField("shape") and self.element_type(name) in _types

    def _needed(self, targets, stop=None):
        """Outputs of the nodes that compute `targets`, not going back beyond `stop`."""
        seen, todo = set(), [name for name in targets if name != stop]
        while todo:
            name = todo.pop()
            node = self.producers.get(name)
            if node is None or name in seen:
                continue
            seen.update(node.output)
            todo.extend(one for one in node.input if one and one != stop and one not in seen)
        return seen

    def _leaves(self, targets, stop=None):
        """What `targets` go back to and no node computes: inputs, constants."""
        needed = self._needed(targets, stop)
        read = {one for name in needed for one in self.producers[name].input}
        return {name for name in read | set(targets) if name not in self.producers and name != stop}

    def _part(self, outputs_of_nodes, inputs, outputs):
        source = self.model.graph
        nodes = [node for node in source.node if node.output[0] in outputs_of_nodes]
        read = {name for node in nodes for name in node.input}
        constants = [constant for constant in source.initializer if constant.name in read]
        graph = helper.make_graph(nodes, source.name, inputs, outputs, constants)
        model = helper.make_model(graph, opset_imports=self.model.opset_import, ir_version=max(self.model.ir_version, 4))
        model.producer_name = "ganglion scripts/models"
        return model


def _quantize_link(head, tail, name, scale, zero_point):
    shape = [axis.dim_param or axis.dim_value for axis in head.graph.output[0].type.tensor_type.shape.dim]
    for model, operator, ends in ((head, "QuantizeLinear", (name, LINK)), (tail, "DequantizeLinear", (LINK, name))):
        constants = np.float32(scale), np.uint8(zero_point)
        names = [f"{LINK}/scale", f"{LINK}/zero"]
        model.graph.initializer.extend(numpy_helper.from_array(np.array(c), n) for c, n in zip(constants, names))
        node = helper.make_node(operator, [ends[0], *names], [ends[1]], name=f"{LINK}/{operator}")
        model.graph.node.insert(len(model.graph.node) if model is head else 0, node)
        side = model.graph.output if model is head else model.graph.input
        del side[:]
        side.append(helper.make_tensor_value_info(LINK, TensorProto.UINT8, shape))
