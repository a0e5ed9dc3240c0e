/**
 * `device.hardware`: parts that a person attached, and rules over their outputs. The shape is checked here; drivers, pins
 * and buses are the HAL's business (`hal/attached`), which knows them.
 */
import { dirname, resolve } from 'node:path'
import * as v from 'valibot'
import type { HardwareConfig } from '../../hal/contract/hardware-config.ts'

const text = (max: number) => v.pipe(v.string(), v.nonEmpty('must not be empty'), v.maxLength(max))
const number = v.pipe(v.number(), v.finite())
const ms = (max: number) => v.pipe(v.number(), v.minValue(0), v.maxValue(max))
/** Longest time that a rule may speak of: a day. */
const ruleMs = ms(86_400_000)
const pin = v.union([v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(400)), text(64)])
const line = v.strictObject({ pin, activeLow: v.optional(v.boolean()) })
const option = v.union([number, text(1024), v.boolean()])
const output = text(128)
const outputs = v.pipe(v.array(output), v.minLength(1), v.maxLength(64))
const because = v.optional(text(256))

const part = v.strictObject({
  driver: text(64),
  id: text(48),
  name: v.optional(text(128)),
  area: v.optional(text(128)),
  bus: v.optional(text(64)),
  address: v.optional(v.union([v.pipe(v.number(), v.integer()), text(64)])),
  pin: v.optional(pin),
  pins: v.optional(v.record(text(64), pin)),
  sampleEveryMs: v.optional(ms(86_400_000)),
  options: v.optional(v.record(text(64), option)),
  module: v.optional(text(4096)),
  exclusive: v.optional(v.boolean()),
  keepWithoutNetwork: v.optional(v.boolean()),
})

const constraint = v.variant('rule', [
  v.strictObject({
    rule: v.literal('mutex'),
    outputs,
    onMax: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1))),
    because,
  }),
  v.strictObject({
    rule: v.literal('permissive'),
    outputs,
    together: v.array(v.tuple([output, output])),
    because,
  }),
  v.strictObject({
    rule: v.literal('clearance'),
    groups: v.pipe(v.array(outputs), v.minLength(2), v.maxLength(64)),
    afterMs: v.pipe(ruleMs, v.minValue(1)),
    because,
  }),
  v.strictObject({
    rule: v.literal('minimum'),
    output,
    onMs: v.optional(ruleMs),
    offMs: v.optional(ruleMs),
    because,
  }),
  v.strictObject({ rule: v.literal('maximum-on'), output, onMs: ruleMs, because }),
  v.strictObject({
    rule: v.literal('sequence'),
    outputs,
    states: v.record(text(64), v.record(output, number)),
    steps: v.array(v.strictObject({ from: text(64), to: text(64), afterMs: ruleMs })),
    because,
  }),
  v.strictObject({ rule: v.literal('range'), output, min: number, max: number, because }),
  v.strictObject({ rule: v.literal('slew'), output, perS: v.pipe(number, v.gtValue(0)), because }),
  v.strictObject({
    rule: v.literal('rate'),
    output,
    changesMax: v.pipe(v.number(), v.integer(), v.minValue(1)),
    perMs: ruleMs,
    because,
  }),
  v.strictObject({
    rule: v.literal('dependency'),
    output,
    needs: text(128),
    min: number,
    max: number,
    because,
  }),
])

const safety = v.strictObject({
  /** More than any machine on one board has outputs for; each is looked at with every command. */
  constraints: v.optional(v.pipe(v.array(constraint), v.maxLength(500))),
  inputs: v.optional(
    v.pipe(
      v.array(v.strictObject({ name: text(64), pin, activeLow: v.optional(v.boolean()) })),
      v.maxLength(64),
    ),
  ),
  emergencyStop: v.optional(line),
  conflictMonitor: v.optional(line),
  arming: v.optional(v.picklist(['automatic', 'person'])),
  watchdog: v.optional(text(256)),
  /** A control loop that is silent for longer has lost what it commanded. */
  silenceMsMax: v.optional(v.pipe(v.number(), v.minValue(100), v.maxValue(60_000))),
})

export const hardwareSchema = v.strictObject({
  parts: v.optional(v.pipe(v.array(part), v.maxLength(2_000)), []),
  safety: v.optional(safety),
  /** Leases of network clients end when the broker was away for longer, seconds; parts may keep what was commanded. */
  networkGraceS: v.optional(v.pipe(v.number(), v.minValue(1), v.maxValue(86_400)), 30),
})

export interface HardwareSection extends HardwareConfig {
  readonly networkGraceS: number
}

/** As the HAL takes it. Paths of modules are relative to the configuration file that names them. */
export function hardwareSection(
  section: v.InferOutput<typeof hardwareSchema>,
  file: string | undefined,
): HardwareSection {
  const from = file === undefined ? process.cwd() : dirname(resolve(file))
  const parts = section.parts.map((entry) =>
    entry.module === undefined ? entry : { ...entry, module: resolve(from, entry.module) },
  )
  // Absent and undefined are the same to a reader; the contract's exact optional types say only the first.
  return { ...section, parts } as HardwareSection
}
