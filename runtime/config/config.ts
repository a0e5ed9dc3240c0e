/**
 * The device's configuration: one schema with its defaults, one loader. A file holds a `device:` and a `gateway:`
 * section; options on the command line win over the file. Unknown keys are refused by name, so a typo never passes silently.
 */
import { homedir, hostname } from 'node:os'
import { join } from 'node:path'
import * as v from 'valibot'
import { isRecord, readConfigSection } from '../base/config-file.ts'
import { UsageError } from '../base/errors.ts'
import { defaultModelsDir } from '../inference/store/models-dir.ts'
import { deviceId } from '../wire/signed.ts'
import { isTopicId } from '../wire/topics.ts'
import { agentsSchema } from './agents.ts'
import { type HardwareSection, hardwareSchema, hardwareSection } from './hardware.ts'
import { inferenceSchema } from './inference.ts'
import { peopleSchema } from './people.ts'
import { perceptionSchema, wakeSchema } from './perception.ts'

const count = (max: number) => v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(max))

const schema = v.strictObject({
  /** Id on the wire; one level of a topic. */
  id: v.optional(
    v.pipe(v.string(), v.check(isTopicId, 'must be letters, digits, "_", "." or "-"')),
    defaultDeviceId,
  ),
  /** Prefix of all topics. */
  base: v.optional(
    v.pipe(v.string(), v.regex(/^[a-z0-9_-]+(\/[a-z0-9_-]+)*$/i, 'must be a plain topic prefix')),
    'ganglion',
  ),
  stateDir: v.optional(v.string(), defaultStateDir),
  broker: v.optional(
    v.strictObject({
      url: v.optional(v.pipe(v.string(), v.regex(/^mqtts?:\/\//, 'must start with mqtt:// or mqtts://'))),
      username: v.optional(v.string()),
      /** A file, so that the password is in no process list and no backup of this file. */
      passwordFile: v.optional(v.string()),
    }),
    {},
  ),
  /** HTTP address of the gateway: recordings are fetched from there and nowhere else. */
  gateway: v.optional(v.pipe(v.string(), v.url('must be a URL'))),
  /** A home in the fixture format: opens the simulated board. */
  home: v.optional(v.string()),
  /** This device looks after every `of`-th area of the home; the shares tell each other in `directory` how their rooms are. */
  share: v.optional(v.strictObject({ part: count(16), of: count(16), directory: v.string() })),
  /** Report this machine's own temperature, load, memory and disk. */
  hostSensors: v.optional(v.boolean(), true),
  /** Sensors and actuators that are attached to this board; `ganglion drivers` says which there are. */
  hardware: v.optional(hardwareSchema),
  /**
   * Camera: a V4L2 device (`/dev/video0`), or `rpicam:0` for one on a Raspberry Pi's own connector.
   * Who looks through it is in `perception`. Absent: none.
   */
  camera: v.optional(v.string()),
  /** Adapters of accelerators: programs that speak the Open Inference Protocol (`hal/accelerators/README.md`). */
  accelerators: v.optional(
    v.pipe(
      v.array(
        v.strictObject({
          /** As the board names it: `hailo`. */
          adapter: v.pipe(
            v.string(),
            v.regex(/^[a-z0-9][a-z0-9-]{0,31}$/, 'must be lower case letters, digits and -'),
          ),
          /** Program and arguments; the path of its socket is added as the last one. */
          command: v.pipe(v.array(v.string()), v.minLength(1, 'must name a program'), v.maxLength(64)),
          /** Cap on its memory, megabytes, where the system allows one. */
          memoryMbMax: v.optional(count(1_000_000)),
        }),
      ),
      v.maxLength(8, 'must be eight at most'),
    ),
    [],
  ),
  voice: v.optional(
    v.strictObject({
      enabled: v.optional(v.boolean(), true),
      /** ALSA capture device, for example `default`. Absent: no live microphone. */
      microphone: v.optional(v.string()),
      /** Longest recording that is listened to, seconds: a command takes under ten. */
      audioSMax: v.optional(count(600), 120),
      /** How far speech may travel to be written down: with `device` it never leaves it, whatever a gateway could do with it. */
      privacy: v.optional(v.picklist(['device', 'site', 'cloud']), 'device'),
      /** Speech models are loaded only when somebody speaks. */
      wake: v.optional(wakeSchema, {}),
      /** Threads of the speech models. Absent: as of all models (`inference.threads`). */
      threads: v.optional(count(16)),
    }),
    {},
  ),
  /** What is looked at and what is felt (`runtime/perception`). */
  perception: v.optional(perceptionSchema, {}),
  /**
   * Public keys of the other devices of the site, by name. Where any is named, no other device is believed; where none is, the first
   * key that is seen under each name.
   */
  peers: v.optional(
    v.pipe(
      v.record(deviceId, v.pipe(v.string(), v.regex(/^[A-Za-z0-9_-]{43}$/, 'is not a public key'))),
      v.check((keys) => Object.keys(keys).length <= 63, 'must be 63 at most: more cannot decide together'),
    ),
    {},
  ),
  /** Who may say yes to what agents must ask for, and grant it: where any is named, nobody else. */
  people: v.optional(peopleSchema, []),
  /** Programs that run here (`runtime/agent`). */
  agents: v.optional(agentsSchema, {}),
  /** What models may use of this board, and where requests to them may go. */
  inference: v.optional(inferenceSchema, {}),
  models: v.optional(v.strictObject({ dir: v.optional(v.string(), () => defaultModelsDir()) }), {}),
  outbox: v.optional(
    v.strictObject({
      /** Events kept while the gateway is away, megabytes: weeks of a home's events, small on any card. */
      megabytesMax: v.optional(count(1024), 16),
      /** Unacknowledged publishes under way: enough to fill a slow link, little enough to hold in memory. */
      inflightMax: v.optional(count(1000), 32),
    }),
    {},
  ),
  log: v.optional(
    v.strictObject({
      level: v.optional(v.picklist(['debug', 'info', 'warn', 'error', 'silent']), 'warn'),
      json: v.optional(v.boolean(), false),
    }),
    {},
  ),
})

export type DeviceConfig = Omit<v.InferOutput<typeof schema>, 'hardware'> & {
  readonly hardware?: HardwareSection
}
/** What a file or the command line may say: every key is optional. */
export type DeviceConfigInput = v.InferInput<typeof schema>

/**
 * Merges file and options (options win, key by key) and fills in defaults.
 * Throws UsageError with one line that names the file and the key.
 */
export function loadDeviceConfig(options: DeviceConfigInput, file?: string): DeviceConfig {
  const section = file === undefined ? {} : readConfigSection(file, 'device')
  const merged = merge(section, options as Record<string, unknown>)
  const result = v.safeParse(schema, merged, { abortEarly: true })
  if (result.success) {
    const { hardware, ...rest } = result.output
    return hardware ? { ...rest, hardware: hardwareSection(hardware, file) } : rest
  }
  const issue = result.issues[0]
  const where = v.getDotPath(issue)
  const what =
    issue.type === 'strict_object' && issue.expected === 'never' ? 'there is no such key' : issue.message
  throw new UsageError(`${file ? `${file}: ` : ''}device${where ? `.${where}` : ''}: ${what}`)
}

function merge(below: Record<string, unknown>, above: Record<string, unknown>): Record<string, unknown> {
  const merged = { ...below }
  for (const [key, value] of Object.entries(above)) {
    if (value === undefined) continue
    const under = merged[key]
    merged[key] = isRecord(value) && isRecord(under) ? merge(under, value) : value
  }
  return merged
}

function defaultDeviceId(): string {
  const name = hostname()
    .toLowerCase()
    .replace(/[^a-z0-9_-]/g, '-')
    .replace(/^-+/, '')
  return name || 'device'
}

/** `$XDG_STATE_HOME/ganglion`, or `~/.local/state/ganglion` (XDG Base Directory Specification 0.8). */
export function defaultStateDir(): string {
  return join(process.env['XDG_STATE_HOME'] || join(homedir(), '.local', 'state'), 'ganglion')
}
