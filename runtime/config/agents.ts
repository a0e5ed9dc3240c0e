/** `device.agents`: whether programs of agents run on this device, and how much of it they may use. */
import * as v from 'valibot'
import { deviceId } from '../wire/signed.ts'
import { byNameSchema, count, limitsOfAll } from './agent-limits.ts'
import { policySchema } from './policy.ts'
import { toolServersSchema } from './tool-servers.ts'

export const agentsSchema = v.strictObject({
  enabled: v.optional(v.boolean(), true),
  /** Threads that hold the machines of agents, about 10 MB each; as many turns are taken at a time. None starts without an agent. */
  threads: v.optional(count(16), 2),
  /** Agents installed here: 0.6 MB each where all are awake. */
  max: v.optional(count(1000), 100),
  /** What they keep on the disk, megabytes: an image of each is 0.2 to 2. */
  megabytesMax: v.optional(count(16_384), 512),
  /** What agents may do without a person's leave, and what nobody may grant them: a file, or its content. */
  policy: v.optional(policySchema),
  /**
   * Whether agents of other devices of the site may command things of this one (`runtime/things/remote/rule.ts`): lights, switches, fans,
   * heating, players, vacuum cleaners, lists and blinds; or nothing.
   */
  remoteCommands: v.optional(v.picklist(['same-site', 'none'], 'must be "same-site" or "none"'), 'same-site'),
  /** What else agents of the devices named may command: locks, valves, doors and gates, numbers and choices (a robot's arm). */
  remoteAllow: v.optional(
    v.pipe(
      v.array(
        v.strictObject({
          /** An entity of this device, or a pattern of them: `valve.main`, `lock.*`. */
          things: v.pipe(
            v.string(),
            v.regex(/^[a-z0-9_*-]+(\.[a-z0-9_*-]+)+$/i, 'must be an id or a pattern such as lock.*'),
            v.maxLength(128),
          ),
          from: v.pipe(v.array(deviceId), v.minLength(1), v.maxLength(64)),
        }),
      ),
      v.maxLength(64, 'must be 64 at most'),
    ),
    [],
  ),
  /**
   * Devices from which agents may be moved here, `*` for all that are believed: whoever grants an agent sits at its device, not at
   * this one. By default from none.
   */
  acceptFrom: v.optional(
    v.pipe(
      v.array(v.union([v.literal('*'), deviceId], 'must be the name of a device, or "*"')),
      v.maxLength(64, 'must be 64 at most'),
    ),
    [],
  ),
  /**
   * What happens to agents is kept so that it can be run once more: of those that are run with `--record`, or of all. It is as
   * personal as what they hear.
   */
  record: v.optional(
    v.pipe(
      v.strictObject({
        all: v.optional(v.boolean(), false),
        megabytesMax: v.optional(count(16_384), 64),
        /** A run that has grown so large is recorded no further. */
        megabytesOfRunMax: v.optional(count(256), 16),
      }),
      v.check(
        ({ megabytesMax, megabytesOfRunMax }) => megabytesOfRunMax <= megabytesMax,
        'megabytesOfRunMax: must be at most megabytesMax',
      ),
    ),
    {},
  ),
  /** Servers of outside tools, by name. None is started before an agent uses it. */
  mcp: v.optional(toolServersSchema, {}),
  /**
   * What the vote of each device weighs in a `weighted` one, 1 where it is not named: the same on all devices of the site. Whole, so
   * that no tie is broken by rounding. Absent: no weighted vote is opened here.
   */
  weights: v.optional(
    v.pipe(
      v.record(deviceId, count(1_000_000)),
      v.minEntries(1, 'must name a device'),
      v.maxEntries(64, 'must be 64 at most'),
    ),
  ),
  /** Copies of agents that other devices keep, so that they may go on there where this one dies. */
  replicate: v.optional(
    v.strictObject({
      to: v.pipe(v.array(deviceId), v.minLength(1), v.maxLength(4, 'must be four at most')),
      everyS: v.optional(v.pipe(count(86_400), v.minValue(5, 'must be 5 at least')), 60),
      /** Absent: all. */
      agents: v.optional(
        v.pipe(v.array(v.pipe(v.string(), v.maxLength(64))), v.minLength(1), v.maxLength(64)),
      ),
    }),
  ),
  /** Of which devices copies are kept here, and when they are begun; absent: of none. */
  takeOver: v.optional(
    v.strictObject({
      from: v.pipe(v.array(deviceId), v.minLength(1), v.maxLength(64)),
      /** Seconds for which the other device is away, or when a person says so. */
      after: v.union(
        [
          v.literal('by-hand'),
          v.pipe(
            v.number(),
            v.integer(),
            v.minValue(30, 'must be "by-hand", or 30 at least'),
            v.maxValue(86_400),
          ),
        ],
        'must be "by-hand", or whole seconds from 30 on',
      ),
    }),
  ),
  /** Of all agents together: who is most urgent has it first. */
  budget: v.optional(
    v.strictObject({
      /** Of language models. */
      tokensPerMinute: v.optional(count(1e9), 200_000),
      /** What they send to the gateway, and to other devices. */
      gatewayBytesPerMinute: v.optional(count(1e12), 32_000_000),
      radioBytesPerMinute: v.optional(count(1e12), 4_000_000),
    }),
    {},
  ),
  /** Of each agent. */
  ...limitsOfAll,
  /** The same of one agent: what is not said here is as for all. */
  byName: v.optional(byNameSchema, {}),
})
export type AgentsConfig = v.InferOutput<typeof agentsSchema>
