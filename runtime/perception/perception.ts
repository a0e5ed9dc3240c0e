/**
 * What this device perceives: eyes (`seeing/`) and a feeling for its machines (`feeling/`), each with the entities that it
 * makes. Ears are opened beside it (`voice.ts`). One that cannot work says why, and the others go on.
 */
import { readFileSync } from 'node:fs'
import type { Hal } from '../../hal/contract/board.ts'
import type { Camera } from '../../hal/contract/camera.ts'
import type { Component } from '../../hal/contract/component.ts'
import type { Clock } from '../base/clock.ts'
import { messageOf, UsageError } from '../base/errors.ts'
import type { Log } from '../base/log.ts'
import type { FeltConfig, Finding, PerceptionConfig, WatchedConfig } from '../config/perception.ts'
import type { Inference } from '../inference/inference.ts'
import type { EntityRegistry } from '../things/registry.ts'
import { Detector } from './feeling/detector.ts'
import { HistoryError, HistoryFile, historyPath } from './feeling/history-file.ts'
import { type FfmpegLimits, ffmpegDefaults, fileFrames, streamFrames } from './seeing/ffmpeg-frames.ts'
import { cameraFrames, type FrameSource } from './seeing/frame-source.ts'
import { frameSizes, Looking, seeingModels } from './seeing/looking.ts'
import { Sightings } from './seeing/sightings.ts'
import { Watcher } from './seeing/watcher.ts'

export interface PerceptionDeps {
  readonly clock: Clock
  readonly log: Log
  readonly inference: Inference
  readonly registry: EntityRegistry
  readonly hal: Pick<Hal, 'cutFrames'>
  readonly camera: Camera | undefined
  /** Keeps an event until the gateway has it. Rejects where it could not be kept. */
  readonly publishEvent: (kind: string, event: object) => Promise<unknown>
  readonly stateDir: string
  readonly ffmpeg?: Partial<FfmpegLimits>
}

export class Perception implements AsyncDisposable {
  /** Registered already; to be described with the rest of the home. */
  readonly components: readonly Component[]
  readonly watchers: readonly Watcher[]
  readonly detectors: readonly Detector[]
  readonly #problems: readonly string[]
  readonly #stack: AsyncDisposableStack

  private constructor(
    parts: Pick<Perception, 'components' | 'watchers' | 'detectors'>,
    problems: readonly string[],
    stack: AsyncDisposableStack,
  ) {
    this.components = parts.components
    this.watchers = parts.watchers
    this.detectors = parts.detectors
    this.#problems = problems
    this.#stack = stack
  }

  /** Registers its entities and begins. Throws ThingsError where an id is taken, UsageError for a file that cannot be read. */
  static async open(
    deps: PerceptionDeps,
    config: PerceptionConfig,
    signal: AbortSignal,
  ): Promise<Perception> {
    signal.throwIfAborted()
    await using stack = new AsyncDisposableStack()
    const problems: string[] = []
    const components: Component[] = []
    const watchers: Watcher[] = []
    for (const watched of config.seeing) {
      const source = sourceOf(deps, watched)
      const sightings = sightingsOf(deps, watched, source?.simulated ?? false)
      for (const component of sightings.components) stack.defer(register(deps.registry, component))
      components.push(...sightings.components)
      if (source) watchers.push(stack.use(watcherOf(deps, watched, source, sightings)))
      else {
        sightings.lose()
        problems.push(`seeing ${watched.id}: no camera is configured (device.camera)`)
      }
    }
    const detectors: Detector[] = []
    for (const felt of config.feeling) {
      try {
        const detector = stack.use(await detectorOf(deps, felt))
        for (const component of detector.components) stack.defer(register(deps.registry, component))
        components.push(...detector.components)
        detectors.push(detector)
      } catch (error) {
        if (!(error instanceof HistoryError)) throw error
        problems.push(`feeling ${felt.id}: ${messageOf(error)}`)
      }
    }
    return new Perception({ components, watchers, detectors }, problems, stack.move())
  }

  /** One line for each thing that is not perceived and should be. */
  get problems(): string[] {
    return [...this.#problems, ...[...this.watchers, ...this.detectors].flatMap(({ problems }) => problems)]
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#stack.disposeAsync()
  }
}

/** The models that a configuration needs: whoever serves models fetches and serves these. */
export function perceptionModels(config: PerceptionConfig): string[] {
  const seen = config.seeing.flatMap((watched) => {
    const models = modelsOf(watched)
    // Faces are looked for where people are.
    const { find } = watched
    return [...(find.includes('face') ? [models.person] : []), ...find.map((finding) => models[finding])]
  })
  const felt = config.feeling.map(({ model }) => model).filter((model) => model !== undefined)
  return [...new Set([...seen, ...felt])]
}

function modelsOf({ models: { person, face, text } }: WatchedConfig): Readonly<Record<Finding, string>> {
  return {
    person: person ?? seeingModels.person,
    face: face ?? seeingModels.face,
    text: text ?? seeingModels.text,
  }
}

function register(registry: EntityRegistry, component: Component): () => void {
  registry.add(component.info, component.current())
  return component.onTelemetry((telemetry) => registry.report(component.info.id, telemetry))
}

function sourceOf(deps: PerceptionDeps, { source }: WatchedConfig): FrameSource | undefined {
  const { camera, ffmpeg } = deps
  const limits = { ...ffmpegDefaults, ...ffmpeg }
  if (source === 'camera') return camera && cameraFrames(camera)
  if ('file' in source) return fileFrames(deps, source.file, limits)
  const address = new URL(source.stream)
  if (source.username !== undefined) address.username = encodeURIComponent(source.username)
  if (source.passwordFile !== undefined)
    address.password = encodeURIComponent(readPassword(source.passwordFile))
  return streamFrames(deps, address, limits)
}

function readPassword(path: string): string {
  try {
    return readFileSync(path, 'utf8').trimEnd()
  } catch (error) {
    throw new UsageError(`cannot read perception.seeing.passwordFile ${path}: ${messageOf(error)}`, {
      cause: error,
    })
  }
}

function sightingsOf(deps: PerceptionDeps, watched: WatchedConfig, simulated: boolean): Sightings {
  const { id, name = id, area, find, threshold, need, of, offAfterS, privacy } = watched
  return new Sightings(
    {
      clock: deps.clock,
      onSeen: (seen) => publish(deps, 'seen', seen),
    },
    {
      ...{ id, name, find, threshold, need, of, simulated, privacy },
      ...(area === undefined ? {} : { area }),
      offAfterMs: offAfterS * 1000,
    },
  )
}

function watcherOf(
  deps: PerceptionDeps,
  watched: WatchedConfig,
  source: FrameSource,
  sightings: Sightings,
): Watcher {
  const { id, find, framesPerS, motionShare, privacy, of } = watched
  const models = modelsOf(watched)
  const sizes = find.map((finding) => frameSizes[finding])
  const width = watched.width ?? Math.max(...sizes.map((size) => size.width))
  const height = watched.height ?? Math.max(...sizes.map((size) => size.height))
  return Watcher.open(
    {
      clock: deps.clock,
      log: deps.log.named('seeing'),
      source,
      looking: new Looking(deps.inference, { models, privacy }),
      sightings,
    },
    { id, wish: { width, height, framesPerS }, motionShare, settleLooks: of + 1 },
  )
}

const msPerDay = 86_400_000

async function detectorOf(deps: PerceptionDeps, felt: FeltConfig): Promise<Detector> {
  const { id, name = id, area, channels, everyS, historyDays, model, window, need, of, privacy } = felt
  const everyMs = everyS * 1000
  const rowsMax = Math.max(window, Math.floor((historyDays * msPerDay) / everyMs))
  const history = await HistoryFile.open(historyPath(deps.stateDir, id), { channels, everyMs, rowsMax })
  const onFelt = (event: object) => publish(deps, 'felt', event)
  const log = deps.log.named('feeling')
  const simulated = channels.some((channel) => deps.registry.get(channel)?.info.simulated ?? false)
  return Detector.open(
    { clock: deps.clock, log, inference: deps.inference, registry: deps.registry, history, onFelt },
    {
      ...{ id, name, channels, everyMs, need, of, privacy, simulated },
      windowRows: window,
      ...(area === undefined ? {} : { area }),
      ...(model === undefined ? {} : { model }),
    },
  )
}

function publish({ publishEvent, log }: PerceptionDeps, kind: string, event: object): void {
  publishEvent(kind, event).catch((error) => log.warn('an event was not kept', { reason: messageOf(error) }))
}
