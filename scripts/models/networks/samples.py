"""
Inputs to calibrate and to compare with. Either one .npz file with an array per input, whose first axis counts the samples,
or a folder of .npz files, one run each, fed as they are (for inputs of varying length). `labels`, where there, are classes.
"""

import pathlib

import numpy as np


def read(path):
    """(feeds, labels): dicts of inputs, one run each; labels or None."""
    path = pathlib.Path(path)
    if path.is_dir():
        files = sorted(path.glob("*.npz"))
        if not files:
            raise ValueError(f"{path} holds no .npz file")
        feeds = [dict(np.load(file)) for file in files]
        labels = [feed.pop("labels", None) for feed in feeds]
        return feeds, None if any(one is None for one in labels) else np.concatenate([np.ravel(one) for one in labels])
    arrays = dict(np.load(path))
    labels = arrays.pop("labels", None)
    counts = {name: len(array) for name, array in arrays.items()}
    if len(set(counts.values())) != 1 or min(counts.values()) == 0:
        raise ValueError(f"{path}: arrays of different length, or none: {counts}")
    count = next(iter(counts.values()))
    return [{name: array[i : i + 1] for name, array in arrays.items()} for i in range(count)], labels


def require_inputs(feeds, session, path):
    """Raises ValueError that names the input which the model wants and the samples lack, or the other way round."""
    wanted, given = {value.name for value in session.get_inputs()}, set(feeds[0])
    if wanted != given:
        raise ValueError(f"{path} gives {sorted(given)}; the model takes {sorted(wanted)}")
