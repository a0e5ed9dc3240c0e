/** The device's own way from sound to a verified command: hearing, router and engine process, assistant, simulated home. */
import { readFileSync } from 'node:fs'
import { boards } from '../../boards/index.ts'
import type { Microphone } from '../../hal/contract/microphone.ts'
import { createHal, firstHomeUrl } from '../../hal/index.ts'
import { Assistant } from '../../runtime/assistant/assistant.ts'
import { realClock } from '../../runtime/base/clock.ts'
import { silentLog } from '../../runtime/base/log.ts'
import { programPath } from '../../runtime/base/program.ts'
import { EngineRoute } from '../../runtime/inference/engine-route.ts'
import { models } from '../../runtime/inference/models/index.ts'
import { Redactor } from '../../runtime/inference/redaction/redactor.ts'
import { Router } from '../../runtime/inference/router/router.ts'
import { ServedModels } from '../../runtime/inference/served-models.ts'
import { defaultModelsDir } from '../../runtime/inference/store/models-dir.ts'
import { ModelStore } from '../../runtime/inference/store/store.ts'
import { EngineSupervisor } from '../../runtime/inference/supervisor/engine-supervisor.ts'
import { Hearing } from '../../runtime/perception/hearing/hearing.ts'
import { Actuation } from '../../runtime/things/actuation.ts'
import { attachBoard } from '../../runtime/things/hal-source.ts'
import { EntityRegistry } from '../../runtime/things/registry.ts'
import { understand } from '../../runtime/understanding/understand.ts'
import type { CommandEvent, SayResult } from '../../runtime/wire/messages.ts'
import { detectorName, transcriberName } from './speech-files.ts'

/** Of the smallest boards that hear: the engine is watched as it is there. */
const budgetMb = 384

/** One utterance from the end of speech on, in milliseconds. */
export interface SpokenRun {
  readonly text: string
  /** End of speech until the command left for the hardware. */
  readonly sentMs: number
  /** End of speech until the home's telemetry showed it. */
  readonly verifiedMs: number
  readonly vadMs: number
  readonly transcribeMs: number
  /** Words there until the command left. */
  readonly understandMs: number
}

/** What was heard did not become a verified command. */
export class NotDone extends Error {}

export class DevicePath implements AsyncDisposable {
  readonly hearing: Hearing
  readonly #assistant: Assistant
  readonly #stack: AsyncDisposableStack
  #sentAtMs = 0

  private constructor(
    hearing: Hearing,
    parts: { registry: EntityRegistry; actuation: Actuation },
    stack: AsyncDisposableStack,
  ) {
    this.hearing = hearing
    this.#stack = stack
    const onEvent = ({ stage }: CommandEvent) => {
      if (stage === 'sent') this.#sentAtMs = realClock.monotonicMs()
    }
    this.#assistant = new Assistant({ clock: realClock, ...parts, understand, onEvent })
  }

  /** Returns when the speech models are loaded. */
  static async open(signal: AbortSignal): Promise<DevicePath> {
    await using stack = new AsyncDisposableStack()
    const deps = { clock: realClock, log: silentLog }
    const router = await openRouter(stack, signal)
    const host = { ...deps, random: () => realClock.random() }
    const home = { name: 'first home', yaml: readFileSync(firstHomeUrl, 'utf8') }
    const board = stack.use(await createHal(boards).openBoard({ home, hostSensors: false }, host, signal))
    const registry = new EntityRegistry(board.layout.areas)
    const actuation = new Actuation({ clock: realClock, registry })
    stack.defer(attachBoard(board, registry, actuation))
    const hearing = new Hearing({ inference: router, clock: realClock })
    return new DevicePath(hearing, { registry, actuation }, stack.move())
  }

  /** A recording that arrives now: its speech has just ended. */
  async sayRecording(wav: Uint8Array, signal: AbortSignal): Promise<SpokenRun> {
    const arrivedMs = realClock.monotonicMs()
    const heard = await this.hearing.hearWav(wav, signal)
    return {
      ...(await this.#obey(heard.text, arrivedMs, signal)),
      vadMs: heard.vadMs,
      transcribeMs: heard.transcribeMs,
    }
  }

  /** The first utterance that the microphone hears; `endedAtMs` gives the moment at which its speech ended. */
  async sayLive(microphone: Microphone, endedAtMs: () => number, signal: AbortSignal): Promise<SpokenRun> {
    for await (const heard of this.hearing.listen(microphone, signal)) {
      const run = await this.#obey(heard.text, endedAtMs(), signal)
      return { ...run, vadMs: heard.vadMs, transcribeMs: heard.transcribeMs }
    }
    throw new Error('the microphone ended before a word was heard')
  }

  async #obey(text: string, endedAtMs: number, signal: AbortSignal) {
    const heardAtMs = realClock.monotonicMs()
    this.#sentAtMs = 0
    const result: SayResult = await this.#assistant.say(
      text,
      { principal: 'user', spokenAtMs: endedAtMs },
      signal,
    )
    if (result.outcome !== 'done' || this.#sentAtMs === 0)
      throw new NotDone(`${JSON.stringify(text)} was not done: ${result.reply}`)
    return {
      text,
      sentMs: this.#sentAtMs - endedAtMs,
      verifiedMs: realClock.monotonicMs() - endedAtMs,
      understandMs: this.#sentAtMs - heardAtMs,
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#stack.disposeAsync()
  }
}

/** The speech models, loaded, behind the router that stands before them on a device. */
async function openRouter(stack: AsyncDisposableStack, signal: AbortSignal): Promise<Router> {
  const deps = { clock: realClock, log: silentLog }
  const options = { entry: programPath('engine'), models: [], budgetMb }
  const engines = stack.use(await EngineSupervisor.open(deps, options, signal))
  const store = stack.use(await ModelStore.open(deps, { dir: defaultModelsDir(), manifests: models }, signal))
  const served = stack.use(await ServedModels.open({ ...deps, store, engines }, {}, signal))
  for (const name of [detectorName, transcriberName]) {
    await served.ensure(name, { signal })
    await engines.preload(name, signal)
  }
  const routes = [new EngineRoute(served)]
  const plan = (model: string) => served.get(model)
  return stack.use(new Router({ ...deps, routes: () => routes, plan, redactor: () => new Redactor([]) }))
}
