/**
 * Lights the way of whoever walks at night, and makes it dark again when it has been still for five minutes. Which hours are the
 * night is what a person grants: by day nothing may be turned on. A light that was on already is somebody's and is left alone;
 * so is one that somebody turned off while it was lit.
 */
import { agent, type Context } from '../agent/contract.ts'

const sensors = 'binary_sensor.*_motion'
const stillMs = 5 * 60_000
/** A sensor that has seen somebody move without a break for this long is stuck. */
const movingMsMax = 60 * 60_000

interface Room {
  readonly area: string
  /** Lights that burn because of this agent. */
  readonly lit: Set<string>
  /** How often somebody began to move. */
  moves: number
  /** When a sensor last said that something moves, or that nothing does any more. */
  reportedMs: number
  watched: boolean
}

export default agent({
  name: 'night-watch',
  says: 'lights the room where somebody moves at night, until it has been still for five minutes',
  wants: [
    { want: `${sensors}:read`, why: 'to know where somebody walks' },
    { want: 'light.*:read', why: 'a light that is on already is left alone' },
    { want: 'light.*:command', limits: { values: { state: ['on'] }, times: ['21:00-07:00'] } },
    { want: 'light.*:command', why: 'what it turned on', limits: { values: { state: ['off'] } } },
  ],
  async run(ctx) {
    const rooms = new Map<string, Room>()
    const areas = new Map<string, string>()
    const nowhere = new Set<string>()
    void leaveToPeople(ctx, rooms)
    for await (const { entity, area, state } of ctx.on(sensors, { to: ['on', 'off'] })) {
      if (area === '') {
        // Lights that are in no room either may be anywhere.
        if (!nowhere.has(entity)) ctx.log(`${entity} is in no room: it lights nothing`)
        nowhere.add(entity)
        continue
      }
      const room = rooms.get(area) ?? { area, lit: new Set(), moves: 0, reportedMs: 0, watched: false }
      rooms.set(area, room)
      room.reportedMs = Date.now()
      if (state === 'on') room.moves += 1
      if (state === 'on' && !room.watched) void watch(ctx, room, areas)
    }
  },
})

/** A light that goes out before its time was turned off by somebody: what becomes of it next is theirs. */
async function leaveToPeople(ctx: Context, rooms: ReadonlyMap<string, Room>): Promise<void> {
  try {
    for await (const { entity } of ctx.on('light.*', { to: 'off' }))
      for (const { lit } of rooms.values()) lit.delete(entity)
  } catch (error) {
    ctx.log('does not hear which lights people turn off:', error)
  }
}

/** From the first move in a room until it is dark again. */
async function watch(ctx: Context, room: Room, areas: Map<string, string>): Promise<void> {
  room.watched = true
  try {
    for (let moves = -1; moves !== room.moves; ) {
      await turnOn(ctx, room, areas)
      if (room.lit.size > 0) await untilStill(ctx, room, areas)
      moves = room.moves
      await turnOff(ctx, room)
    }
  } catch (error) {
    ctx.log(room.area, error)
  }
  room.watched = false
}

async function turnOn(ctx: Context, room: Room, areas: Map<string, string>): Promise<void> {
  const lights = await readIn(ctx, 'light.*', room.area, areas)
  await Promise.all(
    lights
      .filter(({ state }) => state === 'off')
      .map(async ({ entity }) => {
        room.lit.add(entity)
        try {
          await ctx.entity(entity).command({ state: 'on' })
        } catch (error) {
          // By day: that is what the grant is for. Of any other failure nobody knows whether it came on after all.
          if ((error as { code?: string }).code === 'permission') room.lit.delete(entity)
          else ctx.log(entity, 'is not on:', error)
        }
      }),
  )
}

/** What sensors said while the power was away is nowhere: they are asked before it gets dark. */
async function untilStill(ctx: Context, room: Room, areas: Map<string, string>): Promise<void> {
  while (true) {
    const leftMs = room.reportedMs + stillMs - Date.now()
    if (leftMs > 0) await ctx.sleep(leftMs)
    else if (Date.now() - room.reportedMs >= movingMsMax) return
    else if ((await readIn(ctx, sensors, room.area, areas)).some(({ state }) => state === 'on'))
      await ctx.sleep(stillMs)
    else return
  }
}

async function turnOff(ctx: Context, { lit }: Room): Promise<void> {
  const ours = [...lit]
  lit.clear()
  const off = (entity: string) => ctx.entity(entity).command({ state: 'off' })
  await Promise.all(ours.map((id) => off(id).catch((error) => ctx.log(id, 'is not off:', error))))
}

/** What those of an area show; where each thing is, is asked once. */
async function readIn(ctx: Context, pattern: string, area: string, areas: Map<string, string>) {
  const ids = await ctx.entities(pattern)
  const wanted = ids.filter((id) => (areas.get(id) ?? area) === area)
  const read = await Promise.all(wanted.map((id) => ctx.entity(id).read()))
  for (const seen of read) areas.set(seen.entity, seen.area)
  return read.filter((seen) => seen.area === area)
}
