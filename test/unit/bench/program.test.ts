/** The program itself, asked for its quickest benchmark: what comes out, and its exit codes. Never how fast. */
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const main = fileURLToPath(new URL('../../bench/main.ts', import.meta.url))

function bench(...args: string[]) {
  return spawnSync(process.execPath, ['--expose-gc', main, ...args], { encoding: 'utf8', timeout: 60_000 })
}

test('--quick --only outbox --json prints one line with the machine and both results [bench-1] [bench-2]', () => {
  const { status, stdout, stderr } = bench('--quick', '--only', 'outbox', '--json')
  expect(status, stderr).toBe(0)
  expect(stdout.trimEnd().split('\n')).toHaveLength(1)
  const { machine, results } = JSON.parse(stdout)
  expect(machine).toMatchObject({
    cpu: expect.any(String),
    cores: expect.any(Number),
    node: process.versions.node,
  })
  expect(results.map(({ name }: { name: string }) => name)).toEqual([
    'outbox.events-per-s-batch-1',
    'outbox.events-per-s-batch-50',
  ])
  for (const { value, baseline, ratio, unit } of results) {
    expect(unit).toBe('events/s')
    expect(value).toBeGreaterThan(0)
    expect(baseline).toBeGreaterThan(0)
    expect(ratio).toBeCloseTo(value / baseline, 2)
  }
})

test.each([['--only', 'nothing'], ['--fast']])('%s %s is a wrong call: usage, exit code 2', (...args) => {
  const { status, stdout, stderr } = bench(...args.filter((arg) => arg !== undefined))
  expect({ status, stdout }).toEqual({ status: 2, stdout: '' })
  expect(stderr).toContain('usage: main.ts')
  expect(stderr).toContain('outbox.events-per-s')
})
