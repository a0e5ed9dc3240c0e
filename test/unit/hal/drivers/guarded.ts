/** One actuator driver under the real safety kernel, armed, with a lease; time is the test's. */
import type { Command } from '../../../../hal/contract/actuator.ts'
import type { ActuatorDriver, Options } from '../../../../hal/contract/driver.ts'
import type { OutputValues } from '../../../../hal/contract/safety.ts'
import { defaultOptions } from '../../../../hal/drivers/options.ts'
import { withPart } from '../../../../hal/safety/driven.ts'
import { SafetyKernel } from '../../../../hal/safety/kernel.ts'
import type { Step } from '../../../../hal/safety/kernel-types.ts'

/** Renewed in time as long as it is held. */
const leaseMs = 10_000

export class Guarded {
  readonly options: Options
  readonly driver: ActuatorDriver
  /** Every vector that was on the wire, in order. */
  readonly vectors: OutputValues[] = []
  nowMs = 0
  readonly #kernel: SafetyKernel
  #wire: OutputValues
  #leaseId = ''
  #sequence = 0

  constructor(driver: ActuatorDriver, options: Options = {}) {
    this.driver = driver
    this.options = { ...defaultOptions(driver.options), ...options }
    this.#kernel = new SafetyKernel(
      {
        components: [
          {
            id: 'part',
            outputs: driver.outputs(this.options),
            exclusive: false,
            keepWithoutNetwork: false,
            ...(driver.safetyClass ? { safetyClass: driver.safetyClass } : {}),
          },
        ],
        constraints: (driver.constraints?.(this.options) ?? []).map((rule) => withPart('part', rule)),
        inputs: [],
        arming: 'person',
        hasConflictMonitor: true,
        silenceMsMax: 1e9,
        rampTickMs: 20,
        startId: 'test',
      },
      { faults: [] },
      0,
    )
    this.#wire = this.values
    this.#kernel.conflictMonitor(true, 0, 0)
    this.#kernel.startedUp(0)
    this.#kernel.arm('user', 0)
    this.lease()
  }

  get values(): OutputValues {
    return local(this.#kernel.values())
  }

  get state(): string {
    return this.driver.telemetry(this.values, this.options, {}).state
  }

  lease(): void {
    const step = this.#kernel.acquire({ components: ['part'], principal: 'user', ttlMs: leaseMs }, this.nowMs)
    if (!step.lease) throw new Error(step.denial.message)
    this.#leaseId = step.lease.id
    this.#sequence = 0
    this.#saw(step)
  }

  release(): void {
    this.#saw(this.#kernel.release(this.#leaseId, this.nowMs))
  }

  /** The rule that denied it; undefined when it was done. */
  command(command: Command): string | undefined {
    this.#sequence += 1
    const step = this.#kernel.command(
      {
        component: 'part',
        leaseId: this.#leaseId,
        sequence: this.#sequence,
        principal: 'user',
        ttlMs: 1000,
        issuedMs: this.nowMs,
        changes: this.driver.plan(command, this.options, this.values),
      },
      this.nowMs,
    )
    this.#saw(step)
    return step.denial?.rule
  }

  advance(ms: number): void {
    const untilMs = this.nowMs + ms
    while (this.nowMs < untilMs) {
      this.nowMs = Math.min(
        untilMs,
        Math.max(this.nowMs + 1, this.#kernel.nextWakeMs()),
        this.nowMs + leaseMs / 2,
      )
      this.#saw(this.#kernel.renew(this.#leaseId, this.nowMs))
      this.#saw(this.#kernel.tick(this.nowMs))
    }
  }

  #saw({ writes }: Step): void {
    for (const write of writes) {
      this.#wire = { ...this.#wire, ...local(write) }
      this.vectors.push(this.#wire)
    }
  }
}

/** Names without the part. */
function local(values: OutputValues): OutputValues {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name.replace('part.', ''), value]))
}
