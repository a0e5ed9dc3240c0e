/** Results as a table for people, and as one line of JSON for programs. */
import type { Budget, Result } from './benchmark.ts'
import type { Machine } from './machine.ts'

const columns = ['name', 'value', 'unit', 'baseline', 'ratio', 'promise'] as const

/** One row a result, and below it what it is compared with, what limits it and what to know. */
export function table(machine: Machine, results: readonly Result[]): string {
  const rows = results.map((result) => [
    result.name,
    number(result.value),
    result.unit,
    number(result.baseline),
    number(result.ratio),
    verdict(result),
  ])
  const widths = columns.map((column, at) =>
    Math.max(column.length, ...rows.map((row) => row[at]?.length ?? 0)),
  )
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, at) =>
        /^[\d.]+$/.test(cell) ? cell.padStart(widths[at] ?? 0) : cell.padEnd(widths[at] ?? 0),
      )
      .join('  ')
      .trimEnd()
  const lines = [describeMachine(machine), '', line(columns), line(widths.map((width) => '-'.repeat(width)))]
  for (const [at, { against, limit, note }] of results.entries()) {
    lines.push(line(rows[at] ?? []), `    baseline: ${against}`, `    limited by: ${limit}`)
    if (note !== undefined) lines.push(`    ${note}`)
  }
  return lines.join('\n')
}

export function json(machine: Machine, results: readonly Result[]): string {
  return JSON.stringify({
    machine,
    results: results.map(({ name, value, unit, baseline, ratio, met, against, budget, limit, note }) => ({
      name,
      value: rounded(value),
      unit,
      baseline: rounded(baseline),
      ratio: rounded(ratio),
      ...(budget ? { budget: promise(budget), met } : {}),
      note: [`baseline: ${against}`, `limited by: ${limit}`, ...(note === undefined ? [] : [note])].join(
        '; ',
      ),
    })),
  })
}

function describeMachine(machine: Machine): string {
  const { cpu, cores, memoryGb, os, arch, node, loadAverage } = machine
  return `${cpu}, ${cores} cores, ${memoryGb} GB, ${os} ${arch}, Node ${node}, load ${loadAverage} at start`
}

function verdict({ budget, met }: Result): string {
  return budget ? `${promise(budget)}: ${met ? 'met' : 'NOT MET'}` : ''
}

function promise({ of, max, min }: Budget): string {
  const what = of === 'ratio' ? 'ratio ' : ''
  return [max === undefined ? [] : `${what}≤ ${max}`, min === undefined ? [] : `${what}≥ ${min}`]
    .flat()
    .join(', ')
}

/** Three significant digits say all that such a measurement knows; whole numbers stay whole. */
function number(value: number): string {
  return Math.abs(value) >= 100 ? value.toFixed(0) : String(Number(value.toPrecision(3)))
}

function rounded(value: number): number {
  return Number(value.toPrecision(6))
}
