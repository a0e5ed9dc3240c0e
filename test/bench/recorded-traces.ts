/**
 * Links and boards from recordings (`traces/`, whose README says who made them, where and under which licence), for the
 * router's benchmark. Of each recording one stretch was there to make the router with, and another was held out.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type LinkTrace, madeWifiRates } from './link-traces.ts'

/** What a board does to a model that runs on it, by time. */
export interface LoadTrace {
  readonly name: string
  readonly at: (atMs: number) => { readonly slower: number; readonly tempC: number }
}

type Part = 'design' | 'held-out'

/** An answer that took this long was repeated by TCP or by the radio: nothing moved until it came. */
const stallMs = 200
const cores = 4
/** Where a Raspberry Pi begins to slow its processor down, and where it is at half its clock. */
export const throttlesAtC = 80
const halvedAtC = 85

/** `seed`: of the rates of Wi-Fi, which nobody recorded in a way that may be passed on; of held-out 4G one recording or the other. */
export function recordedLinks(part: Part, seed: number): readonly LinkTrace[] {
  const rates4g = linesOf('4g-rates', '4g', part)
  const ratesOf4g = rates4g[seed % rates4g.length] ?? []
  return [
    // The robot asked for a scan of its laser, and sensors like it make about ten a second: the recording has no times.
    { name: 'wifi-near', rates: madeWifiRates('near', seed), ...trips('wifi-near', part, 100) },
    { name: 'wifi-walk', rates: madeWifiRates('far', seed), ...trips('wifi-walk', part, 100) },
    // Megabits to kB. One message followed the other: there are as many as fit in the day that was recorded.
    { name: '4g', rates: ratesOf4g.map((rate) => rate * 125), ...trips('4g', part, 0) },
  ]
}

/** Nothing else to do; a bare board and one in a closed case that other programs keep busy, the second hot. */
export function recordedLoads(part: Part): readonly LoadTrace[] {
  return [
    { name: 'idle', at: () => ({ slower: 1, tempC: 50 }) },
    { name: 'busy', at: board('open', part) },
    { name: 'hot', at: board('closed', part) },
  ]
}

function trips(name: string, part: Part, everyMs: number): Pick<LinkTrace, 'tripMs' | 'movesFrom' | 'loss'> {
  const took = linesOf('round-trips', name, part)[0] ?? []
  const median = took.toSorted((a, b) => a - b)[took.length >> 1] ?? 0
  const starts: number[] = []
  let lengthMs = 0
  for (const ms of took) {
    starts.push(lengthMs)
    lengthMs += Math.max(ms, everyMs)
  }
  /** The message under way at that time: how long it took, and how long ago it was sent. */
  const at = (atMs: number) => {
    const within = atMs % lengthMs
    const index = starts.findLastIndex((start) => start <= within)
    return { ms: took[index] ?? 0, agoMs: within - (starts[index] ?? 0) }
  }
  return {
    loss: 0,
    tripMs: (atMs) => {
      const { ms } = at(atMs)
      return ms > stallMs ? median : ms
    },
    movesFrom: (atMs) => {
      const { ms, agoMs } = at(atMs)
      return ms > stallMs ? Math.max(atMs, atMs - agoMs + ms - median) : atMs
    },
  }
}

/**
 * Load and temperature are recorded; what they cost is a model: the threads of a board share its cores evenly, and from 80 °C
 * on its clock falls until it is halved at 85 (the processor of a Raspberry Pi 3 goes from 1200 to 600 MHz).
 */
function board(name: string, part: Part): LoadTrace['at'] {
  const pairs = linesOf('boards', name, part)[0] ?? []
  return (atMs) => {
    const second = Math.floor(atMs / 1000) % (pairs.length / 2)
    const busy = pairs[2 * second] ?? 0
    const tempC = pairs[2 * second + 1] ?? 0
    const hot = Math.min(1, Math.max(0, (tempC - throttlesAtC) / (halvedAtC - throttlesAtC)))
    return { tempC, slower: Math.max(1, (busy + 1) / cores) / (1 - hot / 2) }
  }
}

/** Numbers of the lines of that name and part. */
function linesOf(file: string, name: string, part: Part): number[][] {
  const text = readFileSync(join(import.meta.dirname, 'traces', `${file}.txt`), 'utf8')
  const begin = `${name} ${part} `
  const lines = text.split('\n').filter((line) => line.startsWith(begin))
  return lines.map((line) => line.slice(begin.length).split(' ').map(Number))
}
