/**
 * Closes the water when it leaks, and sees to it that it is closed. No sensor is believed by itself: one wet sensor and water that
 * runs, two wet sensors, or water that runs for longer than people let it; one wet sensor only where no meter tells. So no single leak
 * sensor that lies closes the water while a meter tells, nor hides a leak for longer than an hour. A meter that lies closes it after an
 * hour. It never opens: that is for people, and from then on it watches anew. What it closed stays closed without it; it says so again
 * every few minutes because a valve that is attached to the device forgets a program's word after ten.
 *
 * What that costs: a leak that no sensor sees runs for an hour, or half of one where a sensor is silent, and until somebody comes where
 * the meter is; a spill beside a tap that has been running, or where the meter is silent, closes the water although nothing leaks.
 */
import { agent, type Context, type Telemetry } from '../agent/contract.ts'

const second = 1_000
const minute = 60 * second
const hour = 60 * minute

const rules = {
  /** Litres a minute: less is what a meter shows of nothing. */
  flowMin: 0.1,
  /** Two sensors for so long, or one where water ran already when it got wet. */
  wetMs: 45 * second,
  /** A wet sensor, and water that has run for so long since: longer than a shower. */
  wetRunMs: 15 * minute,
  /** Water that runs without a break: longer than a bath takes to fill. With a sensor that is silent: half of it. */
  runMs: hour,
  /** A sensor that has been wet for so long is broken, or known. */
  wetMsMax: 24 * hour,
  /** Sensors report once a day at least; a meter that never changes in that time is stuck. */
  silentMs: 26 * hour,
  /** A sensor that changes so often in this time tells nothing. */
  flaps: 6,
  flapMs: 10 * minute,
  lookMs: 5 * minute,
} as const

/** Valves and the meter first: what a sensor says is judged by whether water runs. */
const seen = ['valve.*', 'sensor.*water*', 'binary_sensor.*_leak'] as const

interface Sensor {
  state: string
  heardMs: number
  wetMs: number | undefined
  /** Water ran when it got wet. */
  ran: boolean
  /** Wet for a reason that people know, until it is dry again. */
  known: boolean
  /** Wet while the meter told that no water runs that should not, until it is dry again. */
  metered: boolean
  changes: readonly number[]
}

interface Water {
  readonly sensors: Map<string, Sensor>
  /** What each valve says. */
  readonly valves: Map<string, string>
  /** Litres a minute; undefined where no meter tells. */
  flow: number | undefined
  /** There is a meter, whatever it says. */
  heardMeter: boolean
  /** What the meter showed last, believed or not, and since when. */
  shown: number | undefined
  meterChangedMs: number
  /** It shows water although the valve says closed: one of them lies. */
  doubted: boolean
  runsSinceMs: number | undefined
  /** What is being attended to. */
  readonly attended: Set<'wet' | 'runs'>
  /** From the moment it must be closed until people have opened it again. */
  closing: boolean
  readonly told: Set<string>
}

export default agent({
  name: 'leak-guard',
  says: 'closes the water where it leaks, checks that it is closed, and never opens it',
  priority: 'control',
  wants: [
    'binary_sensor.*_leak:read',
    { want: 'sensor.*water*:read', why: 'to see whether water runs, and stops' },
    { want: 'valve.*:read', why: 'water for the garden is meant to run' },
    { want: 'valve.*main*:command', limits: { values: { state: ['closed'], position: [0] } } },
    { want: 'ask', why: 'to say what is wet, and what does not close' },
    'board:leak.*',
  ],
  async run(ctx) {
    const water: Water = {
      ...{ sensors: new Map(), valves: new Map(), told: new Set(), attended: new Set() },
      ...{ closing: false, doubted: false, heardMeter: false },
      ...{ flow: undefined, shown: undefined, runsSinceMs: undefined, meterChangedMs: Date.now() },
    }
    for (const pattern of seen) void hear(ctx, water, pattern)
    while (true) {
      await look(ctx, water)
      tellOfMeter(ctx, water)
      void attend(ctx, water, 'wet')
      void attend(ctx, water, 'runs')
      await ctx.sleep(rules.lookMs)
    }
  },
})

async function hear(ctx: Context, water: Water, pattern: string): Promise<void> {
  try {
    for await (const one of ctx.on(pattern)) {
      note(water, one)
      void attend(ctx, water, 'wet')
      void attend(ctx, water, 'runs')
    }
  } catch (error) {
    // What is read every while tells the same, later.
    ctx.log('does not hear', pattern, error)
  }
}

/** Everything is read: what was reported while the power was away is nowhere else. */
async function look(ctx: Context, water: Water): Promise<void> {
  try {
    const ids = (await Promise.all(seen.map((pattern) => ctx.entities(pattern)))).flat()
    for (const one of await Promise.all(ids.map((id) => ctx.entity(id).read()))) note(water, one)
  } catch (error) {
    ctx.log('not everything can be read:', error)
  }
}

/** For as long as a sensor is wet, or water runs; and where it must be closed, until people have opened it again. */
async function attend(ctx: Context, water: Water, to: 'wet' | 'runs'): Promise<void> {
  if (water.attended.has(to)) return
  water.attended.add(to)
  try {
    while (to === 'wet' ? isAnyWet(water) : water.runsSinceMs !== undefined) {
      const nowMs = Date.now()
      const why = water.closing ? undefined : leak(water, nowMs)
      if (why === undefined) {
        if (!water.closing) tell(ctx, water, nowMs)
        const isNew = [...water.sensors.values()].some((one) => isWet(one, nowMs) && !isLong(one, nowMs))
        await ctx.sleep(to === 'wet' && isNew ? '15s' : '1m')
        continue
      }
      water.closing = true
      await shut(ctx, water, why)
      while (!(await isOpened(ctx))) await shut(ctx, water)
      await watchAnew(ctx, water)
      water.closing = false
    }
  } catch (error) {
    ctx.log('the water is not watched for now:', error)
    water.closing = false
  }
  water.attended.delete(to)
}

/** Of each sensor once, until it has been dry. */
function tell(ctx: Context, { sensors, told }: Water, nowMs: number): void {
  for (const [id, sensor] of sensors) {
    if (!isWet(sensor, nowMs)) told.delete(id)
    else if (isLong(sensor, nowMs)) {
      sensor.metered = true
      if (told.has(id)) continue
      told.add(id)
      say(ctx, id, `${id} is wet, but no water runs that should not: please look`)
    }
  }
}

/** Where there is one that tells nothing: once, until it does. */
function tellOfMeter(ctx: Context, { flow, heardMeter, told }: Water): void {
  if (flow !== undefined) told.delete('meter')
  else if (heardMeter && !told.has('meter')) {
    told.add('meter')
    say(
      ctx,
      'meter',
      'the water meter tells nothing: until it does, one wet sensor closes the water. Please look',
    )
  }
}

/** Why the water must be closed; undefined: it need not. */
function leak({ sensors, valves, flow, runsSinceMs }: Water, nowMs: number): string | undefined {
  const wet = [...sensors].filter(([, sensor]) => isWet(sensor, nowMs) && isLong(sensor, nowMs))
  const names = wet.map(([id]) => id).join(' and ')
  const ranMs = runsSinceMs === undefined ? 0 : nowMs - runsSinceMs
  if (wet.length > 1) return `${names} are wet`
  // A meter that says nothing is not one that says that nothing runs. Of one that was wet before, it had said so.
  if (flow === undefined && wet.some(([, { metered }]) => !metered))
    return `${names} is wet, and nothing tells whether water runs`
  if (runsSinceMs !== undefined && wet.some(([, { ran, wetMs = 0 }]) => ran && runsSinceMs <= wetMs))
    return `${names} got wet while water ran, and it still runs`
  if (wet.length > 0 && ranMs >= rules.wetRunMs)
    return `${names} is wet, and water has run for ${words(ranMs)}`
  const meant = [...valves].some(([id, state]) => !isMain(id) && state !== 'closed')
  const runMax = [...sensors.values()].some((one) => isMute(one, nowMs)) ? rules.runMs / 2 : rules.runMs
  if (meant || ranMs < runMax) return undefined
  const since = `water has run for ${words(ranMs)} without a break`
  return flow === undefined ? `${since}, as far as the meter told` : since
}

const words = (ms: number) => `${Math.round(ms / minute)} min`
const isMain = (id: string) => id.includes('main')
const flaps = ({ changes }: Sensor, nowMs: number) =>
  changes.filter((atMs) => atMs > nowMs - rules.flapMs).length >= rules.flaps
const isWet = (sensor: Sensor, nowMs: number) =>
  sensor.wetMs !== undefined &&
  !sensor.known &&
  nowMs - sensor.wetMs < rules.wetMsMax &&
  !flaps(sensor, nowMs)
const isLong = ({ wetMs }: Sensor, nowMs: number) => wetMs !== undefined && nowMs - wetMs >= rules.wetMs
const isMute = (sensor: Sensor, nowMs: number) =>
  !['on', 'off'].includes(sensor.state) || nowMs - sensor.heardMs > rules.silentMs || flaps(sensor, nowMs)
const isAnyWet = ({ sensors }: Water) => [...sensors.values()].some((sensor) => isWet(sensor, Date.now()))

function note(water: Water, { entity, state, attributes, tsMs }: Telemetry): void {
  const nowMs = Date.now()
  if (entity.startsWith('valve.')) water.valves.set(entity, state)
  if (attributes['device_class'] === 'volume_flow_rate') noteFlow(water, state, attributes, nowMs)
  if (!entity.startsWith('binary_sensor.')) return
  const before = water.sensors.get(entity)
  const changed = before?.state !== state
  const changes = before?.changes.filter((atMs) => atMs > nowMs - rules.flapMs) ?? []
  const wetMs = state === 'on' ? (before?.wetMs ?? nowMs) : undefined
  water.sensors.set(entity, {
    ...{ state, wetMs, heardMs: tsMs, changes: changed && before ? [...changes, nowMs] : changes },
    ran: before?.wetMs === undefined ? water.runsSinceMs !== undefined : before.ran,
    known: wetMs !== undefined && (before?.known ?? false),
    metered: wetMs !== undefined && (before?.metered ?? false),
  })
}

function noteFlow(water: Water, state: string, attributes: Telemetry['attributes'], nowMs: number): void {
  water.heardMeter = true
  const number = state.trim() === '' ? Number.NaN : Number(state)
  const flow = attributes['unit_of_measurement'] === 'm³/h' ? (number * 1_000) / 60 : number
  if (flow !== water.shown && Number.isFinite(flow)) {
    water.shown = flow
    water.meterChangedMs = nowMs
  }
  const stuck = nowMs - water.meterChangedMs > rules.silentMs
  water.flow = Number.isFinite(flow) && !stuck ? flow : undefined
  // One that falls silent while water runs does not say that it stopped.
  if (water.flow === undefined) return
  water.runsSinceMs = water.flow >= rules.flowMin ? (water.runsSinceMs ?? nowMs) : undefined
}

/** Until the valve says closed and no water runs. A valve that only says so is told on, and commanded again. No reason: once more. */
async function shut(ctx: Context, water: Water, why?: string): Promise<void> {
  let quiet = why === undefined
  let wasClosed = quiet
  let tried = false
  if (!quiet) say(ctx, 'closing', `the water is being closed: ${why}`)
  for (let waitMs = minute; ; waitMs = Math.min(2 * waitMs, 15 * minute)) {
    const valves = await mainValves(ctx)
    // One that said closed while water ran, beside a wet sensor, may only tell the truth now: it is tried once more.
    const freed = water.doubted && isAnyWet(water) && !tried
    if (wasClosed && (await isAnyOpen(ctx, valves))) {
      if (!freed) return
      tried = true
    }
    const closed = await Promise.all(
      valves.map((id) =>
        ctx
          .entity(id)
          .command({ state: 'closed' })
          .then(
            () => true,
            (error) => {
              ctx.log(id, 'does not close:', error)
              return false
            },
          ),
      ),
    )
    const allClosed = closed.length > 0 && closed.every((is) => is)
    wasClosed ||= allClosed
    for (let looks = 0; looks < 6 && (water.flow ?? 0) >= rules.flowMin; looks += 1) {
      await ctx.sleep('10s')
      await look(ctx, water)
    }
    const stopped = water.flow !== undefined && water.flow < rules.flowMin
    water.doubted = allClosed && !stopped && water.flow !== undefined
    if (allClosed && stopped) {
      if (!quiet) ctx.log('the water is closed: no water runs')
      return
    }
    if (allClosed && water.flow === undefined) {
      if (!quiet) say(ctx, 'closed', 'the valve says that the water is closed; no meter tells whether it is')
      return
    }
    quiet = false
    const problem = allClosed
      ? `the valve says closed, but ${water.flow} l/min run on`
      : 'the water does not close'
    say(ctx, 'not-closed', `${problem}: please close it by hand. It is tried again in ${words(waitMs)}`)
    await ctx.sleep(waitMs)
    await look(ctx, water)
  }
}

const mainValves = async (ctx: Context) => (await ctx.entities('valve.*')).filter(isMain)

async function isAnyOpen(ctx: Context, valves: readonly string[]): Promise<boolean> {
  const read = await Promise.all(valves.map((id) => ctx.entity(id).read()))
  return read.some(({ state }) => state === 'open')
}

/** Whether people have opened it, or do within the next minutes. */
async function isOpened(ctx: Context): Promise<boolean> {
  const valves = await mainValves(ctx)
  if (await isAnyOpen(ctx, valves)) return true
  try {
    await Promise.race(valves.map((id) => ctx.entity(id).until({ to: 'open' }, { within: rules.lookMs })))
    return true
  } catch (error) {
    if ((error as { code?: string }).code !== 'timeout') throw error
    return false
  }
}

/** A person who opens the water knows what is wet. A meter that showed water all the same tells nothing until it shows something else. */
async function watchAnew(ctx: Context, water: Water): Promise<void> {
  if (water.doubted) water.meterChangedMs = 0
  water.doubted = false
  await look(ctx, water)
  for (const sensor of water.sensors.values()) sensor.known = sensor.wetMs !== undefined
  water.runsSinceMs = undefined
  ctx.log('the water was opened: watching anew')
}

/** As loud as it can be: in its log, on the board, and to whoever is asked. What they say changes nothing: water does. */
function say(ctx: Context, what: string, text: string): void {
  ctx.log(text)
  // Neither is everywhere, nor granted by everybody: the log is.
  const missed = (error: unknown) => {
    const { code } = error as { code?: string }
    if (code !== 'unavailable' && code !== 'permission' && code !== 'timeout') ctx.log('not told:', error)
  }
  ctx.ask(text, { choices: ['I see to it', 'I cannot'], within: '1d' }).catch(missed)
  ctx.board.set(`leak.${what.replace('binary_sensor.', '')}`, text, { ttl: '1d' }).catch(missed)
}
