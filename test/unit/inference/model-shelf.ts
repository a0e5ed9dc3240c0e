/** Models of a pipeline that takes the memory it says, and steps when it is told: what tests of the table share. */
import { VirtualClock } from '../../../runtime/base/clock.ts'
import { ModelTable } from '../../../runtime/inference/engine/model-table.ts'
import type { PipelineKind, Steps } from '../../../runtime/inference/engine/pipelines/pipeline.ts'
import { Scheduler, type SchedulerOptions } from '../../../runtime/inference/engine/scheduler.ts'
import type { Meter } from '../../../runtime/inference/engine/session.ts'
import type { EngineModel } from '../../../runtime/wire/engine-protocol.ts'
import type { InferResponse, Priority } from '../../../runtime/wire/infer.ts'

/** `mb`: what it takes once loaded; `runMb`: what its first run takes more. */
export const shelved = (name: string, mb: number, more: Partial<EngineModel> & { runMb?: number } = {}) => {
  const { runMb = 0, ...model } = more
  return { name, pipeline: 'shelf', files: {}, memoryMb: mb, options: { mb, runMb }, ...model } as EngineModel
}

export class Shelf {
  readonly clock = new VirtualClock()
  readonly said: string[] = []
  readonly responses: InferResponse[] = []
  nativeMb = 100
  nativePeakMb = 100
  /** Time that a run takes. */
  runMs = 10
  readonly #held = new Map<string, PromiseWithResolvers<void>>()
  readonly table: ModelTable
  readonly scheduler: Scheduler
  #check = () => {}

  constructor(models: readonly EngineModel[], options: Partial<SchedulerOptions> = {}) {
    this.table = new ModelTable(this.clock, {
      pipelines: [this.#kind],
      intraOpThreads: 1,
      nativeMb: () => this.nativeMb,
      onLoaded: ({ model, memoryMb }) => this.say(`loaded ${model} ${memoryMb}`),
      onFailed: (model, { code, message }) => this.say(`failed ${model} ${code}: ${message}`),
      onEvicted: (model, memoryMb) => this.say(`evicted ${model} ${memoryMb}`),
      onFreed: () => this.scheduler.wake(),
    })
    this.scheduler = new Scheduler(
      {
        clock: this.clock,
        models: this.table,
        drained: async () => {},
        doneWith: () => {},
        respond: (response) => {
          this.responses.push(response)
          if (response.final)
            this.say('error' in response ? `${response.id} ${response.error.code}` : response.id)
        },
      },
      { queueMax: 64, ...options },
    )
    this.table.set(models)
  }

  /** Its runs wait, once they have begun, until they are let on. */
  hold(model: string): { readonly letOn: () => void } {
    const held = Promise.withResolvers<void>()
    this.#held.set(model, held)
    return {
      letOn: () => {
        this.#held.delete(model)
        held.resolve()
      },
    }
  }

  ask(
    id: string,
    model: string,
    more: { priority?: Priority; deadlineMs?: number; inputs?: unknown[] } = {},
  ): void {
    this.scheduler.add({
      priority: 'interactive',
      deadlineMs: 60_000,
      privacy: 'device',
      inputs: [],
      id,
      model,
      ...more,
    })
  }

  say(line: string): void {
    this.said.push(line)
    this.#check()
  }

  /** Resolves once `line` was said; the test's own time limit is the deadline. */
  async until(...lines: readonly string[]): Promise<void> {
    for (const line of lines)
      await new Promise<void>((resolve) => {
        this.#check = () => {
          if (this.said.includes(line)) resolve()
        }
        this.#check()
      })
  }

  message(id: string): string {
    const response = this.responses.find((one) => one.id === id && one.final)
    return response && 'error' in response ? response.error.message : ''
  }

  figures(model: string) {
    return this.table.states().find(({ name }) => name === model)?.figures
  }

  #take(mb: number): void {
    this.nativeMb += mb
    this.nativePeakMb = Math.max(this.nativePeakMb, this.nativeMb)
  }

  readonly #kind: PipelineKind = {
    name: 'shelf',
    roles: [],
    load: async ({ model }) => {
      const mb = Number(model.options?.['mb'])
      this.#take(mb)
      this.clock.advance(5)
      let runMb = 0
      const firstRun = () => {
        if (runMb > 0) return
        runMb = Number(model.options?.['runMb'])
        this.#take(runMb)
      }
      return {
        run: (_, meter) => this.#steps(model.name, firstRun, meter),
        runTogether: async (requests, meter) => {
          firstRun()
          this.#run(meter)
          this.say(`together ${requests.length}`)
          return requests.map(() => [])
        },
        release: async () => {
          this.nativeMb -= mb + runMb
          this.say(`released ${model.name}`)
        },
      }
    },
  }

  async *#steps(model: string, firstRun: () => void, meter: Meter): Steps {
    firstRun()
    const held = this.#held.get(model)
    if (held) {
      this.say(`begun ${model}`)
      await held.promise
      yield undefined
    }
    this.#run(meter)
    return []
  }

  #run(meter: Meter): void {
    this.clock.advance(this.runMs)
    meter.modelMs += this.runMs
  }
}
