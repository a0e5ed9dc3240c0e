/** Seeded noise that is a function of its place alone: any instant of a trace can be worked out without those before it. */

/** In [0, 1). The finalizer of MurmurHash3 (Austin Appleby, public domain) over the mixed arguments. */
export function hashed(seed: number, ...places: readonly number[]): number {
  let h = seed >>> 0
  for (const place of places) {
    h = Math.imul(h ^ (place >>> 0), 0x9e3779b1)
    h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
    h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
    h ^= h >>> 16
  }
  return (h >>> 0) / 4294967296
}

/** Smooth in [-1, 1]: a random value every `periodMs`, and a smoothstep from one to the next. */
export function smooth(seed: number, what: number, atMs: number, periodMs: number): number {
  const place = Math.floor(atMs / periodMs)
  const t = atMs / periodMs - place
  const [from, to] = [hashed(seed, what, place), hashed(seed, what, place + 1)]
  return 2 * (from + (to - from) * t * t * (3 - 2 * t)) - 1
}
