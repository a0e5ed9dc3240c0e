"""How far two sets of outputs are apart, in the terms of the field."""

import numpy as np


def compared(reference, other):
    """
    Of arrays [inputs, ...]: max and mean absolute error, signal to quantization noise (dB), least cosine of an input's
    outputs, share of inputs with the same largest output. `agreement` only makes sense where the output is scores.
    """
    a, b = (np.asarray(x, np.float64).reshape(len(x), -1) for x in (reference, other))
    error = np.abs(a - b)
    noise = np.sum((a - b) ** 2)
    norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    cosine = np.where(norms > 0, np.sum(a * b, axis=1) / np.where(norms > 0, norms, 1), 1.0)
    return {
        "inputs": len(a),
        "maxError": float(error.max()),
        "meanError": float(error.mean()),
        "sqnrDb": float(10 * np.log10(np.sum(a**2) / noise)) if noise > 0 else float("inf"),
        "cosineMin": float(cosine.min()),
        "agreement": float(np.mean(a.argmax(1) == b.argmax(1))),
    }
