"""Runs the original networks: Keras' own layers, the TensorFlow Lite interpreter."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf
from tensorflow.lite.python import schema_py_generated as schema


class _DepthwiseConv2D(keras.layers.DepthwiseConv2D):
    """Files of Keras 2 name an option that Keras 3 does not know; its only value was 1."""

    def __init__(self, groups=1, **options):
        super().__init__(**options)


def keras_outputs(path, inputs):
    model = keras.models.load_model(path, compile=False, custom_objects={"DepthwiseConv2D": _DepthwiseConv2D})
    return model.predict(inputs, verbose=0)


def tflite_outputs(path, inputs, widened=False):
    """
    Outputs as the interpreter gives them, integers included. `widened`: of the same network with its int8 weights stored
    as floats: what it computes without the rounding of activations that the interpreter does for such weights.
    """
    content = _widened(path) if widened else open(path, "rb").read()
    interpreter = tf.lite.Interpreter(model_content=content)
    source, target = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]
    interpreter.resize_tensor_input(source, [1, *inputs.shape[1:]])
    interpreter.allocate_tensors()
    outputs = []
    for one in inputs:
        interpreter.set_tensor(source, one[None])
        interpreter.invoke()
        outputs.append(interpreter.get_tensor(target)[0].copy())
    return np.stack(outputs)


def _widened(path):
    import flatbuffers

    from .from_tflite import Network

    network = Network(path)
    for index, tensor in enumerate(network.tensors):
        if tensor.type == schema.TensorType.INT8:
            floats = np.ascontiguousarray(network.floats(index))
            tensor.type, tensor.quantization = schema.TensorType.FLOAT32, None
            network.model.buffers[tensor.buffer].data = np.frombuffer(floats.tobytes(), np.uint8)
    builder = flatbuffers.Builder(1 << 20)
    builder.Finish(network.model.Pack(builder), b"TFL3")
    return bytes(builder.Output())
