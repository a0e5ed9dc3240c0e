/** What a model answered, for a person: words as they are, scores with the likeliest first, boxes a line each. */

/** A tensor as the hub's JSON has it; numbers may be null where the model gave none. */
export interface JsonTensor {
  readonly name: string
  readonly datatype: string
  readonly shape: readonly number[]
  readonly data: readonly (number | string | boolean | null)[]
}

const linesMax = 20
const likeliest = 5

export function outputLines(outputs: readonly JsonTensor[]): string[] {
  const count = rowsOf(outputs)
  if (count !== undefined && count > 1) return rows(outputs, count)
  return outputs.flatMap((tensor) => ofOne(tensor))
}

/** Tensors that have a row for each thing that was found, as boxes and their scores do. */
function rowsOf(outputs: readonly JsonTensor[]): number | undefined {
  const [first, ...others] = outputs
  const count = first?.shape[0]
  if (count === undefined || others.length === 0) return undefined
  return others.every(({ shape }) => shape[0] === count) ? count : undefined
}

function rows(outputs: readonly JsonTensor[], count: number): string[] {
  const lines: string[] = []
  for (let row = 0; row < Math.min(count, linesMax); row += 1)
    lines.push(
      outputs
        .map(({ name, data }) => {
          const width = data.length / count
          const values = data.slice(row * width, (row + 1) * width).map(shown)
          return typeof data[0] === 'string' ? values.join(' ') : `${name} ${values.join(' ')}`
        })
        .join('  '),
    )
  return count > linesMax ? [...lines, `… ${count - linesMax} more`] : lines
}

function ofOne({ name, data, shape, datatype }: JsonTensor): string[] {
  if (data.length === 0) return [`${name}: nothing`]
  if (datatype === 'BYTES') return [`${name}: ${data.slice(0, linesMax).join('\n  ')}`]
  if (data.length === 1) return [`${name}: ${shown(data[0] ?? null)}`]
  const isScores =
    datatype.startsWith('FP') && data.length > likeliest && shape.filter((length) => length > 1).length === 1
  if (!isScores)
    return [
      `${name} [${shape.join(', ')}]: ${data.slice(0, 8).map(shown).join(' ')}${data.length > 8 ? ' …' : ''}`,
    ]
  const top = data
    .map((value, index) => ({ index, value: Number(value) }))
    .sort((a, b) => b.value - a.value)
    .slice(0, likeliest)
  return [
    `${name} [${shape.join(', ')}], highest:`,
    ...top.map(({ index, value }) => `  ${String(index).padStart(5)}  ${shown(value)}`),
  ]
}

function shown(value: number | string | boolean | null): string {
  if (value === null) return 'not a number'
  return typeof value === 'number' && !Number.isInteger(value) ? value.toPrecision(4) : String(value)
}
