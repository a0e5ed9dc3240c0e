"""
Cuts an ONNX model in two wherever one tensor carries everything from the inputs to the outputs, measures both sides of each
cut, and writes the halves of the cuts that can ever be best.

    python scripts/models/split.py MODEL.onnx SAMPLES OUT_FOLDER [--link uint8] [--write 4]

SAMPLES as for quantize.py. Writes NAME.cuts.json and, of the cuts chosen, NAME.head-K.onnx and NAME.tail-K.onnx; and in
OUT_FOLDER/models a folder for each model as `ganglion models add` and a gateway's `folders` take them: NAME, whole, whose
model.yaml says where it may be cut, NAME.head-K and NAME.tail-K. The JSON:

    {model, inputs: [{name, bytes}], input: {bytes}, output: {bytes}, wholeMs, threads, machine,
     cuts: [{tensor, datatype, shape, bytes, headMs, tailMs, maxError, head, tail}],       the cuts written
     candidates: [{tensor, datatype, shape, bytes, uint8Bytes, headMs, tailMs}]}           every place to cut

Shapes and bytes are of the first sample; times are medians on this machine with one thread, in milliseconds: proportions are what counts. With a
slow device, a fast gateway and a link in between, only a cut that moves less than the inputs and every cut before it can be
best (Kang et al., "Neurosurgeon", ASPLOS 2017). Those are written that have a twentieth of the time or more on each side, at
most as many as --write, spread evenly.
"""

import argparse
import json
import os
import pathlib
import platform
import re
import sys
import time

import numpy as np
import onnx
import onnxruntime

from networks import accuracy, samples
from networks.cutting import Graph
from networks.quantization import upgraded

_datatypes = {"float32": "FP32", "uint8": "UINT8", "int8": "INT8", "int32": "INT32", "int64": "INT64"}


def read_options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("samples")
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--link", choices=["same", "uint8"], default="same", help="uint8: floats cross in a quarter of the bytes")
    parser.add_argument("--write", type=int, default=4, help="cuts written at most")
    parser.add_argument("--runs", type=int, default=30, help="timed runs of each side")
    parser.add_argument("--error-max", type=float, help="largest difference from the whole: 1e-5, with --link uint8 0.05")
    return parser.parse_args()


class Sides:
    """Both sides of a cut, ready to run."""

    def __init__(self, head, tail):
        self.models = head, tail
        self.head, self.tail = accuracy.session_of(head), accuracy.session_of(tail)
        self.link = self.head.get_outputs()[0].name

    def run(self, feed):
        """(outputs, milliseconds in the head, in the tail)."""
        start = time.perf_counter()
        between = self.head.run(None, feed)
        middle = time.perf_counter()
        outputs = self.tail.run(None, {self.link: between[0]})
        return outputs, (middle - start) * 1e3, (time.perf_counter() - middle) * 1e3


def measured(sides, whole, feeds, runs):
    """Medians of (head, tail) per cut and of the whole, milliseconds. All take turns."""
    times, wholes = [[] for _ in sides], []
    for i in range(-2, runs):
        feed = feeds[i % len(feeds)]
        start = time.perf_counter()
        whole.run(None, feed)
        wholes.append((time.perf_counter() - start) * 1e3)
        for at in range(len(sides)) if i % 2 else reversed(range(len(sides))):
            _, head, tail = sides[at].run(feed)
            if i >= 0:
                times[at].append((head, tail))
    return [tuple(np.median(one, axis=0)) for one in times], float(np.median(wholes[2:]))


def worth_writing(graph, cuts, input_bytes, most):
    """The cuts that can be best; at most `most`, spread evenly, the first and the last among them."""
    least, front = input_bytes, []
    for cut in cuts:
        smaller = min(cut["headMs"], cut["tailMs"]) / (cut["headMs"] + cut["tailMs"])
        if cut["bytes"] < least and smaller >= 0.05:
            least = cut["bytes"]
            front.append(cut)
        elif front and cut["bytes"] == least and graph.producers[cut["tensor"]].input[0] == front[-1]["tensor"]:
            # The same size after a rectifier: half the range to quantize, and zeros that compress.
            if graph.producers[cut["tensor"]].op_type in ("Relu", "Clip"):
                front[-1] = cut
    picks = np.linspace(0, len(front) - 1, min(most, len(front))).round().astype(int)
    return [front[at] for at in picks]


def link_scale(session, feeds, name):
    """Scale and zero point for uint8 of what crosses at `name`: its least and greatest value over the samples."""
    values = [session.run([name], feed)[0] for feed in feeds]
    low, high = min(0.0, float(min(v.min() for v in values))), float(max(0.0, max(v.max() for v in values)))
    scale = max(high - low, 1e-9) / 255
    return scale, int(round(-low / scale))


def name_of(stem):
    """As a manifest takes it, with room for what names its halves."""
    return re.sub(r"[^a-z0-9.]+", "-", stem.lower()).strip("-.")[:54] or "model"


def write_folder(folder, model, lines):
    """A folder as `ganglion models add` takes it. JSON is YAML: so are strings and cuts written."""
    os.makedirs(folder, exist_ok=True)
    onnx.save(model, folder / "model.onnx")
    (folder / "model.yaml").write_text("\n".join([f"name: {folder.name}", "file: model.onnx", *lines, ""]))


def write_models(out, name, whole, halves, cuts):
    """The whole with its cuts, and both halves of each; what an earlier run left under these names is replaced."""
    said = []
    for at, (cut, pair) in enumerate(zip(cuts, halves), 1):
        names = {"head": f"{name}.head-{at}", "tail": f"{name}.tail-{at}"}
        for side, part in zip(names, pair):
            about = f"{name}, {'up to' if side == 'head' else 'from'} {cut['tensor']}"
            write_folder(out / names[side], part, [f"description: {json.dumps(about[:500])}"])
        said.append({**{key: cut[key] for key in ("tensor", "bytes", "headMs", "tailMs")}, **names})
    write_folder(out / name, whole, ["split:", "  cuts:", *(f"    - {json.dumps(one)}" for one in said)] if said else [])


def main(options):
    original = model = onnx.load(options.model)
    if options.link == "uint8":
        model = upgraded(model)
    graph = Graph(model)
    whole = accuracy.session_of(model)
    feeds, _ = samples.read(options.samples)
    samples.require_inputs(feeds, whole, options.samples)
    names = graph.cuts()
    if not names:
        raise ValueError(f"{options.model}: no tensor carries everything from the inputs to the outputs")
    print(f"{len(names)} places to cut")
    sides = []
    for name in names:
        head, tail = graph.split(name)
        scale = None
        if options.link == "uint8" and graph.element_type(name) == onnx.TensorProto.FLOAT:
            scale = link_scale(accuracy.session_of(head), feeds, name)
            head, tail = graph.split(name, scale)
        sides.append(Sides(head, tail))
    times, whole_ms = measured(sides, whole, feeds, options.runs)
    candidates = []
    for name, one, (head_ms, tail_ms) in zip(names, sides, times):
        between = one.head.run(None, feeds[0])[0]
        candidates.append({
            "tensor": name, "datatype": _datatypes[between.dtype.name], "shape": list(between.shape),
            "bytes": between.nbytes, "uint8Bytes": between.size,
            "headMs": round(float(head_ms), 4), "tailMs": round(float(tail_ms), 4),
        })
    inputs = [{"name": name, "bytes": feeds[0][name].nbytes} for name in feeds[0]]
    input_bytes = sum(one["bytes"] for one in inputs)
    chosen = worth_writing(graph, candidates, input_bytes, options.write)
    limit = options.error_max if options.error_max is not None else (0.05 if options.link == "uint8" else 1e-5)
    stem = options.model.stem
    os.makedirs(options.out, exist_ok=True)
    cuts, halves = [], []
    for at, cut in enumerate(chosen):
        pair = sides[names.index(cut["tensor"])]
        error = max(np.abs(a - b).max() for feed in feeds[:50] for a, b in zip(whole.run(None, feed), pair.run(feed)[0]))
        if error > limit:
            print(f"{cut['tensor']}: left out, its outputs differ by {error:.1e}, more than {limit:g}")
            continue
        files = f"{stem}.head-{at + 1}.onnx", f"{stem}.tail-{at + 1}.onnx"
        for part, file in zip(pair.models, files):
            onnx.save(part, options.out / file)
        halves.append(pair.models)
        cuts.append({**cut, "maxError": float(error), "head": files[0], "tail": files[1]})
        print(f"{cut['tensor']}: {cut['bytes']} bytes, {cut['headMs']:.3f} + {cut['tailMs']:.3f} ms, differs by {error:.1e}")
    content = {
        "model": options.model.name, "inputs": inputs, "input": {"bytes": input_bytes},
        "output": {"bytes": sum(one.nbytes for one in whole.run(None, feeds[0]))},
        "wholeMs": round(whole_ms, 4), "threads": 1, "machine": f"{platform.machine()}, onnxruntime {onnxruntime.__version__}",
        "cuts": cuts, "candidates": candidates,
    }
    with open(options.out / f"{stem}.cuts.json", "w") as file:
        json.dump(content, file, indent=1)
        file.write("\n")
    write_models(options.out / "models", name_of(stem), original, halves, cuts)


if __name__ == "__main__":
    try:
        main(read_options())
    except (ValueError, OSError) as error:
        sys.exit(f"split: {error}")
