/** How far two tensors of the same shape are apart, as `scripts/models/networks/compare.py` measures it. */

export interface Distance {
  readonly max: number
  readonly mean: number
  /** Signal to noise, decibels. */
  readonly sqnrDb: number
  /** Share of rows with the same greatest value. */
  readonly agreement: number
}

/** Rows are `rowLength` long. Throws when the lengths differ: nothing is then compared. */
export function distance(a: ArrayLike<number>, b: ArrayLike<number>, rowLength = a.length): Distance {
  if (a.length !== b.length || a.length === 0) throw new Error(`${a.length} values beside ${b.length}`)
  const first = Float64Array.from(a)
  const second = Float64Array.from(b)
  const errors = first.map((value, at) => Math.abs(value - (second[at] ?? Number.NaN)))
  const power = first.reduce((sum, value) => sum + value * value, 0)
  const noise = errors.reduce((sum, value) => sum + value * value, 0)
  const rows = first.length / rowLength
  const same = Array.from({ length: rows }, (_, row) => {
    const from = row * rowLength
    return (
      greatest(first.subarray(from, from + rowLength)) === greatest(second.subarray(from, from + rowLength))
    )
  })
  return {
    max: errors.reduce((most, value) => Math.max(most, value), 0),
    mean: errors.reduce((sum, value) => sum + value, 0) / errors.length,
    sqnrDb: 10 * Math.log10(power / noise),
    agreement: same.filter(Boolean).length / rows,
  }
}

function greatest(values: Float64Array): number {
  return values.indexOf(values.reduce((most, value) => Math.max(most, value), -Infinity))
}
