import { expect, test } from 'vitest'
import { topLines } from '../../../runtime/cli/commands/top.ts'
import type { TopAgent, TopResult } from '../../../runtime/wire/top.ts'

const style = (_style: unknown, text: string) => text
const used = { cpuMs: 0, engineMs: 0, tokens: 0, bytes: 0, joules: 0, money: 0 }
const agent = (name: string, more: Partial<TopAgent> = {}): TopAgent => ({
  ...{ name, state: 'running', priority: 'background', cpuShare: 0, turnsPerS: 0, turns: 1 },
  ...{ memoryBytes: 700_000, inMemory: true, used, waits: ['sleep'], over: [] },
  ...more,
})
const resources = [
  {
    ...{ name: 'processor', capacity: 2, used: 1, waiting: 3 },
    fared: { granted: 90, refused: 0, waitedMs: 800, longestMs: 300 },
  },
  {
    ...{ name: 'locks', capacity: 1_024, used: 1, waiting: 2 },
    fared: { granted: 12, refused: 4, waitedMs: 9_000, longestMs: 4_500 },
  },
  { name: 'entity light.hall', capacity: 1, used: 1, waiting: 2 },
]
const result = (agents: readonly TopAgent[]): TopResult => ({ agents: [...agents], more: 0, resources })

test('top says what each agent is, uses and waits for', () => {
  const busy = { cpuMs: 4_200, engineMs: 0, tokens: 1_200, bytes: 0, joules: 3.81, money: 0.25 }
  const lines = topLines(
    result([
      agent('watch', {
        priority: 'control',
        cpuShare: 0.123,
        turnsPerS: 4,
        used: busy,
        waits: ['on', 'processor'],
      }),
      agent('hog', { over: ['cpuMs'], inMemory: false }),
      agent('done', { state: 'ended', waits: [] }),
    ]),
    { style },
  )
  expect(lines).toEqual(
    [
      'processor 1/2, 3 waiting · locks 1/1024, 2 waiting, waited up to 4.5 s, 4 refused',
      'AGENT  STATE    CLASS          CPU  TURNS/S   MEMORY  USED                                       WAITS FOR',
      'watch  running  control     12.3 %      4.0   0.7 MB  4.2 s, 1200 tokens, ~3.8 J, 0.25 money  on, processor',
      'hog    running  background   0.0 %      0.0  on disk  0 ms                                       its quota of cpuMs',
      'done   ended    background   0.0 %      0.0   0.7 MB  0 ms',
    ].map((line) =>
      expect.stringMatching(new RegExp(`^${line.replaceAll(/[.+/]/g, '\\$&').replaceAll(/ +/g, ' +')}$`)),
    ),
  )
})

test('top fits the terminal, and says how many it left out', () => {
  const agents = Array.from({ length: 50 }, (_, at) => agent(`agent-with-a-long-name-${at}`))
  const lines = topLines(result(agents), { style, columns: 60 }, 12)
  expect(lines).toHaveLength(12)
  expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(60)
  expect(lines.at(-1)).toBe('and 41 more')
})

test('top of a device without agents says how to begin', () => {
  expect(topLines({ agents: [], more: 0, resources: [] }, { style })).toEqual([
    'no agents: ganglion agent run FILE.ts starts one',
  ])
})
