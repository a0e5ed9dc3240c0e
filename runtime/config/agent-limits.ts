/**
 * How much each agent of a device may use: quotas (what it uses in a minute or a day), limits (how many of a thing it holds at once, has
 * waiting, and is given in a minute), and both for one agent by its name. What is not named for one is as for all.
 */
import * as v from 'valibot'

export const count = (max: number) => v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(max))

const quotas = {
  cpuMsPerMinute: count(960_000),
  engineMsPerMinute: count(960_000),
  tokensPerDay: count(1e9),
  bytesPerDay: count(1e12),
  /** Estimated. */
  joulesPerDay: count(1e9),
  /** In the money that prices are given in. */
  moneyPerDay: v.pipe(v.number(), v.gtValue(0), v.maxValue(1e6)),
}

/** Beyond those of a minute it waits, beyond those of a day it is refused. */
const quotaSchema = v.strictObject({
  cpuMsPerMinute: v.optional(quotas.cpuMsPerMinute, 15_000),
  engineMsPerMinute: v.optional(quotas.engineMsPerMinute, 60_000),
  tokensPerDay: v.optional(quotas.tokensPerDay, 500_000),
  bytesPerDay: v.optional(quotas.bytesPerDay, 100_000_000),
  // A Raspberry Pi that is idle all day takes as much.
  joulesPerDay: v.optional(quotas.joulesPerDay, 200_000),
  moneyPerDay: v.optional(quotas.moneyPerDay, 1),
})

/** At once, and what waits for its turn: beyond that it is refused. */
const atOnce = v.exactOptional(count(1_024))
const waiting = v.exactOptional(count(1_024))
/** So much at once, and as much again in a minute; beyond that it waits. Turns and calls are counted, of budgets what is used of them. */
const perMinute = v.exactOptional(count(1e12))
const slots = v.exactOptional(v.strictObject({ atOnce, waiting, perMinute }))
const budget = v.exactOptional(v.strictObject({ waiting, perMinute }))

/** By the names that `ganglion top` shows. */
const limitsSchema = v.strictObject({
  /** Turns. An agent takes one at a time. */
  processor: v.exactOptional(v.strictObject({ perMinute })),
  ...{ commands: slots, engine: slots, thoughts: slots },
  ...{ tokens: budget, gateway: budget, radio: budget },
})
export type LimitsConfig = v.InferOutput<typeof limitsSchema>

/**
 * Times in an hour that an agent which failed begins anew, from its beginning: what it remembers is kept, what it had done is done
 * again. So none does that is not said to.
 */
const restartsPerHour = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(60))

export const limitsOfAll = {
  limits: v.optional(limitsSchema, {}),
  quota: v.optional(quotaSchema, {}),
  restartsPerHour: v.optional(restartsPerHour, 0),
}

/** For one agent. */
export const byNameSchema = v.pipe(
  v.record(
    v.pipe(v.string(), v.regex(/^[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?$/, 'must be the name of an agent')),
    v.strictObject({
      limits: v.optional(limitsSchema, {}),
      quota: v.optional(v.partial(v.strictObject(quotas)), {}),
      restartsPerHour: v.exactOptional(restartsPerHour),
    }),
  ),
  v.maxEntries(64, 'must be 64 at most'),
)
