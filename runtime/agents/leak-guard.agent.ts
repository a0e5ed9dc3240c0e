/**
 * Closes the water when it leaks, and sees to it that it is closed. No sensor is believed by itself: one wet sensor and water that
 * runs, two wet sensors, or water that runs for longer than people let it; one wet sensor only where no meter tells. So no single leak
 * sensor that lies closes the water while a meter tells, nor hides a leak from a meter that does for longer than an hour. A meter that
 * lies closes it after an hour. It never opens: that is for people, and from then on it watches anew. What it closed stays closed without
 * it; it says so again every few minutes because a valve that is attached to the device forgets a program's word after ten.
 *
 * What that costs: a leak that no sensor sees runs for an hour, or half of one where a sensor is silent, and until somebody comes where
 * the meter is silent; a spill beside a tap that has been running, or where the meter is silent, closes the water although nothing leaks.
 * A meter that shows nothing while water runs hides a leak from all but two sensors until it has stood still for half a day (water.ts);
 * people are told what is wet.
 */
import { agent, type Context } from '../agent/contract.ts'
import { isOpened, shut } from './main-valves.ts'
import { type Sensor, Water } from './water.ts'

const second = 1_000
const minute = 60 * second

const rules = {
  /** Two sensors for so long, or one where water ran already when it got wet. */
  wetMs: 45 * second,
  /** A wet sensor, and water that has run for so long since: longer than a shower. */
  wetRunMs: 15 * minute,
  /** Water that runs without a break: longer than a bath takes to fill. With a sensor that is silent: half of it. */
  runMs: 60 * minute,
  lookMs: 5 * minute,
  /** Of a meter that comes and goes people are told no more often. */
  meterAgainMs: 24 * 60 * minute,
} as const

/** Valves and the meter first: what a sensor says is judged by whether water runs. */
const seen = ['valve.*', 'sensor.*water*', 'binary_sensor.*_leak'] as const

interface Watch {
  readonly water: Water
  /** What is being attended to. */
  readonly attended: Set<'wet' | 'runs'>
  /** From the moment it must be closed until people have opened it again. */
  closing: boolean
  readonly told: Set<string>
  meterToldMs: number
  /** Takes back what people were asked last about each. */
  readonly asked: Map<string, () => void>
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
    const watch: Watch = {
      ...{ water: new Water(), attended: new Set(), closing: false },
      ...{ told: new Set(), meterToldMs: -Infinity, asked: new Map() },
    }
    const looked = look(ctx, watch.water)
    for (const pattern of seen) void hear(ctx, watch, pattern, looked)
    while (true) {
      await look(ctx, watch.water)
      tellOfMeter(ctx, watch)
      attendAll(ctx, watch)
      await ctx.sleep(rules.lookMs)
    }
  },
})

async function hear(ctx: Context, watch: Watch, pattern: string, looked: Promise<void>): Promise<void> {
  try {
    for await (const one of ctx.on(pattern)) {
      watch.water.note(one)
      // Before that nobody knows whether there is a meter.
      await looked
      attendAll(ctx, watch)
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
    for (const one of await Promise.all(ids.map((id) => ctx.entity(id).read()))) water.note(one)
  } catch (error) {
    ctx.log('not everything can be read:', error)
  }
}

function attendAll(ctx: Context, watch: Watch): void {
  void attend(ctx, watch, 'wet')
  void attend(ctx, watch, 'runs')
}

/** For as long as a sensor is wet, or water runs; and where it must be closed, until people have opened it again. */
async function attend(ctx: Context, watch: Watch, to: 'wet' | 'runs'): Promise<void> {
  const { water, attended } = watch
  if (attended.has(to)) return
  attended.add(to)
  try {
    while (to === 'wet' ? water.wet.length > 0 : water.runsSinceMs !== undefined) {
      const why = watch.closing ? undefined : leak(water)
      if (why !== undefined) await close(ctx, watch, why)
      else {
        if (!watch.closing) tell(ctx, watch)
        const isNew = to === 'wet' && !water.wet.every(isLong)
        await ctx.sleep(isNew ? '15s' : '1m')
      }
    }
  } catch (error) {
    ctx.log('the water is not watched for now:', error)
    watch.closing = false
  }
  attended.delete(to)
}

/** Why the water must be closed; undefined: it need not. */
function leak(water: Water): string | undefined {
  const { flow, runsSinceMs } = water
  // A meter that says nothing is not one that says that nothing runs. Of one that was wet before, it had said so.
  const alone = flow === undefined && water.wet.find(({ metered }) => !metered)
  if (alone) return `${alone.id} is wet, and nothing tells whether water runs`
  const wet = water.wet.filter(isLong)
  const names = wet.map(({ id }) => id).join(' and ')
  if (wet.length > 1) return `${names} are wet`
  if (runsSinceMs === undefined) return undefined
  const ranMs = Date.now() - runsSinceMs
  if (wet.some(({ ran, wetMs = 0 }) => ran && runsSinceMs <= wetMs))
    return `${names} got wet while water ran, and it still runs`
  if (wet.length > 0 && ranMs >= rules.wetRunMs)
    return `${names} is wet, and water has run for ${words(ranMs)}`
  if (water.isMeant || ranMs < (water.isAnySilent ? rules.runMs / 2 : rules.runMs)) return undefined
  const since = `water has run for ${words(ranMs)} without a break`
  return flow === undefined ? `${since}, as far as the meter told` : since
}

const words = (ms: number) => `${Math.round(ms / minute)} min`
const isLong = ({ wetMs }: Sensor) => wetMs !== undefined && Date.now() - wetMs >= rules.wetMs

/** Of each sensor once, until it has been dry. */
function tell(ctx: Context, watch: Watch): void {
  const { water, told } = watch
  for (const { id } of water.sensors) if (!water.wet.some((one) => one.id === id)) told.delete(id)
  for (const sensor of water.wet.filter(isLong)) {
    sensor.metered = true
    if (told.has(sensor.id)) continue
    told.add(sensor.id)
    say(ctx, watch, sensor.id, `${sensor.id} is wet, but no water runs that should not: please look`)
  }
}

/** Where there is one that tells nothing: once, until it does, however long people are away. */
function tellOfMeter(ctx: Context, watch: Watch): void {
  const { water, told, asked } = watch
  if (water.flow !== undefined) {
    told.delete('meter')
    asked.get('meter')?.()
  } else if (water.hasMeter && !told.has('meter') && Date.now() - watch.meterToldMs >= rules.meterAgainMs) {
    told.add('meter')
    watch.meterToldMs = Date.now()
    const text = 'the water meter tells nothing: until it does, one wet sensor closes the water. Please look'
    say(ctx, watch, 'meter', text)
  }
}

/** Until people have opened it again: they know what is wet then. */
async function close(ctx: Context, watch: Watch, why: string): Promise<void> {
  const { water } = watch
  const lookAgain = () => look(ctx, water)
  const saying = (what: string, text: string) => say(ctx, watch, what, text)
  const closing = { ctx, water, look: lookAgain, say: saying }
  watch.closing = true
  saying('closing', `the water is being closed: ${why}`)
  await shut(closing, false)
  while (!(await isOpened(ctx))) await shut(closing, true)
  await lookAgain()
  water.watchAnew()
  ctx.log('the water was opened: watching anew')
  watch.closing = false
}

/**
 * As loud as it can be: in its log, on the board, and to whoever is asked, of each thing one question at a time. What they say changes
 * nothing: water does.
 */
function say(ctx: Context, { asked }: Watch, what: string, text: string): void {
  ctx.log(text)
  // Neither is everywhere, nor granted by everybody: the log is.
  const missed = (error: unknown) => {
    const { code = '' } = error as { code?: string }
    if (!['unavailable', 'permission', 'timeout', 'cancelled'].includes(code)) ctx.log('not told:', error)
  }
  asked.get(what)?.()
  const within = '1d'
  const question = ctx.tasks({
    asks: { run: (_, task) => task.ask(text, { choices: ['I see to it', 'I cannot'], within }) },
  })
  question.catch(missed)
  asked.set(what, () => question.cancel())
  ctx.board.set(`leak.${what.replace('binary_sensor.', '')}`, text, { ttl: '1d' }).catch(missed)
}
