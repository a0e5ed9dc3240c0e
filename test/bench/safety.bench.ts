/** What a command costs in the safety kernel: 200 rules of every sort over 100 parts, legal and illegal commands mixed. */
import type { Constraint, OutputSpec } from '../../hal/contract/safety.ts'
import { SafetyKernel } from '../../hal/safety/kernel.ts'
import type { KernelComponent } from '../../hal/safety/kernel-types.ts'
import type { Benchmark } from './benchmark.ts'
import { median, quantile } from './quantiles.ts'

const parts = 100
const promisedUs = 50
const warmUp = 5_000

export const safety: Benchmark = {
  name: 'safety',
  async run({ quick, signal, progress }) {
    const commands = quick ? 50_000 : 500_000
    const ruled = new Commands(rules())
    const bare = new Commands([])
    const times = { ruled: new Float64Array(commands), bare: new Float64Array(commands) }
    for (let at = -warmUp; at < commands; at++) {
      if (at % 10_000 === 0) signal.throwIfAborted()
      // Every other time the other way first.
      const ways = at % 2 === 0 ? (['ruled', 'bare'] as const) : (['bare', 'ruled'] as const)
      for (const way of ways) {
        const us = (way === 'ruled' ? ruled : bare).timed()
        if (at >= 0) times[way][at] = us
      }
    }
    progress(`${ruled.refused} of ${ruled.sent} commands refused`)
    const [value, baseline] = [quantile(times.ruled, 0.99), quantile(times.bare, 0.99)]
    return [
      {
        name: 'safety.check-p99',
        value,
        unit: 'µs',
        baseline,
        against: 'the same commands to a kernel without rules',
        budget: { of: 'value', max: promisedUs },
        limit: 'the rules that name the commanded output, and making the answer',
        note: `p50 ${median(times.ruled).toFixed(1)} µs with ${rules().length} rules, ${median(times.bare).toFixed(1)} µs without; ${Math.round((100 * ruled.refused) / ruled.sent)} % refused`,
      },
    ]
  },
}

const id = (at: number) => `p${at % parts}`
const on = (at: number) => `${id(at)}.on`
const duty = (at: number) => `${id(at)}.duty`

/** One part after the other, and back. */
function chain(one: string, other: string): Constraint {
  const state = (first: number, then: number) => ({ [one]: first, [other]: then })
  return {
    rule: 'sequence',
    outputs: [one, other],
    states: { idle: state(0, 0), one: state(1, 0), both: state(1, 1) },
    steps: [
      { from: 'idle', to: 'one', afterMs: 1 },
      { from: 'one', to: 'both', afterMs: 1 },
      { from: 'both', to: 'one', afterMs: 0 },
      { from: 'one', to: 'idle', afterMs: 0 },
    ],
  }
}

/** 20 of each: every output is under several. */
function rules(): Constraint[] {
  const few = (from: number, length: number) => Array.from({ length }, (_, step) => on(from + step))
  return Array.from({ length: 20 }, (_, n): Constraint[] => {
    const at = 5 * n
    return [
      { rule: 'mutex', outputs: few(at, 8), onMax: 5 },
      { rule: 'permissive', outputs: few(at, 4), together: [[on(at), on(at + 2)]] },
      { rule: 'minimum', output: on(at), onMs: 1, offMs: 1 },
      { rule: 'maximum-on', output: on(at + 1), onMs: 60_000 },
      { rule: 'range', output: duty(at), min: 0, max: 90 },
      { rule: 'rate', output: on(at + 2), changesMax: 100, perMs: 1000 },
      { rule: 'slew', output: duty(at + 1), perS: 100 },
      { rule: 'clearance', groups: [[on(at + 1)], [on(at + 2), on(at + 4)]], afterMs: 10 },
      chain(on(at + 3), on(at + 4)),
      { rule: 'dependency', output: on(at + 3), needs: duty(at + 2), min: 20, max: 100 },
    ]
  }).flat()
}

const outputs: readonly OutputSpec[] = [
  { name: 'on', type: 'binary', safe: 0, min: 0, max: 1 },
  { name: 'duty', type: 'number', safe: 0, min: 0, max: 100 },
]

/** One holder that commands part after part, half a millisecond apart. */
class Commands {
  sent = 0
  refused = 0
  readonly #kernel: SafetyKernel
  readonly #lease: string

  constructor(constraints: readonly Constraint[]) {
    const components = Array.from({ length: parts }, (_, at): KernelComponent => {
      return { id: id(at), outputs, exclusive: false, keepWithoutNetwork: false }
    })
    const limits = { silenceMsMax: 1e12, rampTickMs: 20, startId: 'bench' }
    const config = {
      components,
      constraints,
      inputs: [],
      arming: 'automatic',
      hasConflictMonitor: false,
    } as const
    this.#kernel = new SafetyKernel({ ...config, ...limits }, { faults: [] }, 0)
    this.#kernel.startedUp(0)
    const all = components.map((component) => component.id)
    const { lease } = this.#kernel.acquire({ components: all, principal: 'mqtt', ttlMs: 600_000 }, 0)
    if (!lease) throw new Error('the kernel gave no lease')
    this.#lease = lease.id
  }

  /** Microseconds of one command. */
  timed(): number {
    const sequence = ++this.sent
    const nowMs = sequence / 2
    // 7 and 13 have no part in 100: every part gets every sort of command in turn.
    const component = id(sequence * 7)
    const changes = { on: (sequence * 13) % 3 === 0 ? 0 : 1, duty: (sequence * 13) % 101 }
    const request = {
      component,
      leaseId: this.#lease,
      sequence,
      principal: 'mqtt',
      ttlMs: 100,
      issuedMs: nowMs,
      changes,
    }
    const startNs = process.hrtime.bigint()
    const { denial } = this.#kernel.command(request, nowMs)
    const us = Number(process.hrtime.bigint() - startNs) / 1000
    if (denial) this.refused++
    if (sequence % 1000 === 0) this.#kernel.renew(this.#lease, nowMs)
    return us
  }
}
