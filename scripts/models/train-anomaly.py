"""
Trains a model that knows how one machine normally behaves, from the history that a device kept of it.

    ganglion history pump > pump.csv
    python scripts/models/train-anomaly.py pump.csv pump-anomaly --out pump-anomaly
    ganglion models add pump-anomaly

The history must be of normal operation. A dense autoencoder learns the windows of its first 50 %; the next 10 % say which
errors are usual; the last 40 %, which it has never seen, set the limit: the smallest at which false alarms stay within the
budget. Writes model.onnx (int8), model.yaml and report.md. The same history, seed and versions of packages give the same files.

Graph: `window` FP32 [1, rows, channels] -> `score` FP32 [1], `limit` FP32 [1], `channel` FP32 [channels]. Normalisation,
error and limit are inside; above the limit a window is abnormal. `channel` is each channel's reconstruction error, of its
values and of how much they vary (a stuck sensor does not), over the 99 % quantile of that error in normal operation;
`score` is the largest of them.
"""

import argparse
import csv
import datetime
import hashlib
import pathlib
import re
import sys
import tempfile

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from scipy import stats
from sklearn.neural_network import MLPRegressor

# Few numbers in the middle: they hold what moves the machine (load, its trend, warmth), and no channel on its own.
HIDDEN = (32, 4, 32)
# Normalised values beyond this are as abnormal as values can be.
CLIP = 8.0
# The same as in the device: of a window, the share of rows that a channel may miss, and where an alarm ends.
MISSING_SHARE_MAX = 0.25
CLEAR_SHARE = 0.8
CONFIDENCE = 0.95
WINDOWS_MIN = 2000


def read_history(path):
    """Times in seconds, values [rows, channels] with NaN where there was none, and the channels' names."""
    with open(path, newline="") as file:
        reader = csv.reader(file)
        header = next(reader, None)
        if not header or header[0] != "time" or len(header) < 2:
            sys.exit(f"{path}: the first line must be time and the channels, as ganglion history writes it")
        times, rows = [], []
        for number, line in enumerate(reader, start=2):
            if len(line) != len(header):
                sys.exit(f"{path}:{number}: {len(line)} columns, not {len(header)}")
            try:
                times.append(datetime.datetime.fromisoformat(line[0].replace("Z", "+00:00")).timestamp())
                rows.append([float(cell) if cell else np.nan for cell in line[1:]])
            except ValueError as error:
                sys.exit(f"{path}:{number}: {error}")
    if not rows:
        sys.exit(f"{path}: there is no row in it")
    return np.array(times), np.array(rows, dtype=np.float32), header[1:]


def require_enough(path, windows, values, channels):
    absent = np.isnan(values).mean(axis=0)
    if len(windows) < WINDOWS_MIN:
        worst = int(absent.argmax())
        why = f"; {channels[worst]} has no number in {absent[worst]:.0%} of the rows" if absent[worst] > 0 else ""
        sys.exit(f"{path}: {len(windows)} whole windows; {WINDOWS_MIN} are the least to learn from{why}")
    if (np.nanmax(values, axis=0) == np.nanmin(values, axis=0)).all():
        sys.exit(f"{path}: no channel ever changes; there is nothing to learn")


def windows_of(times, values, rows):
    """Windows without a gap in time, gaps in values filled as the device fills them; also each window's last row."""
    period = np.median(np.diff(times)) if len(times) > 1 else np.nan
    breaks = np.concatenate([[0], np.cumsum(np.diff(times) > 2 * period)])
    windows, ends = [], []
    for end in range(rows, len(values) + 1):
        start = end - rows
        if breaks[start] != breaks[end - 1]:
            continue
        window = values[start:end]
        absent = np.isnan(window)
        if absent.any():
            if (absent.mean(axis=0) > MISSING_SHARE_MAX).any():
                continue
            window = filled(window)
        windows.append(window)
        ends.append(end - 1)
    return np.stack(windows) if windows else np.empty((0, rows, values.shape[1]), np.float32), np.array(ends), period


def filled(window):
    window = window.copy()
    for channel in range(window.shape[1]):
        column = window[:, channel]
        last = column[~np.isnan(column)][0]
        for row, value in enumerate(column):
            if np.isnan(value):
                column[row] = last
            else:
                last = value
    return window


class Normalisation:
    """Of values and of the logarithm of their spread within a window, learnt on what the network is trained on."""

    def __init__(self, windows):
        flat = windows.reshape(-1, windows.shape[2])
        self.mean = flat.mean(axis=0)
        # A channel that never changes would divide by nothing: a thousandth of its size counts as a deviation.
        self.std = np.maximum(flat.std(axis=0), np.maximum(1e-3 * np.abs(self.mean), 1e-6))
        self.least = 1e-3 * self.std
        spread = self.log_spread(windows)
        self.spread_mean = spread.mean(axis=0)
        self.spread_std = np.maximum(spread.std(axis=0), 1e-2)

    def log_spread(self, windows):
        return np.log(windows.std(axis=1) + self.least)

    def apply(self, windows):
        values = np.clip((windows - self.mean) / self.std, -CLIP, CLIP).reshape(len(windows), -1)
        spread = np.clip((self.log_spread(windows) - self.spread_mean) / self.spread_std, -CLIP, CLIP)
        return np.concatenate([values, spread], axis=1).astype(np.float32)


def build(network, norm, typical, rows, channels):
    """The graph, with a limit of 1 for now."""
    constants, nodes = [], []

    def constant(name, value):
        constants.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def node(op, inputs, output, **attributes):
        nodes.append(helper.make_node(op, inputs, [output], name=output, **attributes))
        return output

    f32 = lambda value: np.asarray(value, np.float32)
    low, high = constant("low", f32(-CLIP)), constant("high", f32(CLIP))
    mean = constant("mean", f32(norm.mean))
    std = constant("std", f32(norm.std))
    centred = node("Sub", ["window", mean], "centred")
    values = node("Clip", [node("Div", [centred, std], "scaled"), low, high], "values")
    # Spread within the window: root of the mean square about the window's own mean.
    middle = node("ReduceMean", [centred], "middle", axes=[1], keepdims=1)
    square = node("Mul", [node("Sub", [centred, middle], "apart"), "apart"], "apart_squared")
    variance = node("ReduceMean", [square], "variance", axes=[1], keepdims=0)
    spread = node("Log", [node("Add", [node("Sqrt", [variance], "deviation"), constant("least", f32(norm.least))], "wide")], "spread")
    away = node("Sub", [spread, constant("spread_mean", f32(norm.spread_mean))], "spread_away")
    spread = node("Clip", [node("Div", [away, constant("spread_std", f32(norm.spread_std))], "spread_scaled"), low, high], "spreads")
    flat = node("Reshape", [values, constant("flat_shape", np.array([1, rows * channels], np.int64))], "flat")
    layer = seen = node("Concat", [flat, spread], "seen", axis=1)
    last = len(network.coefs_) - 1
    for at, (weight, bias) in enumerate(zip(network.coefs_, network.intercepts_)):
        layer = node("Gemm", [layer, constant(f"weight{at}", f32(weight)), constant(f"bias{at}", f32(bias))], f"layer{at}")
        if at < last:
            layer = node("Relu", [layer], f"active{at}")
    error = node("Sub", [seen, layer], "error")
    squared = node("Mul", [error, error], "error_squared")
    both = constant("both", np.array([rows * channels, channels], np.int64))
    nodes.append(helper.make_node("Split", [squared, both], ["of_values", "of_spreads"], axis=1, name="split"))
    shaped = node("Reshape", ["of_values", constant("window_shape", np.array([rows, channels], np.int64))], "of_rows")
    mean_error = node("ReduceMean", [shaped], "mean_error", axes=[0], keepdims=0)
    spread_error = node("Reshape", ["of_spreads", constant("channel_shape", np.array([channels], np.int64))], "spread_error")
    whole = node("Add", [mean_error, spread_error], "whole_error")
    node("Div", [whole, constant("typical", f32(typical))], "channel")
    node("ReduceMax", ["channel"], "score", axes=[0], keepdims=1)
    node("Identity", [constant("limit_value", f32([1.0]))], "limit")
    tensor = lambda name, shape: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
    graph = helper.make_graph(
        nodes,
        "anomaly",
        [tensor("window", [1, rows, channels])],
        [tensor("score", [1]), tensor("limit", [1]), tensor("channel", [channels])],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8, producer_name="ganglion")
    onnx.checker.check_model(model)
    return model


def quantized(model, windows):
    class Reader(CalibrationDataReader):
        def __init__(self):
            self.left = iter(windows)

        def get_next(self):
            window = next(self.left, None)
            return None if window is None else {"window": window[None]}

    with tempfile.TemporaryDirectory() as folder:
        before, after = pathlib.Path(folder, "float.onnx"), pathlib.Path(folder, "int8.onnx")
        onnx.save(model, before)
        quantize_static(
            before,
            after,
            Reader(),
            quant_format=QuantFormat.QDQ,
            activation_type=QuantType.QInt8,
            weight_type=QuantType.QInt8,
            per_channel=True,
            op_types_to_quantize=["Gemm"],
        )
        return onnx.load(after)


def scores_of(model, windows):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    answers = [session.run(["score", "channel"], {"window": window[None]}) for window in windows]
    return np.array([score[0] for score, _ in answers]), np.array([channel for _, channel in answers])


def alarms(scores, limit, need, of):
    """How often the device would raise an alarm: its own rules, `runtime/perception/feeling/detector.ts`."""
    looks, on, count = [], False, 0
    for score in scores:
        looks = (looks + [score > limit * (CLEAR_SHARE if on else 1)])[-of:]
        seen = sum(looks)
        count += not on and seen >= need
        on = seen >= need
    return count


def rate_bound(count, weeks):
    """Upper bound of a Poisson rate after `count` events in `weeks` (Garwood, Biometrika 28, 1936), one-sided."""
    return stats.chi2.ppf(CONFIDENCE, 2 * (count + 1)) / 2 / weeks


def limit_for(scores, weeks, budget, need, of):
    """The limit, and one line that says how sure it is."""
    if rate_bound(0, weeks) > budget:
        return extrapolated(scores, weeks, budget, need, of)
    low, high = 0.0, float(scores.max())
    for _ in range(40):
        middle = (low + high) / 2
        if rate_bound(alarms(scores, middle, need, of), weeks) <= budget:
            high = middle
        else:
            low = middle
    count = alarms(scores, high, need, of)
    return high, (
        f"{count} alarms in {weeks:.2f} weeks of held-out normal operation: with {CONFIDENCE:.0%} confidence at most "
        f"{rate_bound(count, weeks):.2f} a week (Poisson)"
    )


def extrapolated(scores, weeks, budget, need, of):
    """Too little history to count: the tail of what decides an alarm, the need-th largest of the last `of` scores."""
    stacked = np.stack([scores[at : len(scores) - of + 1 + at] for at in range(of)])
    levels = np.sort(stacked, axis=0)[-need]
    start = np.quantile(levels, 0.98)
    over = levels > start
    first = np.flatnonzero(over & ~np.concatenate([[False], over[:-1]]))
    if len(first) == 0:
        return float(max(start, 1e-6)), f"the greatest of {weeks:.2f} weeks, too even to extrapolate from"
    peaks = [levels[at : at + np.argmin(over[at:]) if not over[at:].all() else None].max() for at in first]
    shape, _, scale = stats.genpareto.fit(np.array(peaks) - start, floc=0)
    limit = start + stats.genpareto.isf(min(1.0, budget * weeks / len(peaks)), shape, scale=scale)
    return float(max(limit, start)), (
        f"extrapolated from {len(peaks)} peaks over the 98 % quantile by a generalised Pareto tail, because {weeks:.2f} weeks "
        f"are too few to count: {rate_bound(0, 1) / budget:.1f} held-out weeks are needed for {CONFIDENCE:.0%} confidence"
    )


def train(inputs, seed, epochs):
    network = MLPRegressor(hidden_layer_sizes=HIDDEN, random_state=seed, max_iter=epochs, tol=0, n_iter_no_change=epochs, batch_size=256, shuffle=True)
    return network.fit(inputs, inputs)


def main():
    parser = argparse.ArgumentParser(description="Trains a model of a machine's normal behaviour.")
    parser.add_argument("history", help="CSV, as ganglion history writes it")
    parser.add_argument("name", help="of the model: lower case letters, digits, - and .")
    parser.add_argument("--out", default=None, help="folder; default: the name")
    parser.add_argument("--window", type=int, default=16, help="rows judged at once (window in the configuration)")
    parser.add_argument("--alarms-per-week", type=float, default=1.0, help="false-alarm budget")
    parser.add_argument("--need", type=int, default=3, help="as in the configuration")
    parser.add_argument("--of", type=int, default=5, help="as in the configuration")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--epochs", type=int, default=40)
    given = parser.parse_args()
    if not re.fullmatch(r"[a-z0-9][a-z0-9.-]{0,63}", given.name):
        parser.error("name: lower case letters, digits, - and ., at most 64")
    if not (2 <= given.window <= 512 and 1 <= given.need <= given.of <= 60 and given.alarms_per_week > 0):
        parser.error("window is 2 to 512, need at most of, of at most 60, alarms per week more than 0")
    times, values, channels = read_history(given.history)
    windows, ends, period = windows_of(times, values, given.window)
    require_enough(given.history, windows, values, channels)
    # In order of time: windows overlap, and what is drawn at random would be known already.
    learn, hold = int(len(windows) * 0.5), int(len(windows) * 0.6)
    parts = windows[:learn], windows[learn + given.window : hold], windows[hold + given.window :]
    norm = Normalisation(parts[0])
    network = train(norm.apply(parts[0]), given.seed, given.epochs)
    # Errors relative to what is usual for each channel, learnt where the network was not trained.
    errors = scores_of(build(network, norm, np.ones(len(channels)), given.window, len(channels)), parts[1])[1]
    model = build(network, norm, np.maximum(np.quantile(errors, 0.99, axis=0), 1e-6), given.window, len(channels))
    drawn = np.random.default_rng(given.seed).choice(len(parts[0]), min(1024, len(parts[0])), replace=False)
    small = quantized(model, parts[0][np.sort(drawn)])
    reference, _ = scores_of(model, parts[2])
    scores, _ = scores_of(small, parts[2])
    weeks = len(parts[2]) * period / (7 * 86_400)
    limit, certainty = limit_for(scores, weeks, given.alarms_per_week, given.need, given.of)
    for constant in small.graph.initializer:
        if constant.name == "limit_value":
            constant.CopyFrom(numpy_helper.from_array(np.array([limit], np.float32), "limit_value"))
    out = pathlib.Path(given.out or given.name)
    out.mkdir(parents=True, exist_ok=True)
    data = small.SerializeToString(deterministic=True)
    (out / "model.onnx").write_bytes(data)
    (out / "model.yaml").write_text(manifest(given, channels, period, limit, data))
    text = report(given, channels, period, len(windows), weeks, limit, certainty, reference, scores, model, data)
    (out / "report.md").write_text(text)
    print(text)


def manifest(given, channels, period, limit, data):
    return f"""name: {given.name}
version: '1'
description: 'Anomalies of a machine: {given.window} rows of {len(channels)} channels, dense autoencoder, int8'
licence: not stated
pipeline: tensor
task: anomaly
idempotent: true
file: model.onnx
sha256: {hashlib.sha256(data).hexdigest()}
memoryMb: 1
options:
  limit: {limit:.6g}
  alarmsPerWeek: {given.alarms_per_week:g}
  window: {given.window}
  everyS: {period:g}
  need: {given.need}
  of: {given.of}
  channels: '{' '.join(channels)}'
inputs:
  - {{name: window, datatype: FP32, shape: [1, {given.window}, {len(channels)}], description: rows of the channels}}
outputs:
  - {{name: score, datatype: FP32, shape: [1], description: how abnormal the window is}}
  - {{name: limit, datatype: FP32, shape: [1], description: above it a window is abnormal}}
  - {{name: channel, datatype: FP32, shape: [{len(channels)}], description: how abnormal each channel is}}
"""


def report(given, channels, period, count, weeks, limit, certainty, reference, scores, model, data):
    agree = np.mean((reference > limit) == (scores > limit))
    ratio = np.abs(scores - reference) / np.maximum(reference, 1e-3)
    return f"""# {given.name}

| | |
|---|---|
| channels | {', '.join(channels)} |
| rows | every {period:g} s; {given.window} a window, {count} windows |
| learnt on | the first 50 %; usual errors from the next 10 %; the limit from the last 40 % |
| budget | {given.alarms_per_week:g} false alarms a week, an alarm being {given.need} of {given.of} windows over the limit |
| limit | {limit:.4g}: {certainty} |
| windows over the limit | {np.mean(scores > limit):.4%} of those held out |
| size | {len(data)} bytes int8, {len(model.SerializeToString())} float |
| int8 against float | scores correlate {np.corrcoef(reference, scores)[0, 1]:.4f}, differ by {np.median(ratio):.1%} (median) and {np.quantile(ratio, 0.99):.1%} (99 % quantile); the same side of the limit in {agree:.3%} |
| false alarms held out | int8 {alarms(scores, limit, given.need, given.of)}, float at the same limit {alarms(reference, limit, given.need, given.of)} |
| seed | {given.seed} |
"""


if __name__ == "__main__":
    main()
