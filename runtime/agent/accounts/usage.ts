/** What is counted of each agent, and how joules are estimated. */

export const metered = ['ticks', 'cpuMs', 'tokens', 'engineMs', 'bytes', 'joules', 'money'] as const
export type Metered = (typeof metered)[number]

/** What something cost. `memoryBytes` is what is held now; all else is added up. Joules are estimated where they are not given. */
export type Charge = { readonly [K in Metered | 'memoryBytes']?: number }

export type Used = { readonly [K in Metered]: number }

/** So much in a time: who has used it waits for it to come back, or is refused. */
export interface Quota {
  readonly what: Metered
  readonly max: number
  readonly perMs: number
  readonly over: 'wait' | 'refuse'
}

/**
 * Joules = seconds of processor × `coreW` + seconds of engine × `engineW` + bytes × `byteJ`. An estimate that makes agents
 * comparable, not a measurement: a board's idle power is nobody's, and watts are those of a busy Cortex-A72 core (a
 * Raspberry Pi 4 takes about 2.7 W idle and 6.4 W with four cores busy), of all its cores for the engine, and Wi-Fi's 5 nJ a bit.
 */
export interface EnergyModel {
  readonly coreW: number
  readonly engineW: number
  readonly byteJ: number
}

export const energyOfBoard: EnergyModel = { coreW: 0.9, engineW: 3.7, byteJ: 4e-8 }

export function joulesOf({ cpuMs = 0, engineMs = 0, bytes = 0 }: Charge, model: EnergyModel): number {
  return (cpuMs / 1_000) * model.coreW + (engineMs / 1_000) * model.engineW + bytes * model.byteJ
}
