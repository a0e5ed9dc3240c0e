/** Inference in the device's account of itself: models, engines and their memory against the budget, and what is wrong. */
import type { DeviceInference } from '../inference/device-inference.ts'
import { planProblem } from '../inference/plan-problem.ts'
import type { ServedModel } from '../inference/served-models.ts'
import type { EngineModelStatus } from '../wire/engine-protocol.ts'
import type { StatusResult } from '../wire/messages.ts'

export interface InferenceAccount {
  readonly models: StatusResult['models']
  readonly engine: NonNullable<StatusResult['engine']>
  readonly processes: readonly { readonly pid: number | undefined; readonly state: string }[]
  readonly problems: readonly string[]
}

export async function inferenceStatus(inference: DeviceInference): Promise<InferenceAccount> {
  const { engines, served, added, plan, routes } = inference
  const status = await engines.status()
  const states = new Map(status.models.map((model) => [model.name, model]))
  const list = served.list()
  const plans = new Map(list.map((model) => [model.name, planProblem(model, routes)]))
  const problems = [
    ...served.problems,
    ...[...plans].flatMap(([name, reason]) => (reason === undefined ? [] : [`model ${name}: ${reason}`])),
    ...added.problems.map(({ reason }) => `an added model is not served: ${reason}`),
    ...status.models.flatMap(({ name, state, reason }) =>
      state === 'failed' ? [`model ${name} does not load: ${reason ?? 'no reason is given'}`] : [],
    ),
  ]
  return {
    models: [
      ...list.map((model) => servedEntry(model, states.get(model.name), plans.get(model.name))),
      ...served.missing.map(({ name, reason }) => ({
        ...{ name, version: '', state: 'absent' as const, megabytes: 0, reason },
      })),
      ...added.problems.map(({ name, folder, reason }) => ({
        ...{ name, version: '', state: 'failed' as const, megabytes: 0, reason, from: folder },
      })),
    ],
    engine: {
      ...{ state: status.state, workers: plan.workers, threads: plan.intraOpThreads },
      ...{ reasons: [...plan.reasons], budgetMb: plan.budgetMb },
      ...(status.memory === undefined ? {} : { usedMb: rounded(status.memory.usedMb) }),
      ...(status.rssMb === undefined ? {} : { rssMb: rounded(status.rssMb) }),
      ...{ restarts: status.restarts, replaced: status.replaced },
    },
    processes: status.processes,
    problems,
  }
}

function servedEntry(
  model: ServedModel,
  status: EngineModelStatus | undefined,
  planReason: string | undefined,
): StatusResult['models'][number] {
  const { name, version, description, licence, from, inputs, outputs } = model
  const figures = status?.figures
  const reason = status?.reason ?? planReason
  return {
    ...{ name, version, state: status?.state ?? 'present' },
    megabytes: rounded(figures?.memoryMb ?? model.engine.memoryMb ?? 0),
    ...(reason === undefined ? {} : { reason }),
    ...{ description, licence, from, pinned: model.engine.pin ?? false },
    ...{ inputs: [...inputs], outputs: [...outputs] },
    ...(figures && {
      ...{ measured: figures.measured, loads: figures.loads, evictions: figures.evictions },
      ...{ queued: figures.queued, running: figures.running, answered: figures.answered },
      ...(figures.runMs.samples > 0 && {
        p50Ms: rounded(figures.runMs.p50),
        p95Ms: rounded(figures.runMs.p95),
      }),
    }),
  }
}

/** One decimal is what anybody reads. */
function rounded(value: number): number {
  return Math.round(value * 10) / 10
}
