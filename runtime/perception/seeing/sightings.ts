/**
 * What one watcher has seen, as entities and events. Models are asked from small to large: faces only where somebody may be,
 * text only in a picture that holds still. What is published is what was asked for by name in the configuration; pixels and
 * places of faces are not.
 */
import type { Component, Json } from '../../../hal/contract/component.ts'
import type { Clock } from '../../base/clock.ts'
import type { Finding } from '../../config/perception.ts'
import type { Privacy } from '../../wire/infer.ts'
import { AgreedValue, type AgreementOptions, Presence } from '../agreement.ts'
import { MadeSensor } from '../made-sensor.ts'
import type { Frame } from './frame-source.ts'
import type { Line, Looking } from './looking.ts'

export interface SightingsOptions extends AgreementOptions {
  readonly id: string
  readonly name: string
  readonly area?: string
  readonly simulated: boolean
  readonly find: readonly Finding[]
  readonly threshold: number
  readonly offAfterMs: number
  /** Of the frames. */
  readonly privacy: Privacy
}

export interface Seen {
  /** The watcher. */
  readonly source: string
  readonly what: Finding
  /** `on`, `off`, a number of faces, or the text. */
  readonly state: string
  readonly confidence?: number
  /** Of the frames that it was seen in. */
  readonly privacy: Privacy
}

interface Deps {
  readonly clock: Clock
  readonly onSeen: (seen: Seen) => void
}

/**
 * Below the confidence for people by this factor nobody is worth a look for faces: a face near the camera leaves little of
 * the rest of somebody to be seen.
 */
const faceGate = 0.5
/** A state on the wire has 255 characters at most. */
const stateCharsMax = 255
/** Lines that are kept as attributes: a sign, a label, a meter; not a book. */
const linesMax = 20
const lineCharsMax = 200

export class Sightings {
  readonly components: readonly Component[]
  readonly #deps: Deps
  readonly #options: SightingsOptions
  readonly #person: MadeSensor | undefined
  readonly #faces: MadeSensor | undefined
  readonly #text: MadeSensor | undefined
  readonly #presence: Presence
  readonly #faceCount: AgreedValue<number>
  readonly #lines: AgreedValue<readonly Line[]>
  #confidence = 0

  constructor(deps: Deps, options: SightingsOptions) {
    this.#deps = deps
    this.#options = options
    const { name } = options
    this.#person = this.#sensor('person', 'binary_sensor', 'person', `${name}: somebody there`, {
      deviceClass: 'occupancy',
    })
    this.#faces = this.#sensor('face', 'sensor', 'faces', `${name}: faces`, { unit: 'faces' })
    this.#text = this.#sensor('text', 'sensor', 'text', `${name}: text`, {})
    this.components = [this.#person, this.#faces, this.#text].filter((one) => one !== undefined)
    this.#presence = new Presence(options)
    this.#faceCount = new AgreedValue(options, String)
    this.#lines = new AgreedValue(options, (lines) => lines.map(({ text }) => text).join('\n'))
  }

  /** Looks at one frame. `still`: nothing has moved since the frame before. Throws InferError. */
  async look(looking: Looking, frame: Frame, still: boolean, signal: AbortSignal): Promise<void> {
    const { threshold, find } = this.#options
    const forPeople = find.includes('person') || find.includes('face')
    const person = forPeople ? await looking.person(frame, signal) : 0
    if (find.includes('person')) this.#look(person)
    if (find.includes('face')) {
      const faces = person >= threshold * faceGate ? await looking.faces(frame, signal) : []
      this.#count(faces.filter(({ confidence }) => confidence >= threshold).length)
    }
    if (find.includes('text') && still) this.#read(await looking.text(frame, signal))
  }

  /** Time has passed: somebody may be gone for long enough. */
  pass(nowMs: number): void {
    const state = this.#presence.pass(nowMs)
    if (state) this.#say(state)
  }

  /** Nothing is known any more. */
  lose(): void {
    this.#presence.reset()
    this.#faceCount.reset()
    this.#lines.reset()
    for (const sensor of [this.#person, this.#faces, this.#text]) sensor?.report('unavailable')
  }

  #look(confidence: number): void {
    const seen = confidence >= this.#options.threshold
    if (seen) this.#confidence = confidence
    const state = this.#presence.look(seen, this.#deps.clock.monotonicMs())
    if (state) this.#say(state)
  }

  #say(state: 'on' | 'off'): void {
    const confidence = rounded(this.#confidence)
    const { privacy } = this.#options
    const more = state === 'on' ? { confidence } : {}
    this.#person?.report(state, { ...more, privacy })
    this.#event({ what: 'person', state, ...more })
  }

  #count(faces: number): void {
    if (!this.#faceCount.push(faces)) return
    this.#faces?.report(String(faces), { privacy: this.#options.privacy })
    this.#event({ what: 'face', state: String(faces) })
  }

  #read(lines: readonly Line[]): void {
    const sure = lines
      .filter(({ text, confidence }) => text.trim() !== '' && confidence >= this.#options.threshold)
      .slice(0, linesMax)
    if (!this.#lines.push(sure)) return
    const state = shortened(sure.map(({ text }) => text).join(' '), stateCharsMax)
    const attributes: Json[] = sure.map(({ text, confidence }) => ({
      text: shortened(text, lineCharsMax),
      confidence: rounded(confidence),
    }))
    this.#text?.report(state, { lines: attributes, privacy: this.#options.privacy })
    this.#event({ what: 'text', state })
  }

  #event(seen: Omit<Seen, 'source' | 'privacy'>): void {
    const { id, privacy } = this.#options
    this.#deps.onSeen({ source: id, ...seen, privacy })
  }

  #sensor(
    finding: Finding,
    kind: 'sensor' | 'binary_sensor',
    suffix: string,
    name: string,
    more: { readonly deviceClass?: string; readonly unit?: string },
  ): MadeSensor | undefined {
    const { id, area, find, simulated } = this.#options
    if (!find.includes(finding)) return undefined
    return new MadeSensor(this.#deps.clock, {
      id: `${kind}.${id}_${suffix}`,
      kind,
      name,
      ...(area === undefined ? {} : { area }),
      ...more,
      simulated,
    })
  }
}

const rounded = (share: number) => Math.round(share * 100) / 100

function shortened(text: string, charsMax: number): string {
  return text.length <= charsMax ? text : `${text.slice(0, charsMax - 1)}…`
}
