/** An agent of a running hub shares facts, and `ganglion board` shows them, by the real command line. */
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { openHub } from '../fixtures/hub.ts'
import { until } from '../fixtures/site.ts'

const chalk = fileURLToPath(new URL('../fixtures/agents/chalk.ts', import.meta.url))

test('what an agent shares is shown, and what it sees of it is right', async () => {
  await using hub = await openHub(['--no-voice', '--no-demo'])
  expect(hub.run('board').stdout).toBe('nothing is shared\n')
  expect(hub.run('agent', 'run', chalk, '--grant', 'all').status).toBe(0)
  const listed = () => JSON.parse(hub.run('agent', 'list', '--json').stdout).agents[0]
  await until('it has ended', () => listed()?.state === 'ended' || listed()?.state === 'failed', 60_000)
  const { seen, ...rest } = JSON.parse(listed().reason)
  expect(rest).toEqual({ same: true, grew: true, codes: ['conflict', 'conflict', 'permission'] })
  // What came between is seen by an agent that is quick enough.
  expect(seen[0]).toEqual(['heat.attic', { demand: 0.9 }, false])
  expect(seen.at(-1)).toEqual(['heat.bath', null, true])
  const { device, facts, count, refused } = JSON.parse(hub.run('board', '--json').stdout)
  expect({ count, refused }).toEqual({ count: 2, refused: 0 })
  expect(facts).toMatchObject([
    { key: 'heat.attic', value: { demand: 0.9 }, version: 2, author: device },
    { key: 'heat.bath', value: 'again', version: 2 },
  ])
  expect(hub.run('board', 'heat.b*').stdout).toMatch(/^.* {2}heat\.bath {2}"again" {2}version 2, by .*\n$/)
  expect(hub.run('board', 'nothing').stdout).toBe('nothing fits nothing; 2 facts are shared\n')
  expect(hub.run('board', '--device', 'nonesuch')).toMatchObject({ status: 2 })
}, 120_000)
