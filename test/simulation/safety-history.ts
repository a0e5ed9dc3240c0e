/** What has happened since a start, one fact after the other, and questions to it. Nothing is remembered but the facts. */
import type { Constraint, FaultCause, OutputValues } from '../../hal/contract/safety.ts'
import type { KernelConfig } from '../../hal/safety/kernel-types.ts'

export type Sequence = Extract<Constraint, { rule: 'sequence' }>

export type Fact = { readonly atMs: number } & (
  | { readonly what: 'vector'; readonly values: OutputValues }
  /** Leases and faults go by their place in the order in which they came into being. */
  | {
      readonly what: 'granted'
      readonly lease: number
      readonly parts: readonly string[]
      readonly principal: string
      readonly ttlMs: number
    }
  | { readonly what: 'renewed' | 'ended'; readonly lease: number }
  | { readonly what: 'number'; readonly lease: number; readonly number: number }
  /** An output is to be this; `counted` where a command wanted it. */
  | { readonly what: 'wanted'; readonly output: string; readonly value: number; readonly counted: boolean }
  /** A slewing output was given its chance to move. */
  | { readonly what: 'slewed'; readonly output: string }
  | { readonly what: 'walk'; readonly rule: Sequence; readonly on: boolean }
  | { readonly what: 'read'; readonly output: string; readonly differs: boolean }
  | { readonly what: 'input'; readonly input: string; readonly value: number }
  | {
      readonly what: 'latched'
      readonly fault: number
      readonly cause: FaultCause
      readonly parts: readonly string[]
    }
  | { readonly what: 'cleared'; readonly fault: number }
  | { readonly what: 'alive' | 'started' }
  | { readonly what: 'silent' | 'armed' | 'kept-disarmed' | 'pressed' | 'content'; readonly on: boolean }
)
type Of<W extends Fact['what']> = Fact & { readonly what: W }

export class History {
  readonly facts: Fact[] = []
  readonly config: KernelConfig
  readonly outputs: readonly { readonly name: string; readonly part: string; readonly safe: number }[]

  constructor(config: KernelConfig, nowMs: number) {
    this.config = config
    this.outputs = config.components.flatMap(({ id, outputs }) =>
      outputs.map(({ name, safe }) => ({ name: `${id}.${name}`, part: id, safe })),
    )
    const values = Object.fromEntries(this.outputs.map(({ name, safe }) => [name, safe]))
    this.facts.push({ what: 'vector', atMs: nowMs, values }, { what: 'alive', atMs: nowMs })
  }

  all<W extends Fact['what']>(what: W): Of<W>[] {
    return this.facts.filter((fact): fact is Of<W> => fact.what === what)
  }

  /** The last one of these that answers the description. */
  last<W extends Fact['what']>(what: W, is: (fact: Of<W>) => boolean = () => true): Of<W> | undefined {
    return this.all(what).findLast(is)
  }

  is(what: 'silent' | 'armed' | 'kept-disarmed' | 'pressed' | 'content'): boolean {
    return this.last(what)?.on ?? false
  }

  vector(): OutputValues {
    return this.last('vector')?.values ?? {}
  }

  inputs(): OutputValues {
    return Object.fromEntries(this.all('input').map(({ input, value }) => [input, value]))
  }

  /** When what `look` sees in the vector became what it is. */
  sinceMs(look: (vector: OutputValues) => unknown): number {
    const vectors = this.all('vector')
    const now = look(this.vector())
    const other = vectors.findLastIndex(({ values }) => look(values) !== now)
    return vectors[other + 1]?.atMs ?? 0
  }

  live(): Of<'granted'>[] {
    const ended = new Set(this.all('ended').map(({ lease }) => lease))
    return this.all('granted').filter(({ lease }) => !ended.has(lease))
  }

  endsAtMs({ lease, atMs, ttlMs }: Of<'granted'>): number {
    return (this.last('renewed', (renewal) => renewal.lease === lease)?.atMs ?? atMs) + ttlMs
  }

  target(output: string): number {
    const wanted = this.last('wanted', (fact) => fact.output === output)
    return wanted?.value ?? this.outputs.find(({ name }) => name === output)?.safe ?? 0
  }

  walks(rule: Sequence): boolean {
    return this.last('walk', (fact) => fact.rule === rule)?.on ?? false
  }

  /** Since when every reading of the output differed from it; undefined when the last one did not. */
  differsSinceMs(output: string): number | undefined {
    const readings = this.all('read').filter((fact) => fact.output === output)
    return readings[readings.findLastIndex(({ differs }) => !differs) + 1]?.atMs
  }

  latched(): Of<'latched'>[] {
    const cleared = new Set(this.all('cleared').map(({ fault }) => fault))
    return this.all('latched').filter(({ fault }) => !cleared.has(fault))
  }

  /** These parts and all that share rules with them, directly or through others. */
  sharing(parts: readonly string[]): string[] {
    const partsOf = (rule: Constraint) =>
      this.outputs.filter(({ name }) => outputsOf(rule).includes(name)).map(({ part }) => part)
    const more = this.config.constraints
      .map(partsOf)
      .filter((some) => some.some((part) => parts.includes(part)))
    const grown = [...new Set([...parts, ...more.flat()])]
    return grown.length === parts.length ? grown : this.sharing(grown)
  }

  faulty(): ReadonlySet<string> {
    const all = this.config.components.map(({ id }) => id)
    return new Set(
      this.latched().flatMap(({ cause, parts }) => (cause === 'emergency-stop' ? all : this.sharing(parts))),
    )
  }
}

/** Outputs, and inputs, that a rule names. */
export function outputsOf(rule: Constraint): readonly string[] {
  if ('outputs' in rule) return rule.outputs
  if ('groups' in rule) return rule.groups.flat()
  return 'needs' in rule ? [rule.output, rule.needs] : [rule.output]
}
