/** What `ganglion models tune` measured on this machine, kept in the state directory; of no use on another machine. */
import { mkdir, readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import * as v from 'valibot'
import { writeDurably } from '../base/durable-file.ts'
import type { MachineLimits } from './supervisor/machine-limits.ts'

const positive = v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(64))
const measuredPlan = v.object({
  /** The machine that it was measured on. */
  machine: v.string(),
  workers: positive,
  intraOpThreads: positive,
  /** What it was measured with. */
  model: v.string(),
  p50Ms: v.number(),
  perS: v.number(),
})
export type MeasuredPlan = v.InferOutput<typeof measuredPlan>

const fileOf = (stateDir: string) => join(stateDir, 'inference', 'measured-plan.json')

/** Names what a measurement depends on. */
export function machineId({ cores, quotaCores, processor }: MachineLimits): string {
  return `${processor}, ${cores} cores, quota ${quotaCores ?? 'none'}`
}

/** Undefined where nothing was measured, or on another machine. */
export async function readMeasuredPlan(
  stateDir: string,
  machine: MachineLimits,
): Promise<MeasuredPlan | undefined> {
  try {
    const parsed = v.safeParse(measuredPlan, JSON.parse(await readFile(fileOf(stateDir), 'utf8')))
    return parsed.success && parsed.output.machine === machineId(machine) ? parsed.output : undefined
  } catch {
    return undefined
  }
}

export async function keepMeasuredPlan(stateDir: string, plan: MeasuredPlan): Promise<void> {
  const file = fileOf(stateDir)
  await mkdir(dirname(file), { recursive: true, mode: 0o700 })
  await writeDurably(file, JSON.stringify(plan))
}
