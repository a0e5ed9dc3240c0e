/** Small plants for the kernel's tests, and a kernel whose time the test moves. */
import type { Constraint, OutputSpec, OutputValues } from '../../../../hal/contract/safety.ts'
import { SafetyKernel } from '../../../../hal/safety/kernel.ts'
import type {
  AskedStep,
  KernelComponent,
  KernelConfig,
  KernelMemory,
  LeaseStep,
  Step,
} from '../../../../hal/safety/kernel-types.ts'

export const binary = (name: string, safe: 0 | 1 = 0): OutputSpec => ({
  name,
  type: 'binary',
  safe,
  min: 0,
  max: 1,
})

export const level = (name: string, more: Partial<OutputSpec> = {}): OutputSpec => ({
  name,
  type: 'number',
  safe: 0,
  min: 0,
  max: 100,
  ...more,
})

export const part = (
  id: string,
  outputs: readonly OutputSpec[],
  more: Partial<KernelComponent> = {},
): KernelComponent => ({ id, outputs, exclusive: false, keepWithoutNetwork: false, ...more })

export const relay = (id: string, more: Partial<KernelComponent> = {}) => part(id, [binary('on')], more)

export const head = (id: string, more: Partial<KernelComponent> = {}) =>
  part(id, [binary('red', 1), binary('yellow'), binary('green')], more)

/** Red, green, yellow for at least 3 s, red. */
export const lamps = (id: string): Constraint => {
  const state = (red: number, yellow: number, green: number) => ({
    [`${id}.red`]: red,
    [`${id}.yellow`]: yellow,
    [`${id}.green`]: green,
  })
  return {
    rule: 'sequence',
    outputs: [`${id}.red`, `${id}.yellow`, `${id}.green`],
    states: { stop: state(1, 0, 0), go: state(0, 0, 1), caution: state(0, 1, 0) },
    steps: [
      { from: 'stop', to: 'go', afterMs: 1000 },
      { from: 'go', to: 'caution', afterMs: 2000 },
      { from: 'caution', to: 'stop', afterMs: 3000 },
    ],
  }
}

export const stop = { red: 1, yellow: 0, green: 0 }
export const go = { red: 0, yellow: 0, green: 1 }
export const caution = { red: 0, yellow: 1, green: 0 }

export const kernelConfig = (
  components: readonly KernelComponent[],
  constraints: readonly Constraint[] = [],
  more: Partial<KernelConfig> = {},
): KernelConfig => ({
  components,
  constraints,
  inputs: [],
  arming: 'automatic',
  hasConflictMonitor: false,
  silenceMsMax: 1_000_000,
  rampTickMs: 20,
  startId: 's',
  ...more,
})

/** A kernel, its time, and the numbers of its commands. */
export class Bench {
  readonly kernel: SafetyKernel
  nowMs: number
  #number = 0
  #principals = new Map<string, string>()

  constructor(config: KernelConfig, memory: KernelMemory = { faults: [] }, nowMs = 0) {
    this.kernel = new SafetyKernel(config, memory, nowMs)
    this.nowMs = nowMs
  }

  /** Started and, where that is automatic, armed. */
  static started(...config: Parameters<typeof kernelConfig>): Bench {
    const bench = new Bench(kernelConfig(...config))
    bench.kernel.startedUp(0)
    return bench
  }

  get values(): OutputValues {
    return this.kernel.values()
  }

  after(ms: number): Step {
    this.nowMs += ms
    return this.kernel.tick(this.nowMs)
  }

  ask(components: string | readonly string[], principal = 'user', ttlMs = 100_000): LeaseStep {
    const step = this.kernel.acquire({ components: [components].flat(), principal, ttlMs }, this.nowMs)
    if (step.lease) this.#principals.set(step.lease.id, principal)
    return step
  }

  /** Id of a lease that is granted, or an Error that says why it was not. */
  lease(components: string | readonly string[], principal = 'user', ttlMs = 100_000): string {
    const { lease, denial } = this.ask(components, principal, ttlMs)
    if (!lease) throw new Error(denial.message)
    return lease.id
  }

  command(leaseId: string, component: string, changes: OutputValues, more: object = {}): AskedStep {
    this.#number++
    const request = {
      component,
      leaseId,
      sequence: this.#number,
      principal: this.#principals.get(leaseId) ?? 'nobody',
      ttlMs: 1000,
      issuedMs: this.nowMs,
      changes,
      ...more,
    }
    return this.kernel.command(request, this.nowMs)
  }
}
