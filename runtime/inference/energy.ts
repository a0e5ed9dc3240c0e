/**
 * What a request costs this device in energy, by a model that is stated and not measured: time in the model times the power of
 * the cores that it keeps busy here, time on the way times the power of a radio elsewhere. What runs anyway (an idle board,
 * memory, a screen) is the same wherever a request goes, and counts nowhere.
 */

/** An assumption, for boards whose description cites no figure: a core of a small board at full clock, above idle. */
export const wattsPerBusyCoreDefault = 1

/** An assumption: Wi-Fi of a small board while it sends or receives, above idle. A cable needs less. */
export const radioWatts = 1

export interface EngineEnergy {
  /** Of one core that computes, above idle; absent: the assumption. */
  readonly wattsPerBusyCore?: number | undefined
  /** Of one model, where it has no number of its own. */
  readonly threads: number
}

/** Joules of `modelMs` in a model on so many threads, all of which are taken as busy all the time. */
export function engineJoules(modelMs: number, threads: number, wattsPerBusyCore?: number): number {
  return (modelMs / 1000) * threads * (wattsPerBusyCore ?? wattsPerBusyCoreDefault)
}
