"""
Rebuilds the four networks of MLPerf Tiny as ONNX files, float and int8, and proves each equal to its original.

    python scripts/models/rebuild-mlperf-tiny.py ORIGINALS VOICES OUT GOLDEN

ORIGINALS holds vww_96.h5, vww_96_int8.tflite, resnet8-cifar10.h5, ad01.h5, kws_float32.tflite (mlcommons/tiny);
VOICES holds WAV files of speech; the ONNX files go to OUT, inputs and outputs of the originals to GOLDEN. Prints a table
and ends with 1 when a file is further from its original than the tolerance stated here, or larger than 1 MiB.
"""

import argparse
import os
import pathlib
import sys

from networks import from_keras, from_tflite, golden, inputs, original, quantization
from networks.compare import compared
import numpy as np
import onnx
import onnxruntime

COUNT = 256
BYTES_MAX = 1 << 20
CIFAR = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
KEYWORDS = ["down", "go", "left", "no", "off", "on", "right", "stop", "up", "yes", "silence", "unknown"]

failures = []


def outputs_of(model, values):
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: values})[0]


def check(name, against, reference, other, error_max, agreement_min=None, mean_max=None):
    """One row of the table. `agreement_min`: of the largest output, where outputs are scores."""
    row = compared(reference, other)
    good = row["maxError"] <= error_max and (mean_max is None or row["meanError"] <= mean_max)
    good = good and (agreement_min is None or row["agreement"] >= agreement_min)
    if not good:
        failures.append(f"{name} against {against}")
    agreement = "" if agreement_min is None else f"{row['agreement']:.2%}"
    limits = f"max ≤ {error_max:g}" + (f", mean ≤ {mean_max:g}" if mean_max else "")
    limits += "" if agreement_min is None else f", same class ≥ {agreement_min:.0%}"
    cells = [name, against, row["inputs"], f"{row['maxError']:.2e}", f"{row['meanError']:.2e}", f"{row['sqnrDb']:.1f}", agreement, limits]
    print("| " + " | ".join(map(str, [*cells, "" if good else "FAILS"])) + " |")


def save(model, name, description):
    model.doc_string = description
    content = model.SerializeToString()
    if len(content) > BYTES_MAX:
        failures.append(f"{name} has {len(content)} bytes")
    (arguments.out / name).write_bytes(content)


def keep(name, source, datum, **tensors):
    content = [golden.tensor(key, array) for key, array in tensors.items()]
    golden.write(arguments.golden / f"{name}.json", source=source, inputsFrom=datum, tensors=content)


def people():
    images = inputs.crops(COUNT, 96, seed=1)
    floats = images.astype(np.float32) / 255
    network = from_keras.read_network(arguments.originals / "vww_96.h5")
    model = from_keras.rebuild(network, "vww-96", "image", "probabilities")
    save(model, "vww-96.onnx", "MLPerf Tiny visual wake words. image: RGB / 255, channels last. probabilities: no person, person.")
    reference = original.keras_outputs(arguments.originals / "vww_96.h5", floats)
    check("vww-96.onnx", "Keras", reference, outputs_of(model, floats), 1e-5, 1)

    path = str(arguments.originals / "vww_96_int8.tflite")
    model = from_tflite.rebuild(from_tflite.Network(path), "vww-96-int8", "image", "probabilities")
    save(model, "vww-96-int8.onnx", "MLPerf Tiny visual wake words, int8. image: RGB bytes, channels last. probabilities: no person, person.")
    signed = (images.astype(np.int16) - 128).astype(np.int8)
    reference8 = (original.tflite_outputs(path, signed).astype(np.float32) + 128) / 256
    ours = outputs_of(model, images)
    # Half a step is the rounding of a probability to 1/256, which ours leaves out; one more may differ in a layer.
    check("vww-96-int8.onnx", "int8 TFLite", reference8, ours, 1.5 / 256, 0.99)
    check("vww-96-int8.onnx", "Keras (float)", reference, ours, 0.15, 0.98, 0.03)

    free = inputs.crops(8, 96, seed=1, free_only=True)
    exact = (original.tflite_outputs(path, (free.astype(np.int16) - 128).astype(np.int8)).astype(np.int16) + 128).astype(np.uint8)
    keep("vww-96", "vww_96.h5 in Keras, vww_96_int8.tflite in the TFLite interpreter (step 1/256)", "scikit-image photographs",
         image=free, float=original.keras_outputs(arguments.originals / "vww_96.h5", free.astype(np.float32) / 255), int8=exact)


def images():
    path = arguments.originals / "resnet8-cifar10.h5"
    pieces, calibration = inputs.crops(COUNT, 32, seed=2), inputs.crops(COUNT, 32, seed=12)
    floats = pieces.astype(np.float32)
    model = from_keras.rebuild(from_keras.read_network(path), "resnet8", "image", "probabilities")
    save(model, "resnet8.onnx", "MLPerf Tiny image classification. image: RGB 0 to 255, channels last. probabilities: " + ", ".join(CIFAR))
    reference = original.keras_outputs(path, floats)
    check("resnet8.onnx", "Keras", reference, outputs_of(model, floats), 1e-5, 1)
    feeds = [{"image": one[None].astype(np.float32)} for one in calibration]
    int8 = quantization.static_qdq(model, feeds, byte_input=("image", 1))
    quantization.require_quantized(int8, "static", 1)
    save(int8, "resnet8-int8.onnx", "MLPerf Tiny image classification, int8. image: RGB bytes, channels last. probabilities: " + ", ".join(CIFAR))
    ours = outputs_of(int8, pieces)
    check("resnet8-int8.onnx", "Keras", reference, ours, 0.3, 0.9, 0.02)
    # Pieces of photographs are seldom of its ten classes: where the original itself hardly decides, rounding may.
    ranked = np.sort(reference, axis=1)
    decided = ranked[:, -1] - ranked[:, -2] > 0.3
    check("resnet8-int8.onnx: decided", "Keras", reference[decided], ours[decided], 0.3, 0.99)
    free = inputs.crops(16, 32, seed=2, free_only=True)
    keep("resnet8", "resnet8-cifar10.h5 in Keras", "scikit-image photographs", image=free,
         float=original.keras_outputs(path, free.astype(np.float32)))


def machine_sound():
    path = arguments.originals / "ad01.h5"
    sounds, calibration = inputs.machine_sounds(COUNT, seed=3), inputs.machine_sounds(8 * COUNT, seed=13)
    layers = from_keras.read_network(path)
    # The last layer in half precision: in full the file would be over 1 MiB by 2 %.
    model = from_keras.rebuild(layers, "ad01", "features", "reconstruction", half_layers=("dense_9",))
    save(model, "ad01.onnx", "MLPerf Tiny anomaly detection. features: five frames of 128 log-mel bands. reconstruction: the same.")
    reference = original.keras_outputs(path, sounds)
    ours = outputs_of(model, sounds)
    check("ad01.onnx", "Keras", reference, ours, 0.05, mean_max=0.005)
    scores = lambda outputs: np.mean((outputs - sounds) ** 2, axis=1, keepdims=True)
    check("ad01.onnx: score", "Keras", np.log(scores(reference)), np.log(scores(ours)), 1e-3)
    whole = from_keras.rebuild(layers, "ad01", "features", "reconstruction")
    int8 = quantization.static_qdq(whole, [{"features": one[None]} for one in calibration])
    quantization.require_quantized(int8, "static", 1)
    save(int8, "ad01-int8.onnx", "MLPerf Tiny anomaly detection, int8. features: five frames of 128 log-mel bands. reconstruction: the same.")
    ours = outputs_of(int8, sounds)
    check("ad01-int8.onnx", "Keras", reference, ours, 15, mean_max=1)
    check("ad01-int8.onnx: score", "Keras", np.log(scores(reference)), np.log(scores(ours)), 0.25, mean_max=0.05)
    keep("ad01", "ad01.h5 in Keras", "made machine sounds", features=sounds[:12], float=reference[:12])


def keywords():
    path = str(arguments.originals / "kws_float32.tflite")
    seconds, calibration = (inputs.spoken_seconds(arguments.voices, COUNT, seed) for seed in (4, 14))
    model = from_tflite.rebuild(from_tflite.Network(path), "kws", "features", "probabilities")
    save(model, "kws.onnx", "MLPerf Tiny keyword spotting. features: 49 frames of 10 MFCC. probabilities: " + ", ".join(KEYWORDS))
    exact = original.tflite_outputs(path, seconds, widened=True)
    ours = outputs_of(model, seconds)
    check("kws.onnx", "TFLite, weights as floats", exact, ours, 1e-5, 1)
    # The interpreter rounds activations to int8 before int8 weights, in a way that depends on its kernels.
    check("kws.onnx", "TFLite", original.tflite_outputs(path, seconds), ours, 0.1, 0.98, 0.005)
    int8 = quantization.static_qdq(model, [{"features": one[None]} for one in calibration])
    quantization.require_quantized(int8, "static", 1)
    save(int8, "kws-int8.onnx", "MLPerf Tiny keyword spotting, int8. features: 49 frames of 10 MFCC. probabilities: " + ", ".join(KEYWORDS))
    check("kws-int8.onnx", "TFLite, weights as floats", exact, outputs_of(int8, seconds), 0.3, 0.93, 0.02)
    keep("kws", "kws_float32.tflite in the TFLite interpreter: as it is, and with its weights stored as floats", "recordings of voice/",
         features=seconds[:16], float=exact[:16], interpreter=original.tflite_outputs(path, seconds[:16]))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0].strip())
    for name in ("originals", "voices", "out", "golden"):
        parser.add_argument(name, type=pathlib.Path)
    arguments = parser.parse_args()
    for folder in (arguments.out, arguments.golden):
        os.makedirs(folder, exist_ok=True)
    print("| file | against | inputs | max error | mean error | SQNR dB | same class | tolerance | |\n|---|---|---|---|---|---|---|---|---|")
    for network in (people, images, machine_sound, keywords):
        network()
    if failures:
        sys.exit("beyond tolerance: " + "; ".join(failures))
