"""
Quantizes ONNX models with onnxruntime's own quantizers, and counts what became of the nodes: an exporter or quantizer
that leaves a model as it was, without a word, is an error here.

Weights and activations are uint8 unless asked otherwise: on x86-64 without VNNI, onnxruntime's kernels for
uint8 x int8 saturate (its docs, "Quantize ONNX models"), and the numbers of one file must not depend on the processor.
With VNNI, u8s8 takes a tenth to a half less time; on ARM the three were not compared.
"""

import logging
import os
import tempfile

import numpy as np
import onnx
import onnx.version_converter
import onnxruntime
from onnx import TensorProto
from onnxruntime.quantization import (
    CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_dynamic, quantize_static,
)
from onnxruntime.quantization.matmul_nbits_quantizer import DefaultWeightOnlyQuantConfig, MatMulNBitsQuantizer
from onnxruntime.quantization.onnx_model import ONNXModel

# The quantizers tell of each node they pass over, on the root logger; the census says it in one line.
logging.getLogger().setLevel(logging.ERROR)
logging.getLogger("onnxruntime.quantization").setLevel(logging.WARNING)

METHODS = {
    "minmax": CalibrationMethod.MinMax,
    "entropy": CalibrationMethod.Entropy,
    "percentile": CalibrationMethod.Percentile,
}
TYPES = {
    "u8u8": (QuantType.QUInt8, QuantType.QUInt8),
    "u8s8": (QuantType.QUInt8, QuantType.QInt8),
    "s8s8": (QuantType.QInt8, QuantType.QInt8),
}
_integer_operators = {
    "ConvInteger", "MatMulInteger", "QLinearConv", "QLinearMatMul", "QGemm", "MatMulIntegerToFloat",
    "DynamicQuantizeMatMul", "DynamicQuantizeLSTM", "MatMulNBits", "GatherBlockQuantized",
}
_weighted = {"Conv", "ConvTranspose", "MatMul", "Gemm", "LSTM", "GRU"}


class NothingQuantized(Exception):
    """The quantizer returned the model as it was, or nearly."""


class _Feeds(CalibrationDataReader):
    def __init__(self, feeds):
        self._feeds = iter(feeds)

    def get_next(self):
        return next(self._feeds, None)


def upgraded(model):
    """The model in operator set 13 or later: quantizing came with 10, a scale per channel with 13."""
    version = next(one.version for one in model.opset_import if one.domain == "")
    return model if version >= 13 else onnx.version_converter.convert_version(model, 13)


def prepared(path):
    """
    The model of a file with constants folded and batch normalisation in the layer before it, as onnxruntime does at its
    first level. Quantizers find weights only where they are initializers, and some exporters put them elsewhere.
    """
    with tempfile.TemporaryDirectory() as folder:
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
        options.optimized_model_filepath = os.path.join(folder, "p.onnx")
        options.log_severity_level = 3
        # As bytes with all weights within: what is written does not point to files beside the original.
        whole = upgraded(onnx.load(path))
        onnxruntime.InferenceSession(whole.SerializeToString(), options, providers=["CPUExecutionProvider"])
        model = onnx.load(options.optimized_model_filepath)
    # It lists its own domains whether used or not.
    used = {node.domain for node in model.graph.node}
    domains = [one for one in model.opset_import if one.domain in used]
    del model.opset_import[:]
    model.opset_import.extend(domains)
    return model


def static_qdq(model, feeds, per_channel=True, method="minmax", types="u8u8", byte_input=None):
    """
    int8 with fixed scales, as QuantizeLinear/DequantizeLinear pairs. `feeds`: dicts of inputs, one run each. `types`: of
    activations and weights, one of TYPES. `byte_input` = (name, scale): that input becomes uint8 itself, where its value
    is the byte times `scale`.
    """
    activations, weights = TYPES[types]
    options = {"WeightSymmetric": True, "ActivationSymmetric": False}
    if byte_input:
        options["TensorQuantOverrides"] = {_first_quantized(model, byte_input[0]): [{"scale": np.array(byte_input[1], np.float32), "zero_point": np.array(0, np.uint8)}]}
    with tempfile.TemporaryDirectory() as folder:
        target = os.path.join(folder, "q.onnx")
        quantize_static(
            _copy(model), target, _Feeds(feeds), quant_format=QuantFormat.QDQ, per_channel=per_channel, activation_type=activations,
            weight_type=weights, calibrate_method=METHODS[method], extra_options=options,
        )
        quantized = onnx.load(target)
    if byte_input:
        _accept_bytes(quantized, byte_input[0])
    return _plain(quantized)


def dynamic(model, per_channel=False):
    """int8 weights; scales of activations are measured in each run. For products of matrices; convolutions become slow."""
    with tempfile.TemporaryDirectory() as folder:
        target = os.path.join(folder, "q.onnx")
        quantize_dynamic(_copy(model), target, per_channel=per_channel, weight_type=QuantType.QUInt8)
        return _plain(onnx.load(target))


def int4(model, block_size=32, symmetric=False):
    """4-bit weights in blocks (MatMulNBits) for products with a constant matrix; accuracy_level 4 computes with int8."""
    wrapped = ONNXModel(_copy(model))
    wrapped.replace_gemm_with_matmul()
    config = DefaultWeightOnlyQuantConfig(block_size=block_size, is_symmetric=symmetric, accuracy_level=4)
    quantizer = MatMulNBitsQuantizer(wrapped.model, algo_config=config)
    quantizer.process()
    return _plain(quantizer.model.model)


def census(model):
    """
    {"quantized": {operator: count}, "left": [names of nodes with constant float weights]}. Of QDQ, a node counts as
    quantized when its weights come through DequantizeLinear.
    """
    producers = {output: node for node in model.graph.node for output in node.output}
    floats = {c.name for c in model.graph.initializer if c.data_type in (TensorProto.FLOAT, TensorProto.FLOAT16)}
    # A constant that another node only widens or turns is one still.
    for node in model.graph.node:
        if node.op_type in ("Cast", "Transpose", "Identity") and node.input[0] in floats:
            floats.add(node.output[0])
    quantized, left = {}, []
    for node in model.graph.node:
        if node.op_type in _integer_operators:
            quantized[node.op_type] = quantized.get(node.op_type, 0) + 1
        elif node.op_type in _weighted:
            weights = [name for name in node.input[1:2]]
            if any(name in producers and producers[name].op_type == "DequantizeLinear" for name in weights):
                key = node.op_type + " (QDQ)"
                quantized[key] = quantized.get(key, 0) + 1
            elif any(name in floats for name in weights):
                left.append(node.name or node.output[0])
    return {"quantized": quantized, "left": left}


def require_quantized(model, mode, least_share=0.5):
    """The census. Raises NothingQuantized when under `least_share` of the nodes with weights were quantized."""
    counted = census(model)
    done, left = sum(counted["quantized"].values()), len(counted["left"])
    wanted = {"int4": "MatMulNBits"}.get(mode)
    if wanted and counted["quantized"].get(wanted, 0) == 0:
        raise NothingQuantized(f"{mode}: the result holds no {wanted} node; {left} nodes kept float weights")
    if done == 0 or done / (done + left) < least_share:
        raise NothingQuantized(f"{mode}: {done} nodes quantized, {left} kept float weights: {', '.join(counted['left'][:5])}")
    return counted


def _first_quantized(model, name):
    """The tensor that the quantizer will quantize first after input `name`: it moves nothing past a Transpose."""
    readers = [node for node in model.graph.node if name in node.input]
    return readers[0].output[0] if len(readers) == 1 and readers[0].op_type == "Transpose" else name


def _accept_bytes(model, name):
    """Drops the QuantizeLinear after input `name`: the input is what it would have given."""
    graph = model.graph
    source = _first_quantized(model, name)
    first = next(node for node in graph.node if node.op_type == "QuantizeLinear" and node.input[0] == source)
    for node in graph.node:
        node.input[:] = [source if value == first.output[0] else value for value in node.input]
    graph.node.remove(first)
    value = next(value for value in graph.input if value.name == name)
    value.type.tensor_type.elem_type = TensorProto.UINT8


def _plain(model):
    """Without what the quantizer left beside the graph: shapes of inner values, traces."""
    del model.graph.value_info[:]
    del model.metadata_props[:]
    for node in model.graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    model.producer_name = "ganglion scripts/models"
    onnx.checker.check_model(model)
    return model


def _copy(model):
    """The quantizers move the weights of what they are given into a file that they delete."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    return copy
