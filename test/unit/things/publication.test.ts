import { describe, expect, it } from 'vitest'
import type { OpenBoard } from '../../../hal/contract/board.ts'
import { homeMessage } from '../../../runtime/things/publication.ts'

/** A board with so many sensors, each with a name of that length. */
function boardOf(count: number, nameLength = 10): OpenBoard {
  const components = Array.from({ length: count }, (_, at) => ({
    info: { id: `sensor.s${at}`, kind: 'sensor', name: 'n'.repeat(nameLength), simulated: true },
  }))
  return { board: { name: 'Pi' }, simulated: true, layout: { areas: [] }, components } as unknown as OpenBoard
}

describe('the home on the wire', () => {
  it('takes 500 entities [things-2]', () => {
    expect(homeMessage('hub', boardOf(500)).entities).toHaveLength(500)
  })

  it('with one more is refused with its number and what to do [things-2]', () => {
    expect(() => homeMessage('hub', boardOf(501))).toThrow(
      'this device would have 501 entities, one for each channel; 500 are the most: attach fewer parts here',
    )
  })

  it('is refused where its description is more than one message takes', () => {
    expect(() => homeMessage('hub', boardOf(500, 400))).toThrow(/takes \d+ bytes, 131072 are the most/)
  })
})
