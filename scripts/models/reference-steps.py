"""
Writes what the steps of pipelines are compared with: golden values of the libraries that networks were trained with, and the
pictures that tests look at.

    python scripts/models/reference-steps.py VOICE PHOTOGRAPHS FONT GOLDEN IMAGES

VOICE is a WAV file of speech at 48 kHz; PHOTOGRAPHS the folder skimage/data of scikit-image; FONT a TrueType file. Golden
values go to GOLDEN/steps.json, pictures to IMAGES. Needs requirements.txt, librosa and opencv-python-headless.
"""

import argparse
import pathlib
import wave

import cv2
import librosa
from networks import golden
import numpy as np
from PIL import Image, ImageDraw, ImageFont
import tensorflow as tf

random = np.random.default_rng(20)
tensors = []


def keep(name, array):
    tensors.append(golden.tensor(name, np.asarray(array)))


def second_of_speech(path):
    with wave.open(str(path)) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), np.int16).astype(np.float32) / 32768
    return samples[::3][:16000].copy()


def keyword_features(sound):
    """mlcommons/tiny, keyword_spotting/get_dataset.py: feature_type mfcc."""
    sound = tf.constant(sound / sound.max())
    spectrum = tf.abs(tf.signal.stft(sound, 480, 320, fft_length=None, window_fn=tf.signal.hann_window))
    weights = tf.signal.linear_to_mel_weight_matrix(40, spectrum.shape[-1], 16000, 20.0, 4000.0)
    logs = tf.math.log(tf.tensordot(spectrum, weights, 1) + 1e-6)
    keep("tensorflow.mel", logs.numpy())
    keep("tensorflow.mfcc", tf.signal.mfccs_from_log_mel_spectrograms(logs)[..., :10].numpy())


def machine_features(sound):
    """mlcommons/tiny, anomaly_detection/common.py: file_to_vector_array, before the middle is cut out."""
    mel = librosa.feature.melspectrogram(y=sound, sr=16000, n_fft=1024, hop_length=512, n_mels=128, power=2.0, pad_mode="reflect")
    logs = (10 * np.log10(mel + np.finfo(float).eps)).astype(np.float32)
    keep("librosa.mel", logs.T)
    frames = logs.shape[1] - 4
    keep("librosa.stacked", np.concatenate([logs[:, at:at + frames] for at in range(5)]).T)


def face_boxes():
    """Ultra-Light-Fast-Generic-Face-Detector: priors, then centre and size to corners."""
    priors = []
    for stride, sizes in zip([8, 16, 32, 64], [[10, 16, 24], [32, 48], [64, 96], [128, 192, 256]]):
        columns, rows = int(np.ceil(320 / stride)), int(np.ceil(240 / stride))
        for row in range(rows):
            for column in range(columns):
                for size in sizes:
                    priors.append([(column + 0.5) / (320 / stride), (row + 0.5) / (240 / stride), size / 320, size / 240])
    priors = np.clip(np.array(priors), 0, 1)
    offsets = random.normal(0, 1.5, priors.shape).astype(np.float32)
    centre = offsets[:, :2] * 0.1 * priors[:, 2:] + priors[:, :2]
    size = np.exp(offsets[:, 2:] * 0.2) * priors[:, 2:]
    keep("priors.offsets", offsets)
    keep("priors.boxes", np.concatenate([centre - size / 2, centre + size / 2], 1).astype(np.float32))


def text_map():
    """A map as the text detector makes: lines at angles, one bent, a speck, and noise under the threshold."""
    canvas = np.zeros((240, 320), np.float32)
    for (x, y), (w, h), angle in [((80, 40), (120, 14), 0), ((200, 110), (140, 18), 12), ((90, 150), (90, 12), -20), ((250, 40), (16, 60), 3)]:
        corners = cv2.boxPoints(((x, y), (w, h), angle))
        cv2.fillPoly(canvas, [np.round(corners).astype(np.int32)], float(random.uniform(0.8, 1)))
    bend = np.array([[20 + x, 200 + 12 * np.sin(x / 90 * np.pi)] for x in range(0, 180, 4)], np.int32)
    cv2.polylines(canvas, [bend], False, 0.9, 10)
    canvas[5, 5] = 1
    cv2.circle(canvas, (280, 200), 15, 0.45, -1)
    return np.maximum(canvas, random.integers(0, 4, canvas.shape).astype(np.float32) / 16)


def text_boxes(canvas):
    """PaddleOCR's DBPostProcess with the mean over each part, rectangles by OpenCV; centre, sides and angle follow from corners."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats((canvas > 0.3).astype(np.uint8), connectivity=8)
    quads, scores = [], []
    for part in range(1, count):
        score = canvas[labels == part].mean()
        rows, columns = np.nonzero(labels == part)
        centre, (w, h), angle = cv2.minAreaRect(np.stack([columns, rows], 1).astype(np.float32))
        if min(w, h) < 3 or score < 0.6:
            continue
        grow = w * h * 1.6 / (2 * (w + h))
        quads.append(cv2.boxPoints((centre, (w + 2 * grow, h + 2 * grow), angle)) + 0.5)
        scores.append(score)
    keep("text.map", canvas)
    keep("text.quads", np.array(quads, np.float32))
    keep("text.scores", np.array(scores, np.float32))


def upright_crop(picture):
    quad = np.float32([[40, 60], [170, 30], [185, 90], [50, 125]])
    width = round(float(max(np.linalg.norm(quad[0] - quad[1]), np.linalg.norm(quad[3] - quad[2]))))
    height = round(float(max(np.linalg.norm(quad[0] - quad[3]), np.linalg.norm(quad[1] - quad[2]))))
    # OpenCV counts from a pixel's centre, the step from its corner.
    target = np.float32([[0, 0], [width, 0], [width, height], [0, height]]) - 0.5
    matrix = cv2.getPerspectiveTransform(quad - 0.5, target)
    keep("crop.image", picture)
    keep("crop.quad", quad[None])
    keep("crop.upright", cv2.warpPerspective(picture, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE))


def decoded_text():
    scores = random.dirichlet(np.full(6, 0.4), 40).astype(np.float32)
    decoded, _ = tf.nn.ctc_greedy_decoder(np.log(scores)[:, None], [40], blank_index=0)
    keep("ctc.scores", scores)
    keep("ctc.classes", tf.sparse.to_dense(decoded[0]).numpy()[0].astype(np.int32))


def lettered(lines, font, size, colours):
    picture = Image.new("RGB", size, colours[0])
    draw = ImageDraw.Draw(picture)
    for text, place, height in lines:
        draw.text(place, text, fill=colours[1], font=ImageFont.truetype(str(font), height))
    return np.asarray(picture)


def photographed(picture):
    """Seen from the side, in uneven light, a little out of focus, with a sensor's noise."""
    height, width = picture.shape[:2]
    corners = np.float32([[0, 0], [width, 0], [width, height], [0, height]])
    seen = np.float32([[50, 40], [width + 40, 10], [width + 20, height + 60], [70, height + 30]])
    out = cv2.warpPerspective(picture, cv2.getPerspectiveTransform(corners, seen), (width + 90, height + 90), borderMode=cv2.BORDER_CONSTANT, borderValue=(96, 84, 70))
    light = np.linspace(0.65, 1.05, out.shape[1])[None, :, None]
    out = cv2.GaussianBlur(out.astype(np.float32) * light, (0, 0), 0.8)
    return cv2.cvtColor(np.clip(out + random.normal(0, 5, out.shape), 0, 255).astype(np.uint8), cv2.COLOR_RGB2GRAY)


def pictures(photographs, font, out):
    def save(name, array):
        Image.fromarray(array).save(out / name, optimize=True)

    save("astronaut.png", cv2.resize(np.asarray(Image.open(photographs / "astronaut.png")), (256, 256), interpolation=cv2.INTER_AREA))
    save("coffee.png", cv2.resize(np.asarray(Image.open(photographs / "coffee.png")), (240, 160), interpolation=cv2.INTER_AREA))
    save("page.png", np.asarray(Image.open(photographs / "page.png")))
    plate = [("Boiler room", (30, 24), 40), ("Max 85 °C", (30, 90), 34), ("SN 4711-0815", (30, 150), 30)]
    sign = lettered(plate, font, (400, 220), ((235, 232, 220), (20, 24, 30)))
    save("plate.png", sign)
    save("plate-photographed.png", photographed(sign))


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
for name in ["voice", "photographs", "font", "golden", "images"]:
    parser.add_argument(name, type=pathlib.Path)
arguments = parser.parse_args()
speech = second_of_speech(arguments.voice)
keep("sound", speech)
keyword_features(speech)
machine_features(speech)
face_boxes()
text_boxes(text_map())
upright_crop(cv2.resize(np.asarray(Image.open(arguments.photographs / "coffee.png")), (210, 140), interpolation=cv2.INTER_AREA))
decoded_text()
golden.write(arguments.golden / "steps.json", source="scripts/models/reference-steps.py", tensors=tensors)
pictures(arguments.photographs, arguments.font, arguments.images)
