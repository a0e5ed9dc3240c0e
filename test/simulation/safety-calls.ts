/**
 * Calls to a safety kernel. A `Move` is drawn blind, in small numbers; a `Run` makes a `Call` of it that means something
 * to the plant as it is: mostly a legal one, often enough a wrong one.
 */
import * as fc from 'fast-check'
import type { FaultCause, Lease, LeaseRequest, OutputValues } from '../../hal/contract/safety.ts'
import { SafetyKernel } from '../../hal/safety/kernel.ts'
import type {
  CommandRequest,
  Kernel,
  KernelConfig,
  KernelMemory,
  Step,
} from '../../hal/safety/kernel-types.ts'
import { outputNames } from './safety-plant.ts'

export type Call =
  | { readonly name: 'acquire'; readonly request: LeaseRequest }
  | { readonly name: 'renew' | 'release'; readonly id: string }
  | { readonly name: 'command'; readonly request: CommandRequest }
  | { readonly name: 'tick' | 'alive' | 'networkLost' | 'startedUp' | 'disarm' | 'restart' }
  | { readonly name: 'input'; readonly input: string; readonly value: number }
  | { readonly name: 'readBack'; readonly values: OutputValues }
  | { readonly name: 'writeFailed'; readonly outputs: readonly string[] }
  | { readonly name: 'fault'; readonly cause: FaultCause; readonly components: readonly string[] }
  | { readonly name: 'emergencyStop' | 'conflictMonitor'; readonly on: boolean }
  | { readonly name: 'endPrincipal' | 'arm'; readonly principal: string }
  | { readonly name: 'clearFault'; readonly id: string; readonly principal: string }

const names = [
  ['command', 50],
  ['state', 20],
  ['acquire', 6],
  ['renew', 12],
  ['tick', 10],
  ['wake', 14],
  ['alive', 14],
  ['input', 8],
  ['readBack', 4],
  ['release', 2],
  ['networkLost', 1],
  ['endPrincipal', 1],
  ['startedUp', 1],
  ['arm', 3],
  ['disarm', 1],
  ['clearFault', 4],
  ['emergencyStop', 2],
  ['conflictMonitor', 2],
  ['writeFailed', 1],
  ['fault', 1],
  ['restart', 1],
  ['recover', 40],
] as const

export interface Move {
  readonly name: (typeof names)[number][0]
  readonly afterMs: number
  readonly picks: readonly [number, number, number, number]
}

const pick = fc.nat({ max: 255 })
const afterMs = fc.constantFrom(0, 0, 0, 0, 1, 5, 20, 20, 40, 40, 100, 100, 300, 900)

export const moves: fc.Arbitrary<readonly Move[]> = fc.array(
  fc.record({
    name: fc.oneof(...names.map(([name, weight]) => ({ arbitrary: fc.constant(name), weight }))),
    afterMs,
    picks: fc.tuple(pick, pick, pick, pick),
  }),
  { maxLength: 220, size: 'max' },
)

const principals = ['user', 'mqtt', 'agent:a', 'model:m', 'nobody']
const at = <T>(list: readonly T[], index: number): T => {
  const found = list[index % list.length]
  if (found === undefined) throw new Error('nothing to pick from')
  return found
}

/** One kernel under calls; `now` moves with them. */
export class Run {
  readonly config: KernelConfig
  readonly leases: Lease[] = []
  kernel: Kernel
  nowMs = 0
  /** Every lease counts up by itself; a stale number is one that was used. */
  #number = 0
  #starts = 0
  #silent = false

  constructor(config: KernelConfig) {
    this.config = config
    this.kernel = new SafetyKernel(config, { faults: [] }, 0)
  }

  /** Started, armed, and every part in somebody's hands: most of what can happen, can. */
  opening(): readonly Call[] {
    const all = this.config.components.map(({ id }) => id)
    return [
      { name: 'conflictMonitor', on: true },
      { name: 'startedUp' },
      { name: 'arm', principal: 'user' },
      ...this.config.inputs.map((input) => ({ name: 'input' as const, input, value: 1 })),
      { name: 'acquire', request: { components: all, principal: 'agent:a', ttlMs: 5000 } },
    ]
  }

  call(move: Move): Call {
    const [a, b, c, d] = move.picks
    const wakeMs = this.kernel.nextWakeMs()
    if (move.name === 'wake' && wakeMs < this.nowMs + 1000) this.nowMs = Math.max(this.nowMs, wakeMs)
    else this.nowMs += move.afterMs
    const part = at(this.config.components, a)
    switch (move.name) {
      case 'wake':
      case 'tick':
      case 'alive':
      case 'networkLost':
      case 'startedUp':
      case 'disarm':
      case 'restart':
        return { name: move.name === 'wake' ? 'tick' : move.name }
      case 'acquire':
        return { name: 'acquire', request: this.#request(a, b, c) }
      case 'command':
        return { name: 'command', request: this.#command(part.id, this.#changes(a, b, c), c, d) }
      case 'state':
        return { name: 'command', request: this.#command(...this.#nextState(a, b), 255, d) }
      case 'renew':
      case 'release':
        return { name: move.name, id: this.#leaseId(a) }
      case 'input':
        return {
          name: 'input',
          input: at(this.config.inputs, a),
          value: at([1, 1, 1, 1, 50, 0, Number.NaN], b),
        }
      case 'readBack':
        return { name: 'readBack', values: this.#measured(a, b) }
      case 'writeFailed':
        return { name: 'writeFailed', outputs: [at(outputNames(this.config), a)] }
      case 'fault':
        return { name: 'fault', cause: at(['stall', 'start-up'] as const, b), components: [part.id] }
      case 'emergencyStop':
      case 'conflictMonitor':
        return { name: move.name, on: (a % 3 === 0) === (move.name === 'emergencyStop') }
      case 'endPrincipal':
        return { name: 'endPrincipal', principal: at(principals, a) }
      case 'arm':
        return { name: 'arm', principal: a % 4 === 0 ? 'model:m' : 'user' }
      case 'clearFault':
        return { name: 'clearFault', id: this.#faultId(a), principal: b % 8 === 0 ? 'agent:a' : 'user' }
      case 'recover':
        return this.#recovery(a)
    }
  }

  /** Makes the call. A restart forgets all but the faults, and counts as a step that wrote everything. */
  perform(call: Call): Step {
    if (call.name === 'restart') {
      this.#silent = false
      const memory: KernelMemory = this.kernel.memory()
      this.#starts++
      const config = { ...this.config, startId: `start${this.#starts}` }
      this.kernel = new SafetyKernel(config, memory, this.nowMs)
      return { writes: [this.kernel.values()], emergency: true, events: [] }
    }
    const step = callKernel(this.kernel, call, this.nowMs)
    for (const event of step.events) {
      if (event.type === 'lease-granted') this.leases.push(event.lease)
      if (event.type === 'silence') this.#silent = event.silent
    }
    return step
  }

  /** The next call on the way from wherever it is to everything armed and in one hand. */
  #recovery(a: number): Call {
    const { emergencyStop, faults, armed, leases } = this.kernel.status(this.nowMs)
    if (this.#silent) return { name: 'alive' }
    if (emergencyStop) return { name: 'emergencyStop', on: false }
    if (faults.some(({ cause }) => cause === 'conflict-monitor')) return { name: 'conflictMonitor', on: true }
    if (faults.length > 0) return { name: 'clearFault', id: this.#faultId(a), principal: 'user' }
    if (!armed)
      return a % 2 === 0 ? { name: 'arm', principal: 'user' } : { name: 'conflictMonitor', on: true }
    const held = new Set(leases.flatMap(({ components }) => components))
    const free = this.config.components.map(({ id }) => id).filter((id) => !held.has(id))
    if (free.length === 0) return { name: 'alive' }
    return { name: 'acquire', request: { components: free, principal: at(principals, a), ttlMs: 5000 } }
  }

  #request(a: number, b: number, c: number): LeaseRequest {
    const ids = this.config.components.map(({ id }) => id).filter((_, index) => (a >> index) % 2 === 1)
    const components = a === 255 ? ['nothing'] : ids.length > 0 ? ids : [at(this.config.components, a).id]
    return { components, principal: at(principals, b), ttlMs: at([200, 800, 2000, 2000, 600_000, 0], c) }
  }

  /** Mostly by whoever holds the part, mostly with a new number. */
  #command(component: string, changes: OutputValues, c: number, d: number): CommandRequest {
    const holder = this.kernel.status(this.nowMs).leases.find((lease) => lease.components.includes(component))
    const lease = d % 16 === 0 ? this.leases[d % Math.max(1, this.leases.length)] : holder
    this.#number++
    return {
      component: c === 0 ? 'nothing' : component,
      leaseId: lease?.id ?? 'none',
      principal: d % 17 === 1 ? 'nobody' : (lease?.principal ?? 'nobody'),
      sequence: d % 13 === 1 ? this.#number - 2 : this.#number,
      ttlMs: 100,
      issuedMs: this.nowMs - (d % 19 === 1 ? 101 : d % 100),
      changes,
    }
  }

  /** Some of a part's outputs, mostly to values that they can have. */
  #changes(a: number, b: number, c: number): OutputValues {
    const { outputs } = at(this.config.components, a)
    const changes: Record<string, number> = {}
    for (const [index, { name, type, safe }] of outputs.entries()) {
      if (outputs.length > 1 && (b >> index) % 2 === 0) continue
      const values = type === 'binary' ? [0, 1, 1, safe] : [0, 50, 100, -50, 40, 7.25, safe, 30]
      changes[name] = at(values, c >> index)
    }
    if (c % 64 === 63)
      changes[at(['nothing', ...outputs.map(({ name }) => name)], b)] = at([Number.NaN, 101, 0.5], c)
    return changes
  }

  /** A state of some sequence, in the words of its part. */
  #nextState(a: number, b: number): [string, OutputValues] {
    const sequences = this.config.constraints.filter((constraint) => constraint.rule === 'sequence')
    if (sequences.length === 0) return [at(this.config.components, a).id, this.#changes(a, 255, b)]
    const { states } = at(sequences, a)
    const values = Object.entries(at(Object.values(states), b))
    const [id = ''] = at(values, a >> 4)[0].split('.')
    const own = values.filter(([name]) => name.startsWith(`${id}.`))
    return [id, Object.fromEntries(own.map(([name, value]) => [name.slice(id.length + 1), value]))]
  }

  #leaseId(a: number): string {
    const live = this.kernel.status(this.nowMs).leases.map(({ id }) => id)
    const known = a % 5 === 0 || live.length === 0 ? this.leases.map(({ id }) => id) : live
    return known.length === 0 ? 'none' : at(known, a >> 3)
  }

  #faultId(a: number): string {
    const faults = this.kernel.memory().faults
    return faults.length === 0 ? 'none' : at(faults, a).id
  }

  /** What the hardware says: the truth, or for one output something else. */
  #measured(a: number, b: number): OutputValues {
    const values = { ...this.kernel.values() }
    const name = at(Object.keys(values), a)
    if (b % 4 === 0) values[name] = (values[name] ?? 0) + at([1, -3, Number.NaN, 2], b >> 2)
    return values
  }
}

function callKernel(kernel: Kernel, call: Exclude<Call, { name: 'restart' }>, nowMs: number): Step {
  switch (call.name) {
    case 'acquire':
      return kernel.acquire(call.request, nowMs)
    case 'command':
      return kernel.command(call.request, nowMs)
    case 'renew':
    case 'release':
      return kernel[call.name](call.id, nowMs)
    case 'input':
      return kernel.input(call.input, call.value, nowMs)
    case 'readBack':
      return kernel.readBack(call.values, nowMs, 0)
    case 'writeFailed':
      return kernel.writeFailed(call.outputs, 'refused', nowMs, 0)
    case 'fault':
      return kernel.fault(call.cause, call.components, 'broken', nowMs, 0)
    case 'emergencyStop':
    case 'conflictMonitor':
      return kernel[call.name](call.on, nowMs, 0)
    case 'endPrincipal':
    case 'arm':
      return kernel[call.name](call.principal, nowMs)
    case 'clearFault':
      return kernel.clearFault(call.id, call.principal, nowMs)
    case 'disarm':
      return kernel.disarm('asked', nowMs)
    default:
      return kernel[call.name as 'tick'](nowMs)
  }
}
