/**
 * How warm a room is: what its thermometer shows, or, while that is not to be believed, what heat and weather have made of it since. It
 * is not believed while it says nothing, after it has jumped, and when it stands still although the room must have changed; it is again
 * once it moves. How fast this room warms and cools is learned meanwhile.
 */
const hourMs = 3_600_000

const rules = {
  /** A thermometer that has not moved while its room must have by so much, or that jumps by so much, is not believed. */
  doubtK: 3,
  /** What an electric heater warms a room by, K/h, at the least. */
  heaterKPerH: 0.3,
} as const

/** What has warmed or cooled the room since it was last looked at, and for how long at most: it goes off by itself. */
export interface Drive {
  readonly by: 'heat' | 'cool' | 'heater' | undefined
  readonly msMax: number
}

export class Thermometer {
  /** Believed or reckoned. */
  tempC = 21
  doubted = false
  /** It stands still or has jumped: somebody should look at it. */
  broken = false
  /** K/h while it is heated; and while it is not, for each kelvin that it is warmer than outside. */
  warmsKPerH = 2
  #coolsPerH = 0.04
  #measuredMs = Date.now()
  /** What it showed last, °C, and by how much the room has become warmer or colder since. */
  #shownC = Number.NaN
  #owedK = 0
  /** Since then too: hours that it was heated, and kelvin hours that it was warmer than outside while it was not. */
  #heatedH = 0
  #coldKH = 0

  /** Undefined: it shows nothing. */
  measure(shownC: number | undefined, outsideC: number, { by, msMax }: Drive): void {
    // More than a round where the power was away: what was turned on has gone back long before.
    const hours = Math.max(0, Date.now() - this.#measuredMs) / hourMs
    this.#measuredMs = Date.now()
    const drivenH = by === undefined ? 0 : Math.min(hours, msMax / hourMs)
    const changedK = drivenH * this.#kPerH(by) + this.#cooledK(outsideC, hours - drivenH)
    this.#owedK += Math.abs(changedK)
    const heatedH = by === 'heat' ? drivenH : 0
    this.#heatedH += heatedH
    this.#coldKH += (hours - heatedH) * (this.tempC - outsideC)
    if (shownC !== undefined && shownC !== this.#shownC) this.#moved(shownC, by)
    this.broken = this.#owedK > rules.doubtK
    this.doubted = this.broken || shownC === undefined
    this.tempC = this.doubted ? this.tempC + changedK : this.#shownC
  }

  #kPerH(by: Drive['by']): number {
    if (by === 'heater') return rules.heaterKPerH
    if (by === undefined) return 0
    return by === 'heat' ? this.warmsKPerH : -this.warmsKPerH / 2
  }

  #cooledK(outsideC: number, hours: number): number {
    return (outsideC - this.tempC) * (1 - Math.exp(-this.#coolsPerH * hours))
  }

  /** It shows something else: no room jumps, and how fast this one has warmed or cooled since it did so last. */
  #moved(shownC: number, by: Drive['by']): void {
    const roseK = shownC - this.#shownC
    const jumped = !this.doubted && Math.abs(roseK) > rules.doubtK + this.#owedK
    if (!this.doubted && Math.abs(roseK) <= rules.doubtK && (by === 'heat' || by === undefined))
      this.#learn(roseK)
    this.#shownC = shownC
    this.#owedK = jumped ? Number.POSITIVE_INFINITY : 0
    this.#heatedH = 0
    this.#coldKH = 0
  }

  #learn(roseK: number): void {
    const [heatedH, coldKH] = [this.#heatedH, this.#coldKH]
    if (heatedH > 0) {
      const kPerH = (roseK + this.#coolsPerH * coldKH) / heatedH
      this.warmsKPerH = nearer(this.warmsKPerH, kPerH, heatedH, [0.5, 10])
    } else this.#coolsPerH = nearer(this.#coolsPerH, -roseK / coldKH, Math.abs(coldKH) / 200, [0.01, 0.1])
  }
}

/** By the share of a difference that so much seen is worth, within bounds. */
const nearer = (from: number, to: number, seen: number, [least, most]: readonly [number, number]) =>
  from + (Math.min(most, Math.max(least, to)) - from) * Math.min(0.5, seen)
