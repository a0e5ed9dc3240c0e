"""What quantizing a model cost and gained: outputs, accuracy with labels, size, time; as JSON and as Markdown."""

import json
import os
import platform
import tempfile
import time

import numpy as np
import onnx
import onnxruntime

from .compare import compared
from .quantization import census


def session_of(model, threads=1, optimized_path=None):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    if optimized_path:
        options.optimized_model_filepath = optimized_path
    source = model if isinstance(model, (str, bytes)) else model.SerializeToString()
    return onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])


def as_run(model):
    """The census of the graph as onnxruntime optimizes it here: which integer kernels will really run."""
    with tempfile.TemporaryDirectory() as folder:
        target = os.path.join(folder, "optimized.onnx")
        session_of(model, optimized_path=target)
        return census(onnx.load(target))["quantized"]


def measure(original, quantized, feeds, labels=None, runs=50, byte_input=None):
    """
    The report's numbers. `original`: a path or model; both run on `feeds` with one thread. `byte_input` = (name, scale):
    the quantized model takes bytes there, where the original takes the bytes times `scale`.
    """
    sessions = session_of(original), session_of(quantized)
    fed = feeds, [_as_bytes(feed, byte_input) for feed in feeds]
    names = [value.name for value in sessions[0].get_outputs()]
    answers = [[session.run(names, feed) for feed in these] for session, these in zip(sessions, fed)]
    outputs = {}
    for at, name in enumerate(names):
        a, b = ([np.asarray(answer[at]) for answer in side] for side in answers)
        if a[0].dtype.kind != "f":
            continue
        outputs[name] = _compared(a, b)
    report = {"inputs": len(feeds), "outputs": outputs}
    if labels is not None:
        report["accuracy"] = {
            side: float(np.mean(np.concatenate([np.argmax(answer[0].reshape(-1, answer[0].shape[-1]), 1) for answer in given]) == labels))
            for side, given in zip(("original", "quantized"), answers)
        }
    report["bytes"] = {"original": _size(original), "quantized": quantized.ByteSize()}
    report["latency"] = _latency(sessions, fed, names, runs)
    report["machine"] = {"processor": platform.machine(), "onnxruntime": onnxruntime.__version__, "threads": 1}
    return report


def _compared(a, b):
    """Row by row along the last axis, where outputs have one of the same length."""
    if len({x.shape[-1:] for x in a}) == 1 and a[0].ndim > 1:
        rows = [np.concatenate([x.reshape(-1, x.shape[-1]) for x in side]) for side in (a, b)]
    else:
        rows = [np.concatenate([x.ravel() for x in side])[None] for side in (a, b)]
    return compared(*rows)


def _as_bytes(feed, byte_input):
    if not byte_input:
        return feed
    name, scale = byte_input
    return {**feed, name: np.clip(np.rint(feed[name] / scale), 0, 255).astype(np.uint8)}


def _size(model):
    """Weights beside the file count: onnx.load gathers them."""
    return (onnx.load(model) if isinstance(model, str) else model).ByteSize()


def _latency(sessions, fed, names, runs):
    """Medians of `runs` runs each, milliseconds; the two take turns and swap who goes first."""
    times = [], []
    for i in range(-3, runs):
        for side in (0, 1) if i % 2 else (1, 0):
            feed = fed[side][i % len(fed[side])]
            start = time.perf_counter()
            sessions[side].run(names, feed)
            if i >= 0:
                times[side].append((time.perf_counter() - start) * 1e3)
    first, second = (float(np.median(side)) for side in times)
    return {"originalMs": first, "quantizedMs": second, "ratio": second / first, "runs": runs}


def write(report, path):
    """`path`.json and `path`.md."""
    with open(f"{path}.json", "w") as file:
        json.dump(report, file, indent=1)
        file.write("\n")
    with open(f"{path}.md", "w") as file:
        file.write(markdown(report))


def markdown(report):
    latency, size = report["latency"], report["bytes"]
    lines = [
        f"# {report['model']}: {report['mode']}",
        "",
        f"{report['settings']}. Nodes quantized: {_counted(report['nodes']['quantized'])}; with weights left as floats: "
        f"{len(report['nodes']['left'])}. Kernels that run here: {_counted(report['nodes']['asRun'])}.",
        "",
        f"| output ({report['inputs']} inputs) | max error | mean error | SQNR dB | least cosine | same greatest |",
        "|---|---|---|---|---|---|",
    ]
    for name, row in report["outputs"].items():
        lines.append(
            f"| `{name}` | {row['maxError']:.3g} | {row['meanError']:.3g} | {row['sqnrDb']:.1f} | {row['cosineMin']:.5f} | {row['agreement']:.2%} |"
        )
    if "accuracy" in report:
        lines += ["", f"Accuracy: {report['accuracy']['original']:.2%}, quantized {report['accuracy']['quantized']:.2%}."]
    lines += [
        "",
        f"Size: {size['original']:,} bytes, quantized {size['quantized']:,} ({size['quantized'] / size['original']:.2f}). "
        f"Time of one run, one thread, median of {latency['runs']}, alternating: {latency['originalMs']:.3f} ms, quantized "
        f"{latency['quantizedMs']:.3f} ms ({latency['ratio']:.2f}). onnxruntime {report['machine']['onnxruntime']}, {report['machine']['processor']}.",
    ]
    return "\n".join(lines) + "\n"


def _counted(counts):
    return ", ".join(f"{count} {name}" for name, count in sorted(counts.items())) or "none"
