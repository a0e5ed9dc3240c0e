"""
Quantizes an ONNX model and says what that cost: int8 with fixed scales (static, QDQ), int8 with scales measured in each run
(dynamic), or 4-bit weights (int4, MatMulNBits).

    python scripts/models/quantize.py static  MODEL.onnx SAMPLES OUT.onnx [options]
    python scripts/models/quantize.py dynamic MODEL.onnx SAMPLES OUT.onnx
    python scripts/models/quantize.py int4    MODEL.onnx SAMPLES OUT.onnx [--block 32]

SAMPLES: an .npz file with an array per input and perhaps `labels`, or a folder of .npz files, one run each. `static` calibrates
with three quarters of them and is compared on the rest. The accuracy report goes beside OUT: OUT.report.md and .json.
Ends with 1, writing nothing, when nodes with weights stayed as they were, or no integer kernel would run, or the quantized
outputs are noisier than --sqnr-min allows.
"""

import argparse
import os
import pathlib
import sys

import onnx

from networks import accuracy, quantization, samples


def read_options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mode", choices=["static", "dynamic", "int4"])
    parser.add_argument("model")
    parser.add_argument("samples")
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--method", choices=quantization.METHODS, default="minmax", help="static: how ranges are chosen")
    parser.add_argument("--per-tensor", action="store_true", help="one scale a weight, not one a channel")
    parser.add_argument("--types", choices=quantization.TYPES, default="u8u8", help="static: of activations and weights")
    parser.add_argument("--byte-input", metavar="NAME=SCALE", help="static: this input becomes UINT8; value = byte × SCALE")
    parser.add_argument("--block", type=int, default=32, choices=[16, 32, 64, 128], help="int4: weights that share a scale")
    parser.add_argument("--symmetric", action="store_true", help="int4: no zero points")
    parser.add_argument("--share-min", type=float, default=0.5, help="share of nodes with weights that must be quantized")
    parser.add_argument("--sqnr-min", type=float, default=10, help="least signal to quantization noise of every output, dB")
    parser.add_argument("--runs", type=int, default=50, help="timed runs")
    return parser.parse_args()


def quantized(options, model, calibration, byte_input):
    if options.mode == "static":
        return quantization.static_qdq(
            model, calibration, per_channel=not options.per_tensor, method=options.method, types=options.types, byte_input=byte_input
        )
    if options.mode == "dynamic":
        return quantization.dynamic(model, per_channel=not options.per_tensor)
    return quantization.int4(model, options.block, options.symmetric)


def settings(options, calibration):
    if options.mode == "static":
        channels = "tensor" if options.per_tensor else "channel"
        return f"Activations and weights {options.types}, a scale per {channels}, {options.method} over {len(calibration)} samples"
    if options.mode == "dynamic":
        return f"Weights uint8, a scale per {'tensor' if options.per_tensor else 'channel'}; activations in each run"
    return f"Weights 4 bits in blocks of {options.block}, {'' if options.symmetric else 'a'}symmetric, accuracy level 4"


def main(options):
    byte_input = None
    if options.byte_input:
        name, _, scale = options.byte_input.partition("=")
        byte_input = name, float(scale)
    feeds, labels = samples.read(options.samples)
    model = quantization.prepared(options.model)
    samples.require_inputs(feeds, accuracy.session_of(options.model), options.samples)
    kept = 0 if options.mode != "static" else max(1, len(feeds) * 3 // 4)
    if options.mode == "static" and len(feeds) < 4:
        raise ValueError(f"{options.samples}: {len(feeds)} samples; static needs four or more")
    result = quantized(options, model, feeds[:kept], byte_input)
    nodes = quantization.require_quantized(result, options.mode, options.share_min)
    nodes["asRun"] = accuracy.as_run(result)
    if not nodes["asRun"]:
        raise quantization.NothingQuantized("onnxruntime would run no integer kernel: it fuses none of these pairs")
    report = {"model": os.path.basename(options.model), "mode": options.mode, "settings": settings(options, feeds[:kept]), "nodes": nodes}
    report |= accuracy.measure(options.model, result, feeds[kept:], None if labels is None else labels[kept:], options.runs, byte_input)
    print(accuracy.markdown(report))
    noisy = [f"{name}: {row['sqnrDb']:.1f} dB" for name, row in report["outputs"].items() if row["sqnrDb"] < options.sqnr_min]
    if noisy:
        raise ValueError(f"noisier than {options.sqnr_min} dB: {', '.join(noisy)}")
    onnx.save(result, options.out)
    accuracy.write(report, f"{options.out}.report")


if __name__ == "__main__":
    try:
        main(read_options())
    except (quantization.NothingQuantized, ValueError, OSError) as error:
        sys.exit(f"quantize: {error}")
