/** A step in the making: what was committed and what happened in one call, and what has still to go safe in it. */
import type { Denial, OutputValues } from '../contract/safety.ts'
import type { Component, Output, Unit } from './kernel-output.ts'
import type { Plan } from './kernel-plan.ts'
import { commit, settle } from './kernel-settle.ts'
import type { KernelEvent, Step } from './kernel-types.ts'

/** What an event repeats of a request: names beyond this, and what is longer than that, are left out. */
const namesInEventMax = 64
const nameLengthMax = 128

type Denied = Omit<Extract<KernelEvent, { type: 'denied' }>, 'type'>

export class Draft {
  readonly events: KernelEvent[] = []
  /** Something was driven safe at once. */
  emergency = false
  readonly #plan: Plan
  readonly #nowMs: number
  readonly #writes: OutputValues[] = []
  readonly #demands = new Map<Unit, 1 | 2>()
  readonly #rewrite = new Set<Output>()

  constructor(plan: Plan, nowMs: number) {
    this.#plan = plan
    this.#nowMs = nowMs
  }

  get step(): Step {
    return { writes: this.#writes, events: this.events, emergency: this.emergency }
  }

  get demanding(): boolean {
    return this.#demands.size > 0
  }

  /** Its outputs have to go safe: by level 1 when a lease was lost, at once by level 2. */
  demand(component: Component, level: 1 | 2): void {
    for (const { unit } of component.outputs) {
      this.#demands.set(unit, level === 2 ? 2 : (this.#demands.get(unit) ?? 1))
    }
  }

  /** Its outputs are in the next write, changed or not. */
  rewrite(component: Component): void {
    for (const output of component.outputs) this.#rewrite.add(output)
  }

  /** Brings about what was demanded, if anything was, and commits it. */
  settle(): void {
    if (!this.demanding) return
    this.force()
    this.commit(this.#plan.outputs.values())
  }

  /** Puts what was demanded, and what that entails, into `next`. */
  force(): void {
    for (const { units, rule, message } of settle(this.#plan, this.#demands, this.#nowMs)) {
      const outputs = units.flatMap((unit) => unit.outputs.map(({ name }) => name))
      this.events.push({ type: 'forced-safe', outputs, rule, message })
    }
    this.#demands.clear()
  }

  commit(outputs: Iterable<Output>): void {
    const changes = commit(outputs, this.#nowMs)
    if (this.#rewrite.size === 0) {
      if (changes) this.#writes.push(changes)
      return
    }
    const again = [...this.#rewrite].map(({ name, value }) => [name, value])
    this.#writes.push({ ...changes, ...Object.fromEntries(again) })
    this.#rewrite.clear()
  }

  denied(what: Denied): Step & { readonly denial: Denial } {
    const { changes } = what
    const few = changes && Object.entries(changes).slice(0, namesInEventMax)
    this.events.push({
      ...what,
      type: 'denied',
      principal: clip(what.principal),
      components: what.components.slice(0, namesInEventMax).map(clip),
      ...(few && { changes: Object.fromEntries(few.map(([name, value]) => [clip(name), value])) }),
    })
    return { ...this.step, denial: what.denial }
  }
}

/** Names in messages come from anybody. */
export const clip = (text: string): string => text.slice(0, nameLengthMax)
