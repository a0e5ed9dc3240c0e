/**
 * A trace of agents served as a device does it: the schedule that a device opens, with the limits and quotas of its configuration's
 * defaults. Of what a step costs and when it is due it is told only what a device knows. Behind it are a simulated processor, engine and
 * language model server; what calls cost beside their work (turns on the disk, messages) is left out.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { schedulerOf } from '../../runtime/agent/scheduler/device-resources.ts'
import { openSchedule } from '../../runtime/agent/scheduler/device-schedule.ts'
import { answerWanted, dueMsOf } from '../../runtime/agent/scheduler/urgency.ts'
import { type Outcome as CallOutcome, type Service, unshared } from '../../runtime/agent/service.ts'
import type { CallOp } from '../../runtime/agent/turn.ts'
import { sleep, type VirtualClock } from '../../runtime/base/clock.ts'
import { silentLog } from '../../runtime/base/log.ts'
import { loadDeviceConfig } from '../../runtime/config/config.ts'
import { PriorityQueue, type Queued } from '../../runtime/inference/engine/priority-queue.ts'
import type { Priority } from '../../runtime/wire/infer.ts'
import { Line, Shared, textsMax } from './agent-disciplines.ts'
import { type Outcome, play, type Serve, type Step, type TraceTask } from './agent-trace.ts'

const { signal } = new AbortController()
const done: CallOutcome = { ok: true }
/** A question, and the most that an answer may be, are drawn from the budget of tokens; what was not used goes back. */
const tokens = { question: 100, answerMax: 4_096, perPart: 8 }

export async function playWired(trace: readonly TraceTask[], clock: VirtualClock): Promise<Outcome> {
  const directory = await mkdtemp(join(tmpdir(), 'schedule-'))
  try {
    const { agents: config } = loadDeviceConfig({ id: 'bench', stateDir: directory })
    const scheduler = schedulerOf(clock, config)
    const classes = new Map<string, Priority>(trace.map(({ agent, priority }) => [agent, priority]))
    const priorityOf = (agent: string) => classes.get(agent) ?? 'background'
    await using schedule = await openSchedule(
      { clock, log: silentLog, own: 'bench', scheduler, priorityOf, leaseHolder: () => undefined },
      { directory, ...config },
      signal,
    )
    const steps = new Map<number, Step>()
    const services = schedule.scheduled([engineOf(clock, steps), languageOf(clock, steps)])
    return await play(trace, clock, serving(clock, schedule, services, steps))
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

const ops: Readonly<Partial<Record<Step['need'], CallOp>>> = { engine: 'infer', language: 'think' }

function serving(
  clock: VirtualClock,
  { turns }: Pick<Awaited<ReturnType<typeof openSchedule>>, 'turns'>,
  services: readonly Service[],
  steps: Map<number, Step>,
): Serve {
  let calls = 0
  return async ({ agent, atMs, deadlineMs, steps: [first] }, step) => {
    const workMs = step.partMs * step.parts
    const op = ops[step.need]
    const nowMs = clock.nowMs()
    // As agents say it: all of it in `ctx.tasks`, which is wanted `within` a time.
    const args = { urgency: { dueMs: nowMs - clock.monotonicMs() + atMs + deadlineMs } }
    if (!op) {
      // The first turn brings a report, of which nobody knows before when what follows from it will be wanted.
      const brings = step === first ? {} : answerWanted(clock, { args, askedMs: nowMs })
      const over = await turns.turn(agent, signal, () => [brings])
      await sleep(clock, workMs)
      return over({ cpuMs: workMs, ticks: 0, memoryBytes: 600_000 })
    }
    calls += 1
    const id = calls
    steps.set(id, step)
    const service = services.find((one) => one.ops.includes(op))
    const outcome = await service?.perform(
      {
        caller: { agent, token: 1 },
        call: { id, op, args },
        ...{ resumed: false, askedMs: nowMs, emit: () => true },
      },
      signal,
    )
    if (outcome !== done) throw new Error(`${op} of ${agent} was not done: ${JSON.stringify(outcome)}`)
    steps.delete(id)
  }
}

function stepOf(steps: ReadonlyMap<number, Step>, id: number): Step {
  const step = steps.get(id)
  if (!step) throw new Error(`nobody asked for call ${id}`)
  return step
}

/** One run at a time; those that wait, in the engine's own order. */
function engineOf(clock: VirtualClock, steps: ReadonlyMap<number, Step>): Service {
  const line = new PriorityQueue<Queued & { readonly go: () => void }>(1_024)
  let busy = false
  const next = () => {
    const one = line.peek()
    busy = one !== undefined
    if (!one) return
    line.remove(one)
    one.go()
  }
  return {
    ops: ['infer'],
    async perform({ caller: { priority = 'background' }, call, sharing = unshared }) {
      const expiresAtMs = dueMsOf(call)
      await new Promise<void>((go) => {
        line.push({ priority, expiresAtMs, go })
        if (!busy) next()
      })
      const { partMs, parts } = stepOf(steps, call.id)
      await sleep(clock, partMs * parts)
      next()
      sharing.spend({ engineMs: partMs * parts })
      return done
    },
  }
}

/**
 * A server that writes the texts it has memory for side by side. A thought that hears them gives way between pieces; the server goes on
 * with its text meanwhile.
 */
function languageOf(clock: VirtualClock, steps: ReadonlyMap<number, Step>): Service {
  const server = new Shared(clock, 1)
  const memory = new Line(textsMax, () => 0)
  return {
    ops: ['think'],
    async perform({ caller: { agent, priority = 'background' }, call, sharing = unshared }) {
      const { partMs, parts } = stepOf(steps, call.id)
      await sharing.boundary(signal)
      const used = await sharing.draw('tokens', tokens.question + tokens.answerMax, signal)
      let isWhole = false
      const write = async () => {
        const leave = await memory.enter({ agent, priority, atMs: 0, deadlineMs: 0, steps: [] })
        await server.work(partMs * parts)
        leave()
        isWhole = true
      }
      const written = write()
      while (!isWhole) {
        await Promise.race([written, sleep(clock, partMs)])
        await sharing.boundary(signal)
      }
      used(tokens.question + tokens.perPart * parts)
      return done
    },
  }
}
