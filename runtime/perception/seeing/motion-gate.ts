/**
 * Has the picture changed enough for a model to be asked? The picture as a grid of mean brightness, against the grid of the
 * last frame that was looked at: so what moves slowly is seen in the end, and noise of single pixels is not. An unmoving
 * scene costs one pass over some ten thousand pixels and no inference. What does not move is not found by it: a camera that
 * starts in front of somebody is looked at once, because nothing has been looked at before.
 */
const columns = 32
const rows = 24
/** Pixels of a cell that are taken, each way: more would not change its mean much. */
const samplesMax = 4
/** Of 255: above the noise and the slow drift of small cameras, below somebody in a grey coat before a grey wall. */
const cellChange = 12

export type Grid = Float32Array

/** Mean green of each cell: green is where cameras have most of their light. */
export function gridOf(rgb: Uint8Array, width: number, height: number): Grid {
  const grid = new Float32Array(columns * rows)
  for (let row = 0; row < rows; row += 1)
    for (let column = 0; column < columns; column += 1) {
      const x0 = Math.floor((column * width) / columns)
      const x1 = Math.max(x0 + 1, Math.floor(((column + 1) * width) / columns))
      const y0 = Math.floor((row * height) / rows)
      const y1 = Math.max(y0 + 1, Math.floor(((row + 1) * height) / rows))
      const dx = Math.ceil((x1 - x0) / samplesMax)
      const dy = Math.ceil((y1 - y0) / samplesMax)
      let sum = 0
      let count = 0
      for (let y = y0; y < y1; y += dy)
        for (let x = x0; x < x1; x += dx) {
          sum += rgb[(y * width + x) * 3 + 1] ?? 0
          count += 1
        }
      grid[row * columns + column] = sum / count
    }
  return grid
}

/** Share of cells that differ, 0 to 1. */
export function changedShare(before: Grid | undefined, now: Grid): number {
  if (!before) return 1
  let changed = 0
  for (let cell = 0; cell < now.length; cell += 1)
    if (Math.abs((now[cell] ?? 0) - (before[cell] ?? 0)) > cellChange) changed += 1
  return changed / now.length
}
