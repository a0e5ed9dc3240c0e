/** An agent that comes in pieces, also from a device that says them again and again, out of order, or wrong. */
import { createHash, randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import { Coming } from '../../../../runtime/agent/move/coming.ts'
import { VirtualClock } from '../../../../runtime/base/clock.ts'
import { moveLimits } from '../../../../runtime/wire/move.ts'

const { chunkBytes } = moveLimits
const leaving = { agent: 'traveller', engine: '0'.repeat(64), bytes: 1, grants: '[]' }
const whole = randomBytes(3 * chunkBytes + 7)
const sha256 = createHash('sha256').update(whole).digest('hex')

function coming() {
  const clock = new VirtualClock()
  const agents = new Coming(clock)
  agents.expect('hub', 'n', leaving, 'id')
  const piece = (at: number, part = whole.subarray(at * chunkBytes, (at + 1) * chunkBytes), of = 4) => ({
    ...({ kind: 'chunk', to: 'cellar', id: 'id', at, of, sha256, part: part.toString('base64') } as const),
  })
  return { clock, agents, piece, take: (at: number) => agents.take('hub', piece(at)) }
}

test('it is whole with its last piece, in whatever order they come, and is expected no longer', () => {
  const { take } = coming()
  for (const at of [3, 1, 0, 1]) expect(take(at)).toBe('taken')
  const last = take(2)
  expect(last).toMatchObject({ leaving })
  expect(typeof last === 'object' && whole.equals(last.bytes)).toBe(true)
  expect(take(2)).toBe('unknown')
})

test('a piece that is said again keeps nothing waiting: it is forgotten where nothing new comes for a minute [move-5]', () => {
  const { clock, take } = coming()
  take(0)
  for (let time = 0; time < 3; time += 1) {
    expect(take(0)).toBe('taken')
    clock.advance(25_000)
  }
  expect(take(0)).toBe('unknown')
})

test('what is of another size than said, of another device or not what was signed for is not taken [move-5]', () => {
  const { agents, piece, take } = coming()
  expect(agents.take('eve', piece(0))).toBe('unknown')
  expect(agents.take('hub', piece(0, whole.subarray(0, 9)))).toBe('unknown')
  expect(agents.take('hub', piece(3, whole.subarray(0, 0)))).toBe('unknown')
  expect(agents.take('hub', piece(4))).toBe('unknown')
  expect(take(0)).toBe('taken')
  expect(agents.take('hub', piece(1, undefined, 512))).toBe('unknown')
  expect(agents.take('hub', piece(1, randomBytes(chunkBytes)))).toBe('taken')
  for (const at of [2, 1]) take(at)
  // Together they are not what was said: it is given up, and the other device hears that.
  expect(take(3)).toBe('unknown')
  expect(take(0)).toBe('unknown')
})
