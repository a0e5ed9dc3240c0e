/** Connected parts of a map of ones: pixels that touch at a side or a corner belong together. */
import type { Point } from './rotated-box.ts'

/** Places of a part's pixels in the row-major map. */
export type Part = readonly number[]

/** Each part, the one whose first pixel comes first, first; at most `max`. `map` is zero afterwards where a part was. */
export function* componentsOf(map: Uint8Array, width: number, max: number): Generator<Part> {
  let count = 0
  for (let start = 0; start < map.length && count < max; start += 1) {
    if (map[start] === 0) continue
    count += 1
    yield fill(map, width, start)
  }
}

/** The list of what was found is also that of what to look around next. */
function fill(map: Uint8Array, width: number, start: number): number[] {
  const pixels = [start]
  map[start] = 0
  for (let next = 0; next < pixels.length; next += 1) {
    const at = pixels[next] as number
    const x = at % width
    const left = x > 0 ? -1 : 0
    const right = x < width - 1 ? 1 : 0
    for (let line = at - width; line <= at + width; line += width)
      for (let near = line + left; near <= line + right; near += 1)
        if (map[near] === 1) {
          map[near] = 0
          pixels.push(near)
        }
  }
  return pixels
}

/** First and last pixel of each row: what the convex hull needs of a part. */
export function rowEnds(part: Part, width: number): Point[] {
  const rows = new Map<number, [number, number]>()
  for (const at of part) {
    const y = Math.floor(at / width)
    const x = at - y * width
    const row = rows.get(y)
    if (row === undefined) rows.set(y, [x, x])
    else if (x < row[0]) row[0] = x
    else if (x > row[1]) row[1] = x
  }
  return [...rows].flatMap(([y, ends]) => ends.map((x): Point => [x, y]))
}
