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
 * A thermometer that says nothing, jumps, or does not move when its room must have become warmer or colder, is not believed until it moves
 * again: the room is then taken to be as warm as heat and weather make it, by what was learned of it, and people are told.
 *
 * When people come it learns, by the half hour of the week; how fast a room warms and cools as well. It lives by UTC: the hour that clocks
 * are moved by twice a year it learns anew.
 */
import {
  agent,
  type Context,
  type Decision,
  type Json,
  type Lease,
  type Telemetry,
} from '../agent/contract.ts'

const minuteMs = 60_000
const hourMs = 60 * minuteMs
const slotMs = hourMs / 2

const rules = {
  roundMs: 5 * minuteMs,
  /** What is turned on: until then it is said again, or goes back. */
  expiresMs: 6.5 * minuteMs,
  /** °C while somebody is there or comes; while nobody is; above which it is cooled, and down to which. */
  wantedC: 21,
  emptyC: 17.5,
  hotC: 25.7,
  cooledC: 25.2,
  /** Once a room is heated, so far above. */
  bandC: 0.5,
  /** It is asked for so early: another room may have the pump first. */
  earlyC: 0.2,
  /** Where somebody was so often at that time, 0 to 1, somebody comes. Late in one of four is worse than in vain in one of three. */
  likely: 0.3,
  /** A room gets warm so much slower than while it has the pump: there are others. */
  slower: 2,
  /** Who is there goes before who comes, so many times. */
  there: 8,
  /** So much more when heat is cheap and somebody comes within hours; so much less when it is dear and nobody is there yet. */
  storeC: 1,
  spareC: 0.2,
  storeHours: 5,
  /** Below the first an electric heater comes on, above the second it goes off. */
  frostC: 7,
  thawedC: 9,
  /** A thermometer that has not moved while its room must have by so much, or that jumps by so much, is not believed. */
  doubtK: 3,
  /** Such a room is kept so much cooler, as nobody sees how warm it gets; against frost it is taken as so much colder. */
  carefulK: 1.5,
  /** What such a heater warms a room by, K/h, at the least. */
  heaterKPerH: 0.3,
  /** Mild enough that rooms are not warmed ahead. */
  mildC: 17,
} as const

interface Room {
  readonly name: string
  readonly valve: string
  tempC: number
  occupied: boolean
  /** Somebody is there, 0 to 1, by half hour: of the week, and of the day. */
  week: number[]
  day: number[]
  /** K/h while it is heated; and while it is not, for each kelvin that it is warmer than outside. */
  warmsKPerH: number
  coolsPerH: number
  /** What the thermometer showed last, °C, and by how much the room has become warmer or colder since. */
  shownC: number
  owedK: number
  /** Since then too: hours that it was heated, and kelvin hours that it was warmer than outside while it was not. */
  heatedH: number
  coldKH: number
  doubted: boolean
  measuredMs: number
  /** People were told that its thermometer is broken, and nobody has answered. */
  told: boolean
  served: 'heat' | 'cool' | undefined
  heater: boolean
}
/** Of the coming hours, this one first. */
interface Outlook {
  readonly outsideC: readonly number[]
  /** Of heat, not of electricity: the milder it is, the more heat the pump makes of it. */
  readonly price: readonly number[]
}
interface Wish {
  readonly room: Room
  readonly mode: 'heat' | 'cool'
  readonly bid: number
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
  const [wish] = home.rooms
    .flatMap((room) => wishOf(room, outlook, Date.now()) ?? [])
    .sort((left, right) => right.bid - left.bid)
  // Who holds the pump is not outbid by a hair.
  const bid = wish ? wish.bid + (home.lease && wish.room.served ? 0.3 : 0) : 0
  const reason = wish ? `${wish.room.name} has ${wish.room.tempC.toFixed(1)} °C` : 'nothing is needed'
  const ended = await ctx.decide.auction('heat-pump', {
    bid: Math.round(bid * 100) / 100,
    within: '20s',
    reason,
  })
  if (!ended.decided) return await alone(ctx, home, `no one may run the heat pump: ${ended.reason}`)
  await guardFrost(ctx, home)
  if (ended.winner !== (await ctx.device())) await letGo(ctx, home, wordsOf(ended))
  else if (wish) await serve(ctx, home, wish)
  else await rest(ctx, home)
}

const wordsOf = ({ winner }: Decision) => `the heat pump is ${winner}'s`

/** The pump for the winner: valves of other rooms first, then the pump, then the valve. */
async function serve(ctx: Context, home: Home, { room, mode }: Wish): Promise<void> {
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
  await tried('frost', () => guardFrost(ctx, home))
  if (!lease) return
  await tried('heat pump', async () => ctx.entity(await pumpOf(ctx)).command({ hvac_mode: 'off' }, { lease }))
  await tried('lease', () => lease.release())
}

async function closeValves(ctx: Context, home: Home, but?: Room): Promise<void> {
  for (const room of home.rooms) {
    if (room === but) continue
    const valve = ctx.entity(room.valve)
    if ((await valve.read()).state !== 'closed') await valve.command({ state: 'closed' })
    room.served = undefined
  }
}

async function guardFrost(ctx: Context, home: Home): Promise<void> {
  for (const room of home.rooms) {
    const tempC = room.doubted ? room.tempC - rules.carefulK : room.tempC
    const frost = tempC < (room.heater ? rules.thawedC : rules.frostC)
    const heater = ctx.entity(`switch.${room.name}_heater`)
    const off = { expires: { after: rules.expiresMs, to: { state: 'off' } } }
    if (frost) await heater.command({ state: 'on' }, off)
    else if (room.heater) await heater.command({ state: 'off' })
    room.heater = frost
  }
}

async function pumpOf(ctx: Context): Promise<string> {
  const [own] = await ctx.entities('climate.heat_pump')
  const [pump] = own === undefined ? await ctx.entities('climate.heat_pump@*') : [own]
  if (pump === undefined) throw new Error('no heat pump is to be seen')
  return pump
}

/** What a room needs and how much, or nothing. */
function wishOf(room: Room, outlook: Outlook, nowMs: number): Wish | undefined {
  const { tempC, occupied, served, doubted } = room
  const price = outlook.price[0] ?? 1
  const later = outlook.price.slice(1, 1 + rules.storeHours)
  const mean = average(outlook.price)
  const mild = average(outlook.outsideC.slice(0, 6)) > rules.mildC
  const needed = (kelvin: number) =>
    occupied || comes(room, nowMs, 0.5 + (rules.slower * Math.max(0, kelvin)) / room.warmsKPerH)
  const weight = (occupied ? rules.there : 1) * Math.sqrt(mean / price)
  if (tempC > (served === 'cool' ? rules.cooledC : rules.hotC) && needed(tempC - rules.cooledC))
    return { room, mode: 'cool', bid: (tempC - rules.cooledC) * weight }
  const soon = mild ? occupied : needed(rules.wantedC - tempC)
  const store = !mild && price < 0.9 * average(later) && comes(room, nowMs, rules.storeHours)
  const dear = price > 1.15 * Math.min(...later.slice(0, 3), price)
  const spare = dear && !occupied ? rules.spareC : -rules.earlyC
  const targetC = store ? rules.wantedC + rules.storeC : soon ? rules.wantedC - spare : rules.emptyC
  const missingC = targetC + (served === 'heat' ? rules.bandC : 0) - (doubted ? rules.carefulK : 0) - tempC
  if (missingC <= 0) return undefined
  const urgent = tempC < rules.frostC + 3 ? 10 : 1
  return { room, mode: 'heat', bid: (0.1 + missingC) * weight * urgent }
}

/** Whether somebody usually comes within so many hours. */
function comes({ week, day }: Room, nowMs: number, hours: number): boolean {
  for (let atMs = nowMs; atMs <= nowMs + hours * hourMs; atMs += slotMs) {
    const slot = Math.floor(atMs / slotMs)
    if (((week[slot % 336] ?? 0) + (day[slot % 48] ?? 0)) / 2 >= rules.likely) return true
  }
  return false
}

/** Reads all there is, and learns from it. */
async function look(ctx: Context, home: Home): Promise<Outlook> {
  const reads = home.rooms.flatMap(({ name }) => [
    `sensor.${name}_temperature`,
    `binary_sensor.${name}_occupancy`,
  ])
  const all = ['sensor.electricity_price', 'sensor.outside_temperature', ...reads]
  const [price, outside, ...ofRooms] = await Promise.all(all.map((id) => ctx.entity(id).read().catch(silent)))
  const outsideC = forecastOf(outside)
  home.rooms.forEach((room, at) => {
    room.occupied = ofRooms[2 * at + 1]?.state === 'on'
    learn(room, Date.now())
    measure(ctx, room, numberOf(ofRooms[2 * at]), outsideC[0] ?? 5)
  })
  return {
    outsideC,
    price: forecastOf(price).map(
      (perKwh, hour) => perKwh / Math.max(1.5, 3.5 + 0.15 * (outsideC[hour] ?? 5)),
    ),
  }
}

/** A thing that does not say how it is, is one that is silent; who may not ask says so. */
function silent(error: { readonly code?: string }): undefined {
  if (error.code === 'permission') throw error
}

/** How warm the room is: what its thermometer shows, or where that is not to be believed what has become of it since. */
function measure(ctx: Context, room: Room, shownC: number | undefined, outsideC: number): void {
  const nowMs = Date.now()
  // More than a round where the power was away: what was turned on has gone back long before.
  const hours = Math.max(0, nowMs - room.measuredMs) / hourMs
  room.measuredMs = nowMs
  const { tempC, doubted: before } = room
  const wasBroken = room.owedK > rules.doubtK
  const drivenKPerH = {
    heat: room.warmsKPerH,
    cool: -room.warmsKPerH / 2,
    none: room.heater ? rules.heaterKPerH : undefined,
  }[room.served ?? 'none']
  const drivenH = drivenKPerH === undefined ? 0 : Math.min(hours, rules.expiresMs / hourMs)
  const changedK =
    drivenH * (drivenKPerH ?? 0) + (outsideC - tempC) * (1 - Math.exp(-room.coolsPerH * (hours - drivenH)))
  room.owedK += Math.abs(changedK)
  const heatedH = room.served === 'heat' ? drivenH : 0
  room.heatedH += heatedH
  room.coldKH += (hours - heatedH) * (tempC - outsideC)
  if (shownC !== undefined && shownC !== room.shownC) moved(room, shownC)
  const broken = room.owedK > rules.doubtK
  room.doubted = broken || shownC === undefined
  room.tempC = room.doubted ? tempC + changedK : room.shownC
  const says = shownC === undefined ? 'says nothing' : `shows ${shownC} °C, which cannot be`
  const words = `the thermometer of ${room.name} ${says}: until it moves the room is taken to have ${room.tempC.toFixed(1)} °C`
  if (room.doubted !== before)
    ctx.log(room.doubted ? words : `the thermometer of ${room.name} is believed again`)
  if (broken && !wasBroken && !room.told) void tell(ctx, room, `${words}. Please look at it`)
}

/** One question of a room at a time: a thermometer that jumps to and fro is one that is broken. */
async function tell(ctx: Context, room: Room, text: string): Promise<void> {
  room.told = true
  await ctx
    .ask(text, { choices: ['I see to it'], within: '1d' })
    .catch((error) => ctx.log('not told:', error))
  room.told = false
}

/** It shows something else: no room jumps, and how fast this one has warmed or cooled since it did so last. */
function moved(room: Room, shownC: number): void {
  const { heatedH, coldKH, coolsPerH } = room
  const roseK = shownC - room.shownC
  const jumped = !room.doubted && Math.abs(roseK) > rules.doubtK + room.owedK
  if (!room.doubted && Math.abs(roseK) <= rules.doubtK && room.served !== 'cool' && !room.heater) {
    if (heatedH > 0)
      room.warmsKPerH = nearer(room.warmsKPerH, (roseK + coolsPerH * coldKH) / heatedH, heatedH, [0.5, 10])
    else room.coolsPerH = nearer(coolsPerH, -roseK / coldKH, Math.abs(coldKH) / 200, [0.01, 0.1])
  }
  Object.assign(room, { shownC, owedK: jumped ? Number.POSITIVE_INFINITY : 0, heatedH: 0, coldKH: 0 })
}

/** By the share of a difference that so much seen is worth, within bounds. */
const nearer = (from: number, to: number, seen: number, [least, most]: readonly [number, number]) =>
  from + (Math.min(most, Math.max(least, to)) - from) * Math.min(0.5, seen)

function learn(room: Room, nowMs: number): void {
  const slot = Math.floor(nowMs / slotMs)
  const share = rules.roundMs / slotMs / 2
  for (const [habit, at] of [
    [room.week, slot % 336],
    [room.day, slot % 48],
  ] as const)
    habit[at] = (habit[at] ?? 0.5) * (1 - share) + (room.occupied ? share : 0)
}

function numberOf(seen: Telemetry | undefined): number | undefined {
  const number = seen && seen.state.trim() !== '' ? Number(seen.state) : Number.NaN
  return Number.isFinite(number) ? number : undefined
}

/** Of one that knows no forecast: as now, all day. */
function forecastOf(seen: Telemetry | undefined): number[] {
  const forecast = seen?.attributes['forecast']
  const numbers = Array.isArray(forecast) ? forecast.map(Number).filter(Number.isFinite) : []
  return numbers.length > 0 ? numbers : Array.from({ length: 24 }, () => numberOf(seen) ?? 1)
}

const average = (numbers: readonly number[]) =>
  numbers.reduce((sum, number) => sum + number, 0) / Math.max(1, numbers.length)

/** Every heated room of this device. */
async function roomsOf(ctx: Context): Promise<Room[]> {
  const valves = await ctx.entities('valve.*_heating')
  if (valves.length === 0) throw new Error('this device heats no room: there is no valve.*_heating')
  const kept = await ctx.memory.get('habits').catch(() => undefined)
  return valves.map((valve) => {
    const name = valve.slice('valve.'.length, -'_heating'.length)
    const habits = (
      kept as { readonly [room: string]: { readonly week: number[]; readonly day: number[] } }
    )?.[name]
    return {
      ...{
        name,
        valve,
        tempC: rules.wantedC,
        occupied: false,
        warmsKPerH: 2,
        coolsPerH: 0.04,
        heater: false,
      },
      // At first somebody may always come.
      week: habits?.week.slice() ?? Array.from({ length: 336 }, () => 0.5),
      day: habits?.day.slice() ?? Array.from({ length: 48 }, () => 0.5),
      ...{ served: undefined, shownC: Number.NaN, owedK: 0, heatedH: 0, coldKH: 0, doubted: false },
      ...{ measuredMs: Date.now(), told: false },
    }
  })
}

/** What was learned outlives the agent: kept once a day. */
async function keep(ctx: Context, home: Home): Promise<void> {
  if (Date.now() - home.keptMs < 24 * hourMs) return
  home.keptMs = Date.now()
  const short = (numbers: readonly number[]) => numbers.map((number) => Math.round(number * 100) / 100)
  const habits = home.rooms.map(
    ({ name, week, day }) => [name, { week: short(week), day: short(day) }] as const,
  )
  await ctx.memory
    .set('habits', Object.fromEntries(habits) as Json, { privacy: 'device' })
    .catch((error) => ctx.log('what was learned is not kept:', error))
}

/** Once, not every round. */
function say(ctx: Context, home: Home, text: string): void {
  if (text !== home.said) ctx.log(text)
  home.said = text
}
