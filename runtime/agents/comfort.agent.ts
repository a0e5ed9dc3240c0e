/**
 * Keeps rooms warm, or cool, when somebody is in them or is about to come, and buys the heat when it is cheap. One heat pump serves the
 * whole home, one room at a time: the agents of all devices auction it every few minutes, the bid being how far a room is from what is
 * wanted, weighed by whether somebody is there and by the price. Who wins takes the lease of the pump, has it run, and opens the valve
 * of its room; who loses has closed its own before. So no two ever command the pump, and one device that dies takes no more than its own
 * room along: the lease ends by itself, the others go on as long as they are more than half of the home.
 *
 * Without them nothing is decided: the valves are closed, and an electric heater in the room sees to it that nothing freezes. All that is
 * turned on expires a little after the next round: of an agent that was stopped, has failed or lost a grant nothing runs on.
 *
 * What is wanted of a room, and what that is worth, is in wish.ts. No sensor is believed that says nothing: a room is then taken to be as
 * warm as heat and weather make it (thermometer.ts, which also finds one that lies), and somebody is there when usually somebody is
 * (habits.ts).
 */
import { agent, type Context, type Json, type Lease, type Telemetry } from '../agent/contract.ts'
import { heard, numberOf } from './believe.ts'
import { Habits } from './habits.ts'
import { Thermometer } from './thermometer.ts'
import { foremost, type Outlook, outlookOf, type Served, type Wish } from './wish.ts'

const minuteMs = 60_000

const rules = {
  roundMs: 5 * minuteMs,
  /** What is turned on: until then it is said again, or goes back. */
  expiresMs: 6.5 * minuteMs,
  /** Below the first an electric heater comes on, above the second it goes off. */
  frostC: 7,
  thawedC: 9,
  /** A room whose thermometer is not believed is taken as so much colder then. */
  carefulK: 1.5,
} as const

interface Room extends Served {
  readonly name: string
  readonly valve: string
  /** People were told that its thermometer is broken, and nobody has answered. */
  told: boolean
  heater: boolean
  /** It is not there, or does not do what it is told. */
  heaterFails: boolean
  valveFails: boolean
}
interface Home {
  readonly rooms: readonly Room[]
  lease: Lease | undefined
  said: string
  keptMs: number
}

export default agent({
  name: 'comfort',
  says: 'keeps rooms warm or cool when somebody is there, and agrees with the other rooms on who may run the heat pump',
  wants: [
    { want: 'sensor.*:read', why: 'temperatures, the price of electricity, the weather' },
    { want: 'binary_sensor.*_occupancy:read', why: 'to heat where somebody is, and learn when' },
    { want: 'valve.*_heating:read', why: 'what is open is closed before another room is heated' },
    'valve.*_heating:command',
    { want: 'switch.*_heater:command', why: 'so that nothing freezes when the heat pump is not to be had' },
    { want: 'climate.heat_pump:read', why: 'the pump may be on this device' },
    { want: 'climate.heat_pump@*:read', why: 'or on another' },
    'climate.heat_pump:command',
    'climate.heat_pump@*:command',
    { want: 'decide:heat-pump', why: 'who may run the heat pump' },
    { want: 'memory', why: 'when people are usually there' },
    { want: 'ask', why: 'to say that a thermometer is broken' },
  ],
  async run(ctx) {
    const home: Home = { rooms: await roomsOf(ctx), lease: undefined, said: '', keptMs: Date.now() }
    while (true) {
      try {
        await round(ctx, home)
      } catch (error) {
        await alone(ctx, home, `nothing could be decided: ${error}`)
      }
      await keep(ctx, home)
      await ctx.sleepUntil((Math.floor(Date.now() / rules.roundMs) + 1) * rules.roundMs)
    }
  },
})

async function round(ctx: Context, home: Home): Promise<void> {
  const outlook = await look(ctx, home)
  const wish = foremost(home.rooms, outlook)
  const ended = await ctx.decide.auction('heat-pump', {
    bid: Math.round((wish?.bid ?? 0) * 100) / 100,
    within: '20s',
    reason: wish ? `${wish.room.name} has ${wish.room.warmth.tempC.toFixed(1)} °C` : 'nothing is needed',
  })
  if (!ended.decided) return await alone(ctx, home, `no one may run the heat pump: ${ended.reason}`)
  await guardFrost(ctx, home)
  if (ended.winner !== (await ctx.device())) await letGo(ctx, home, `the heat pump is ${ended.winner}'s`)
  else if (wish) await serve(ctx, home, wish)
  else await rest(ctx, home)
}

/** The pump for the winner: valves of other rooms first, then the pump, then the valve. */
async function serve(ctx: Context, home: Home, { room, mode }: Wish<Room>): Promise<void> {
  await closeValves(ctx, home, room)
  home.lease = await leaseOf(ctx)
  if (!home.lease) return await letGo(ctx, home, 'waits until the heat pump is free')
  const pumpOff = { expires: { after: rules.expiresMs, to: { hvac_mode: 'off' } } }
  await ctx.entity(await pumpOf(ctx)).command({ hvac_mode: mode }, { lease: home.lease, ...pumpOff })
  const closed = { expires: { after: rules.expiresMs, to: { state: 'closed' } } }
  await ctx.entity(room.valve).command({ state: 'open' }, closed)
  room.served = mode
  say(ctx, home, `${mode}s ${room.name}`)
}

/** Nobody needs the pump: who won sees to it that it is off. */
async function rest(ctx: Context, home: Home): Promise<void> {
  await closeValves(ctx, home)
  const pump = ctx.entity(await pumpOf(ctx))
  if ((await pump.read()).state !== 'off') {
    home.lease = await leaseOf(ctx)
    if (home.lease) await pump.command({ hvac_mode: 'off' }, { lease: home.lease })
  }
  await letGo(ctx, home, 'nobody needs the heat pump')
}

/** Until the next round, and long enough to have it prolonged then. Undefined where another has not let go yet. */
async function leaseOf(ctx: Context): Promise<Lease | undefined> {
  try {
    return await ctx.lease('heat-pump', { ttl: rules.roundMs * 1.6, within: '20s' })
  } catch (error) {
    if ((error as { code?: string }).code === 'timeout') return undefined
    throw error
  }
}

async function letGo(ctx: Context, home: Home, why: string): Promise<void> {
  await closeValves(ctx, home)
  const { lease } = home
  home.lease = undefined
  await lease?.release()
  say(ctx, home, why)
}

/** Without the others: nothing but what is safe. The pump is turned off by whoever may command it, and by nobody else. */
async function alone(ctx: Context, home: Home, why: string): Promise<void> {
  say(ctx, home, `${why}. Until then: valves closed, ${rules.frostC} °C at least`)
  const { lease } = home
  home.lease = undefined
  const tried = async (what: string, work: () => Promise<unknown>) => {
    await work().catch((error) => ctx.log(`${what}:`, error))
  }
  await tried('valves', () => closeValves(ctx, home))
  await guardFrost(ctx, home)
  if (!lease) return
  await tried('heat pump', async () => ctx.entity(await pumpOf(ctx)).command({ hvac_mode: 'off' }, { lease }))
  await tried('lease', () => lease.release())
}

/** One that fails takes no other along: what was opened closes by itself when that expires. */
async function closeValves(ctx: Context, home: Home, but?: Room): Promise<void> {
  for (const room of home.rooms) {
    if (room === but) continue
    const failed = await closeValve(ctx, room).catch((error) => `${error}`)
    if (failed !== undefined && !room.valveFails) ctx.log(`the valve of ${room.name} may be open: ${failed}`)
    room.valveFails = failed !== undefined
    room.served = undefined
  }
}

async function closeValve(ctx: Context, room: Room): Promise<undefined> {
  const valve = ctx.entity(room.valve)
  if ((await valve.read()).state !== 'closed') await valve.command({ state: 'closed' })
}

/** A heater that fails takes neither the others along nor the pump, which is all that warms its room then. */
async function guardFrost(ctx: Context, home: Home): Promise<void> {
  for (const room of home.rooms) {
    const failed = await keepFromFreezing(ctx, room).catch((error) => `${error}`)
    if (failed !== undefined && !room.heaterFails)
      ctx.log(`nothing but the heat pump keeps ${room.name} from freezing: ${failed}`)
    room.heaterFails = failed !== undefined
  }
}

async function keepFromFreezing(ctx: Context, room: Room): Promise<undefined> {
  const { tempC, doubted } = room.warmth
  const frost = tempC - (doubted ? rules.carefulK : 0) < (room.heater ? rules.thawedC : rules.frostC)
  const heater = ctx.entity(`switch.${room.name}_heater`)
  const off = { expires: { after: rules.expiresMs, to: { state: 'off' } } }
  if (frost) await heater.command({ state: 'on' }, off)
  else if (room.heater) await heater.command({ state: 'off' })
  room.heater = frost
}

async function pumpOf(ctx: Context): Promise<string> {
  const [own] = await ctx.entities('climate.heat_pump')
  const pump = own ?? (await ctx.entities('climate.heat_pump@*'))[0]
  if (pump === undefined) throw new Error('no heat pump is to be seen')
  return pump
}

/** Reads all there is, and learns from it. */
async function look(ctx: Context, home: Home): Promise<Outlook> {
  const names = home.rooms.map(({ name }) => name)
  const ids = names.flatMap((name) => [`sensor.${name}_temperature`, `binary_sensor.${name}_occupancy`])
  const all = ['sensor.electricity_price', 'sensor.outside_temperature', ...ids]
  const [price, outside, ...ofRooms] = await Promise.all(all.map((id) => heard(ctx, id)))
  const outlook = outlookOf(price, outside)
  home.rooms.forEach((room, at) => {
    measure(ctx, room, ofRooms[2 * at], outlook.outsideC[0] ?? 5)
    lookAt(ctx, room, ofRooms[2 * at + 1])
  })
  return outlook
}

function lookAt(ctx: Context, { name, habits }: Room, seen: Telemetry | undefined): void {
  const { known } = habits
  habits.look(seen?.state, rules.roundMs)
  if (habits.known === known) return
  const silent = `nothing tells whether somebody is there: ${name} is kept as at its usual hours`
  ctx.log(habits.known ? `whether somebody is there is known again: ${name}` : silent)
}

function measure(ctx: Context, room: Room, seen: Telemetry | undefined, outsideC: number): void {
  const { name, warmth } = room
  const { doubted, broken } = warmth
  const shownC = numberOf(seen)
  const by = room.served ?? (room.heater ? 'heater' : undefined)
  warmth.measure(shownC, outsideC, { by, msMax: rules.expiresMs })
  const says = shownC === undefined ? 'says nothing' : `shows ${shownC} °C, which cannot be`
  const words = `the thermometer of ${name} ${says}: until it moves the room is taken to have ${warmth.tempC.toFixed(1)} °C`
  if (warmth.doubted !== doubted)
    ctx.log(warmth.doubted ? words : `the thermometer of ${name} is believed again`)
  if (warmth.broken && !broken && !room.told) void tell(ctx, room, `${words}. Please look at it`)
}

/** One question of a room at a time: a thermometer that jumps to and fro is one that is broken. */
async function tell(ctx: Context, room: Room, text: string): Promise<void> {
  room.told = true
  await ctx
    .ask(text, { choices: ['I see to it', 'I cannot'], within: '1d' })
    .catch((error) => ctx.log('not told:', error))
  room.told = false
}

/** Every heated room of this device. */
async function roomsOf(ctx: Context): Promise<Room[]> {
  const valves = await ctx.entities('valve.*_heating')
  if (valves.length === 0) throw new Error('this device heats no room: there is no valve.*_heating')
  const kept = await ctx.memory.get('habits').catch(() => undefined)
  return valves.map((valve) => {
    const name = valve.slice('valve.'.length, -'_heating'.length)
    const habits = new Habits((kept as { readonly [room: string]: Json } | undefined)?.[name])
    const warmth = new Thermometer()
    const not = { told: false, heater: false, heaterFails: false, valveFails: false }
    return { name, valve, warmth, habits, ...not, served: undefined }
  })
}

/** What was learned outlives the agent: kept once a day. */
async function keep(ctx: Context, home: Home): Promise<void> {
  if (Date.now() - home.keptMs < 24 * 60 * minuteMs) return
  home.keptMs = Date.now()
  const habits = Object.fromEntries(home.rooms.map(({ name, habits: { learned } }) => [name, learned]))
  await ctx.memory
    .set('habits', habits, { privacy: 'device' })
    .catch((error) => ctx.log('what was learned is not kept:', error))
}

/** Once, not every round. */
function say(ctx: Context, home: Home, text: string): void {
  if (text !== home.said) ctx.log(text)
  home.said = text
}
