/** `device.agents`: whether programs of agents run on this device, and how much of it they may use. */
import * as v from 'valibot'

const count = (max: number) => v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(max))

export const agentsSchema = v.strictObject({
  enabled: v.optional(v.boolean(), true),
  /** Threads that hold the machines of agents, about 10 MB each; as many turns are taken at a time. None starts without an agent. */
  threads: v.optional(count(16), 2),
  /** Agents installed here: 0.6 MB each where all are awake. */
  max: v.optional(count(1000), 100),
  /** What they keep on the disk, megabytes: an image of each is 0.2 to 2. */
  megabytesMax: v.optional(count(16_384), 512),
  /** Of each agent. Beyond those of a minute it waits, beyond those of a day it is refused. */
  quota: v.optional(
    v.strictObject({
      cpuMsPerMinute: v.optional(count(960_000), 15_000),
      engineMsPerMinute: v.optional(count(960_000), 30_000),
      tokensPerDay: v.optional(count(1e9), 500_000),
      bytesPerDay: v.optional(count(1e12), 100_000_000),
      /** In the money that prices are given in. */
      moneyPerDay: v.optional(v.pipe(v.number(), v.gtValue(0), v.maxValue(1e6)), 1),
    }),
    {},
  ),
})
export type AgentsConfig = v.InferOutput<typeof agentsSchema>
