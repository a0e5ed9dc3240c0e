/** The figures of the benchmarks: quantiles, alternation, verdicts, and how they are printed. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { alternate } from '../../bench/alternate.ts'
import { judge, type Measurement } from '../../bench/benchmark.ts'
import { median, quantile } from '../../bench/quantiles.ts'
import { json, table } from '../../bench/report.ts'

const numbers = fc.array(fc.double({ noNaN: true, noDefaultInfinity: true }), { minLength: 1, maxLength: 50 })

describe('quantiles', () => {
  test('the quantile is a measured value that the given share does not exceed [bench-3]', () => {
    fc.assert(
      fc.property(numbers, fc.double({ min: 0, max: 1, noNaN: true }), (values, share) => {
        const found = quantile(values, share)
        expect(values).toContain(found)
        const notAbove = values.filter((value) => value <= found).length
        const below = values.filter((value) => value < found).length
        expect(notAbove).toBeGreaterThanOrEqual(share * values.length - 1e-9)
        expect(below).toBeLessThanOrEqual(share * values.length + 1e-9)
      }),
    )
  })

  test('the median of one to five is three, and the quantiles 0 and 1 are the ends', () => {
    const values = [5, 1, 4, 2, 3]
    expect([median(values), quantile(values, 0), quantile(values, 1)]).toEqual([3, 1, 5])
  })

  test('no values have no quantile', () => {
    expect(() => median([])).toThrow('no quantile of no values')
  })
})

test('ways take turns, change order each round, and the warm-up does not count [bench-3]', async () => {
  const calls: string[] = []
  const way = (name: string) => async () => calls.push(name)
  const values = await alternate({ ours: way('ours'), bare: way('bare') }, { rounds: 3, warmUps: 1 })
  expect(calls).toEqual(['bare', 'ours', 'ours', 'bare', 'bare', 'ours', 'ours', 'bare'])
  expect(values).toEqual({ ours: [3, 6, 7], bare: [4, 5, 8] })
})

const measurement: Measurement = {
  name: 'broker.gap',
  value: 260,
  unit: 'ms',
  baseline: 200,
  against: 'another broker',
  limit: 'the network',
}

describe('verdicts', () => {
  test.each([
    [{ of: 'ratio', max: 1.3 }, true],
    [{ of: 'ratio', max: 1.29 }, false],
    [{ of: 'value', max: 259 }, false],
    [{ of: 'value', min: 260 }, true],
    [{ of: 'value', min: 261 }, false],
  ] as const)('260 against 200 under the promise %o: met is %s', (budget, met) => {
    expect(judge({ ...measurement, budget })).toMatchObject({ ratio: 1.3, met })
  })

  test.each([[{ baseline: 0 }], [{ baseline: Number.NaN }], [{ value: Number.NaN }]])(
    '%o is not measured, so it is no result [bench-2]',
    (wrong) => {
      expect(() => judge({ ...measurement, ...wrong })).toThrow('broker.gap')
    },
  )
})

const machine = {
  cpu: 'A CPU',
  cores: 2,
  memoryGb: 4,
  os: 'Linux 6',
  arch: 'arm64',
  node: '26.0.0',
  loadAverage: 0.5,
}
const results = [
  judge({ ...measurement, budget: { of: 'value', max: 100 }, note: 'both in one run' }),
  judge({ ...measurement, name: 'outbox.events-per-s', value: 0.123456 }),
]

test('the table names the machine, and for each result its verdict, its baseline and its limit', () => {
  const lines = table(machine, results).split('\n')
  expect(lines[0]).toBe('A CPU, 2 cores, 4 GB, Linux 6 arm64, Node 26.0.0, load 0.5 at start')
  expect(lines.slice(4)).toEqual([
    'broker.gap             260  ms         200       1.3  ≤ 100: NOT MET',
    '    baseline: another broker',
    '    limited by: the network',
    '    both in one run',
    'outbox.events-per-s  0.123  ms         200  0.000617',
    '    baseline: another broker',
    '    limited by: the network',
  ])
})

test('the JSON is one line in which every result has a baseline and a ratio [bench-2]', () => {
  const line = json(machine, results)
  expect(line).not.toContain('\n')
  expect(JSON.parse(line)).toEqual({
    machine,
    results: [
      {
        name: 'broker.gap',
        value: 260,
        unit: 'ms',
        baseline: 200,
        ratio: 1.3,
        budget: '≤ 100',
        met: false,
        note: 'baseline: another broker; limited by: the network; both in one run',
      },
      {
        name: 'outbox.events-per-s',
        value: 0.123456,
        unit: 'ms',
        baseline: 200,
        ratio: 0.00061728,
        note: 'baseline: another broker; limited by: the network',
      },
    ],
  })
})
