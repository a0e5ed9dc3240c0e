/** `device.perception`: what is looked at and what is felt. The shape is checked here; models and sources are perception's. */
import * as v from 'valibot'
import { keywordList } from '../inference/models/keywords.model.ts'

/** Becomes part of entity ids and file names. */
const id = v.pipe(
  v.string(),
  v.regex(/^[a-z0-9][a-z0-9_]{0,39}$/, 'must be 1 to 40 lower case letters, digits and _'),
)
const text = v.pipe(v.string(), v.nonEmpty('must not be empty'), v.maxLength(128))
const path = v.pipe(v.string(), v.nonEmpty('must not be empty'), v.maxLength(4096))
const number = (min: number, max: number) => v.pipe(v.number(), v.finite(), v.minValue(min), v.maxValue(max))
const whole = (min: number, max: number) => v.pipe(number(min, max), v.integer())
const even = (max: number) =>
  v.pipe(
    whole(16, max),
    v.check((pixels) => pixels % 2 === 0, 'must be even'),
  )
const modelName = v.pipe(
  v.string(),
  v.regex(/^[a-z0-9][a-z0-9.-]{0,63}$/, 'is not a model’s name such as person'),
)

/** `device.voice.wake`: what stands before the speech models when a microphone is listened to. */
export const wakeSchema = v.strictObject({
  /** Off: the speech models are loaded from the start, stay, and hear everything. */
  enabled: v.optional(v.boolean(), true),
  /** Words that wake, of those that the keyword model knows. It is no custom wake word. None: any speech. */
  words: v.optional(v.pipe(v.array(v.picklist(keywordList)), v.maxLength(keywordList.length)), []),
  /** Probability from which the keyword model is believed. Lower wakes more often for nothing, higher misses more. */
  confidence: v.optional(number(0.05, 0.999), 0.5),
  /** Speech models that were not used for so long give their memory back. */
  idleS: v.optional(number(1, 86_400), 60),
})

const streamSchemes = ['rtsp:', 'rtsps:', 'http:', 'https:']
const source = v.union(
  [
    /** The camera of `device.camera`. */
    v.literal('camera'),
    /** An image, read again each time, or a video, played at its own speed and again. */
    v.strictObject({ file: path }),
    v.strictObject({
      stream: v.pipe(
        v.string(),
        v.maxLength(2048),
        v.check(
          (url) => URL.canParse(url) && streamSchemes.includes(new URL(url).protocol),
          'must be an rtsp://, rtsps://, http:// or https:// address',
        ),
      ),
      username: v.optional(text),
      /** A file, so that the password is not in this one. */
      passwordFile: v.optional(path),
    }),
  ],
  'must be camera, {file: …} or {stream: rtsp://…}',
)

/** What can be looked for. */
export const findings = ['person', 'face', 'text'] as const
export type Finding = (typeof findings)[number]

const watched = v.strictObject({
  id,
  name: v.optional(text),
  area: v.optional(text),
  source,
  find: v.optional(v.pipe(v.array(v.picklist(findings)), v.minLength(1), v.maxLength(3)), ['person']),
  /** How often a frame is looked at. A small board needs 20 to 60 ms for people, some 500 for a page of text. */
  framesPerS: v.optional(number(0.01, 10), 1),
  /** Size of the frames, pixels. Absent: as large as what is looked for needs. */
  width: v.optional(even(1920)),
  height: v.optional(even(1080)),
  /** How far frames may travel: with `device` they never leave it, whatever a gateway could do with them. */
  privacy: v.optional(v.picklist(['device', 'site', 'cloud']), 'device'),
  /** Share of the picture that must change before a model is asked. */
  motionShare: v.optional(number(0, 1), 0.005),
  /** Confidence from which a single look counts. */
  threshold: v.optional(number(0.01, 0.999), 0.6),
  /** Looks of the last `of` that must agree before anything is said. */
  need: v.optional(whole(1, 20), 2),
  of: v.optional(whole(1, 20), 3),
  /** Somebody who is not seen any more is said to be gone after this long. */
  offAfterS: v.optional(number(0, 3600), 10),
  /** Other models than Ganglion's, with the same inputs and outputs. */
  models: v.optional(v.strictObject(v.entriesFromList(findings, v.optional(modelName))), {}),
})

const felt = v.strictObject({
  id,
  name: v.optional(text),
  area: v.optional(text),
  /** Entities whose numbers are kept and judged together, in the order in which a model was trained. */
  channels: v.pipe(v.array(text), v.minLength(1), v.maxLength(32)),
  /** One row of history: the mean of what was reported meanwhile. */
  everyS: v.optional(number(1, 3600), 60),
  /** Rows older than this are overwritten. */
  historyDays: v.optional(number(0.01, 730), 60),
  /** A model trained by `scripts/models/train-anomaly.py`. Absent: history is recorded, nothing is judged. */
  model: v.optional(modelName),
  /** Rows that the model judges at once, as it was trained. */
  window: v.optional(whole(2, 512), 16),
  /** Windows of the last `of` that must be over the limit. The model's limit was chosen for the values it was trained with. */
  need: v.optional(whole(1, 60), 3),
  of: v.optional(whole(1, 60), 5),
  /** What may leave the device to be judged elsewhere. */
  privacy: v.optional(v.picklist(['device', 'site', 'cloud']), 'device'),
})

/** A ring of this many rows of 32 channels takes 70 MB. */
const rowsMax = 500_000
const areUnique = (list: readonly { readonly id: string }[]) =>
  new Set(list.map(({ id }) => id)).size === list.length

const watchedChecked = v.pipe(
  watched,
  v.check(({ need, of }) => need <= of, 'need is more than of'),
)
const feltChecked = v.pipe(
  felt,
  v.check(({ need, of }) => need <= of, 'need is more than of'),
  v.check(
    ({ historyDays, everyS }) => (historyDays * 86_400) / everyS <= rowsMax,
    `more than ${rowsMax} rows of history: record less often, or fewer days`,
  ),
)

export const perceptionSchema = v.strictObject({
  seeing: v.optional(
    v.pipe(
      v.array(watchedChecked),
      v.maxLength(8, 'must be eight at most'),
      v.check((list) => areUnique(list), 'two have the same id'),
      v.check(
        (list) => list.filter(({ source }) => source === 'camera').length <= 1,
        'two look through the same camera: give one of them all that is looked for',
      ),
    ),
    [],
  ),
  feeling: v.optional(
    v.pipe(
      v.array(feltChecked),
      v.maxLength(16, 'must be sixteen at most'),
      v.check((list) => areUnique(list), 'two have the same id'),
    ),
    [],
  ),
})

export type PerceptionConfig = v.InferOutput<typeof perceptionSchema>
export type WatchedConfig = PerceptionConfig['seeing'][number]
export type FeltConfig = PerceptionConfig['feeling'][number]
