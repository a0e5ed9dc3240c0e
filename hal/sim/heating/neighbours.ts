/**
 * How the shares of one simulated home know of each other: each writes a small file into a common folder, and reads the others'. A share
 * that has said nothing for a while has lost its power: its valves are shut by their springs, its pump stands still, its rooms are as
 * warm as it last said.
 */
import { mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { HomeShare } from '../../contract/board.ts'
import { isMap } from '../home-node.ts'

export interface ShareState {
  readonly atMs: number
  /** By area, °C. */
  readonly temperatures: Readonly<Record<string, number>>
  readonly openValves: readonly string[]
  /** What its heat pump gives to each room, W. */
  readonly heatW: Readonly<Record<string, number>>
}

/** A share is silent when it said nothing for as many ticks. */
const silentTicks = 5
const sharesMax = 64
const bytesMax = 64 * 1024
const nobody: ShareState = { atMs: 0, temperatures: {}, openValves: [], heatW: {} }

export class Neighbours {
  readonly #share: HomeShare
  readonly #silentMs: number

  constructor(share: HomeShare, tickMs: number) {
    this.#share = share
    this.#silentMs = silentTicks * tickMs
  }

  /** What this share said before it was started again. */
  before(): ShareState | undefined {
    return read(this.#fileOf(this.#share.part))
  }

  /** The others, as one. */
  hear(nowMs: number): ShareState {
    const { directory, part } = this.#share
    let names: string[]
    try {
      names = readdirSync(directory).filter((name) => /^share-\d+\.json$/.test(name))
    } catch {
      return nobody
    }
    let heard = nobody
    for (const name of names.slice(0, sharesMax)) {
      if (name === `share-${part}.json`) continue
      const said = read(join(directory, name))
      if (!said) continue
      const present = Math.abs(nowMs - said.atMs) < this.#silentMs
      heard = {
        atMs: nowMs,
        temperatures: { ...heard.temperatures, ...said.temperatures },
        openValves: present ? [...heard.openValves, ...said.openValves] : heard.openValves,
        heatW: present ? { ...heard.heatW, ...said.heatW } : heard.heatW,
      }
    }
    return heard
  }

  /** Throws where the disk cannot be used. */
  say(state: ShareState): void {
    const file = this.#fileOf(this.#share.part)
    mkdirSync(this.#share.directory, { recursive: true })
    writeFileSync(`${file}.new`, JSON.stringify(state), { mode: 0o600 })
    renameSync(`${file}.new`, file)
  }

  #fileOf(part: number): string {
    return join(this.#share.directory, `share-${part}.json`)
  }
}

/** Undefined where there is none, or half of one. */
function read(file: string): ShareState | undefined {
  try {
    const text = readFileSync(file, 'utf8')
    if (text.length > bytesMax) return undefined
    const said = JSON.parse(text) as Record<string, unknown>
    const { atMs, openValves } = said
    if (typeof atMs !== 'number' || !Array.isArray(openValves)) return undefined
    const temperatures = numbersOf(said['temperatures'])
    const heatW = numbersOf(said['heatW'])
    return { atMs, temperatures, openValves: openValves.map(String), heatW }
  } catch {
    return undefined
  }
}

function numbersOf(value: unknown): Record<string, number> {
  if (!isMap(value)) return {}
  return Object.fromEntries(
    Object.entries(value).filter((entry): entry is [string, number] => Number.isFinite(entry[1])),
  )
}
