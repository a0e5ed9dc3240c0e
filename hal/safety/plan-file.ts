/** The plan as the guard finds it: JSON in the safety directory, there from start to clean stop. */
import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { writeDurably } from './durable-file.ts'
import type { SafetyPlan } from './plan.ts'

const fileOf = (safetyDir: string) => join(safetyDir, 'make-safe.json')

export function writePlan(plan: SafetyPlan): Promise<void> {
  return writeDurably(fileOf(plan.safetyDir), `${JSON.stringify({ version: 1, plan })}\n`)
}

/** Undefined: no device runs here, or it stopped cleanly. Throws for a file that cannot be read. */
export async function readPlan(safetyDir: string): Promise<SafetyPlan | undefined> {
  try {
    const { version, plan } = JSON.parse(await readFile(fileOf(safetyDir), 'utf8'))
    if (version !== 1) throw new Error(`${fileOf(safetyDir)} is of version ${version}`)
    return plan
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

export function removePlan(safetyDir: string): Promise<void> {
  return rm(fileOf(safetyDir), { force: true })
}
