/** Power cuts: a device killed at random points, again and again, loses nothing that it acknowledged. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { expect, test } from 'vitest'
import { Peer, startAedes } from '../fixtures/broker.ts'

const script = join(import.meta.dirname, '../fixtures/link/link-until-killed.ts')
const rounds = 5

test('kill -9 midway loses nothing acknowledged and keeps the order of each topic [link-1] [link-4]', async () => {
  await using stack = new AsyncDisposableStack()
  const directory = mkdtempSync(join(tmpdir(), 'link-kill-'))
  stack.defer(() => rmSync(directory, { recursive: true, force: true }))
  const broker = stack.use(await startAedes())
  const peer = stack.use(await Peer.connect(broker.url, ['ganglion/d1/event/+']))
  const device = (first: number, count: number): ChildProcess =>
    spawn(process.execPath, [script, directory, broker.url, String(first), String(count)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })

  const acknowledged: string[] = []
  for (let round = 1; round <= rounds; round++) {
    const child = device(round * 1_000_000, 900_000)
    const exited = once(child, 'exit')
    const killAt = acknowledged.length + Math.ceil(Math.random() * 1500)
    for await (const id of createInterface({ input: child.stdout as NonNullable<ChildProcess['stdout']> })) {
      acknowledged.push(id)
      if (acknowledged.length === killAt) child.kill('SIGKILL')
    }
    expect(await exited).toEqual([null, 'SIGKILL'])
  }
  const last = device(0, 0)
  expect(await once(last, 'exit')).toEqual([0, null])

  // The last device ended in good order: the broker has acknowledged everything, the peer hears it soon.
  await peer.until('every acknowledged event', () => {
    if (peer.heard.length < acknowledged.length) return false
    const heard = idsOf(peer)
    return acknowledged.every((id) => heard.has(id))
  })
  for (const kind of ['kind0', 'kind1', 'kind2']) {
    const events = peer.json<{ id: string; n: number }>(`ganglion/d1/event/${kind}`)
    const once = [...new Map(events.map((event) => [event.id, event.n])).values()]
    expect(once).toEqual([...once].sort((a, b) => a - b))
  }
}, 60_000)

function idsOf(peer: Peer): Set<string> {
  return new Set(peer.heard.map(({ payload }) => (JSON.parse(payload.toString()) as { id: string }).id))
}
