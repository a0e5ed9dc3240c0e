/** The buffer of a serial port. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { ByteRing } from '../../../../hal/linux/byte-ring.ts'

test('whatever is pushed and taken, the newest bytes are kept in order and the lost ones counted', () => {
  const push = fc.record({ push: fc.array(fc.integer({ min: 0, max: 255 }), { maxLength: 20 }) })
  const take = fc.record({ take: fc.nat(12) })
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 8 }), fc.array(fc.oneof(push, take)), (capacity, steps) => {
      const ring = new ByteRing(capacity)
      let kept: number[] = []
      let dropped = 0
      for (const step of steps) {
        if ('push' in step) {
          ring.push(Uint8Array.from(step.push))
          const all = [...kept, ...step.push]
          kept = all.slice(-capacity)
          dropped += all.length - kept.length
        } else {
          expect([...ring.take(step.take)]).toEqual(kept.slice(0, step.take))
          kept = kept.slice(step.take)
        }
        expect([ring.length, ring.dropped]).toEqual([kept.length, dropped])
      }
    }),
  )
})
