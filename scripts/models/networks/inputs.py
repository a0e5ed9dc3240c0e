"""
Inputs that look like what the networks see, from what is on any machine with requirements.txt installed: photographs of
scikit-image and scikit-learn, speech recordings (WAV files), and made machine sounds.

They calibrate and compare. They are not the data sets that the networks were trained or are judged on (Visual Wake
Words, CIFAR-10, ToyADMOS, Speech Commands): no task accuracy can be measured with them.
"""

import pathlib

import numpy as np
import scipy.io.wavfile
import scipy.signal
import skimage.data
from PIL import Image
from sklearn.datasets import load_sample_images

# Shipped with scikit-image; free of rights or public domain (its data/README and docstrings).
FREE_PHOTOGRAPHS = ["astronaut", "camera", "chelsea", "coffee", "rocket", "hubble_deep_field", "brick", "grass", "gravel"]


def photographs(free_only=False):
    """RGB photographs, uint8 [h, w, 3]."""
    images = [getattr(skimage.data, name)() for name in FREE_PHOTOGRAPHS]
    if not free_only:
        images += list(load_sample_images().images)
        images += list(skimage.data.stereo_motorcycle()[:2])
    return [np.repeat(i[..., None], 3, axis=2) if i.ndim == 2 else i[..., :3] for i in images]


def crops(count, size, seed, free_only=False):
    """Square pieces of photographs, uint8 [count, size, size, 3]: anywhere, of any scale, some mirrored, darker or brighter."""
    random = np.random.default_rng(seed)
    images = photographs(free_only)
    out = []
    for i in range(count):
        image = images[i % len(images)]
        side = int(random.uniform(0.25, 1.0) * min(image.shape[:2])) if i >= len(images) else min(image.shape[:2])
        side = max(side, size)
        top, left = (int(random.integers(0, n - side + 1)) for n in image.shape[:2])
        piece = Image.fromarray(image[top : top + side, left : left + side]).resize((size, size), Image.Resampling.BILINEAR)
        piece = np.asarray(piece, np.float32) * (random.uniform(0.5, 1.3) if i >= 2 * len(images) else 1)
        out.append((piece[:, ::-1] if random.random() < 0.5 else piece).clip(0, 255).astype(np.uint8))
    return np.stack(out)


def recording(path, rate=16_000):
    """A WAV file as float32 mono in -1 to 1 at `rate` hertz."""
    source_rate, samples = scipy.io.wavfile.read(path)
    samples = samples.astype(np.float64) / 32768
    divisor = np.gcd(rate, source_rate)
    return scipy.signal.resample_poly(samples, rate // divisor, source_rate // divisor).astype(np.float32)


def mel_filters(bins, rate, count, low, high, slaney):
    """Triangles on the mel scale, [bins, count]. `slaney`: librosa's default scale and area norm; else TensorFlow's (HTK, peak 1)."""
    frequencies = np.linspace(0, rate / 2, bins)
    if slaney:
        edges = _slaney_to_hertz(np.linspace(_hertz_to_slaney(low), _hertz_to_slaney(high), count + 2))
        points, at = edges, frequencies
    else:
        htk = lambda f: 1127 * np.log1p(np.asarray(f) / 700)
        points, at = np.linspace(htk(low), htk(high), count + 2), htk(frequencies)
        edges = None
    lower, centre, upper = points[:-2], points[1:-1], points[2:]
    rise = (at[:, None] - lower) / (centre - lower)
    fall = (upper - at[:, None]) / (upper - centre)
    filters = np.maximum(0, np.minimum(rise, fall))
    if edges is None:
        filters[0] = 0
        return filters
    return filters * (2 / (edges[2:] - edges[:-2]))


def _hertz_to_slaney(hertz):
    return hertz * 3 / 200 if hertz < 1000 else 15 + np.log(hertz / 1000) * 27 / np.log(6.4)


def _slaney_to_hertz(mel):
    return np.where(mel < 15, mel * 200 / 3, 1000 * np.exp((mel - 15) * np.log(6.4) / 27))


def keyword_features(samples):
    """
    What the MLPerf Tiny keyword spotter hears of one second at 16 kHz: [49, 10, 1] float32. Peak 1; frames of 30 ms every
    20 ms, Hann; 40 mel bands 20 to 4000 Hz of the magnitude; log(x + 1e-6); DCT-II, the first 10 (tf.signal's MFCC).
    """
    samples = samples / max(samples.max(), 1e-9)
    frames = np.lib.stride_tricks.sliding_window_view(samples, 480)[::320]
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(480) / 480)
    magnitude = np.abs(np.fft.rfft(frames * window, 512))
    mel = np.log(magnitude @ mel_filters(257, 16_000, 40, 20, 4000, slaney=False) + 1e-6)
    k = np.arange(10)[:, None]
    dct = np.cos(np.pi / 40 * (np.arange(40) + 0.5) * k) * np.sqrt(2 / 40)
    return (mel @ dct.T)[:, :, None].astype(np.float32)


def spoken_seconds(folder, count, seed):
    """Seconds of the recordings in `folder`, at any offset, any speed from 0.8 to 1.25, any noise: [count, 49, 10, 1]."""
    random = np.random.default_rng(seed)
    voices = [recording(path) for path in sorted(pathlib.Path(folder).glob("*.wav"))]
    out = []
    for i in range(count):
        voice = voices[i % len(voices)]
        speed = random.uniform(0.8, 1.25)
        piece = np.interp(np.arange(0, len(voice) - 1, speed), np.arange(len(voice)), voice)
        padded = np.concatenate([np.zeros(8000), piece, np.zeros(8000)])
        start = int(random.integers(0, len(padded) - 16_000))
        second = padded[start : start + 16_000] * random.uniform(0.3, 1)
        out.append(keyword_features(second + random.normal(0, 10 ** random.uniform(-4, -1.5), 16_000)))
    return np.stack(out)


def machine_sounds(count, seed):
    """
    What the MLPerf Tiny anomaly detector hears of a made motor: [count, 640] float32, five frames of 128 log-mel bands
    (16 kHz, frames of 64 ms every 32 ms, 20 log10 of the power over 2). Hum with harmonics, a gear's whine, hiss.
    """
    random = np.random.default_rng(seed)
    filters = mel_filters(513, 16_000, 128, 0, 8000, slaney=True)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(1024) / 1024)
    out = []
    while len(out) < count:
        time = np.arange(16_000) / 16_000
        speed = random.uniform(20, 120) * (1 + 0.02 * np.sin(2 * np.pi * random.uniform(0.5, 4) * time))
        phase = 2 * np.pi * np.cumsum(speed) / 16_000
        sound = sum(np.sin(phase * k + random.uniform(0, 6.28)) / k ** random.uniform(0.5, 1.5) for k in range(1, 12))
        sound = sound + random.uniform(0, 0.5) * np.sin(phase * random.uniform(15, 40))
        sound = sound + random.normal(0, 10 ** random.uniform(-3, 0), 16_000)
        sound = sound / np.abs(sound).max() * 10 ** random.uniform(-2, -0.3)
        power = np.abs(np.fft.rfft(np.lib.stride_tricks.sliding_window_view(sound, 1024)[::512] * window)) ** 2
        log_mel = 10 * np.log10(power @ filters + np.finfo(np.float64).eps)
        for start in random.integers(0, len(log_mel) - 5, 4):
            out.append(log_mel[start : start + 5].reshape(-1))
    return np.stack(out[:count]).astype(np.float32)
