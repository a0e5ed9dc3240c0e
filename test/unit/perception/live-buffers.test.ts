import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Channel } from '../../../runtime/perception/hearing/channel.ts'
import { SampleBuffer } from '../../../runtime/perception/hearing/sample-buffer.ts'

describe('SampleBuffer', () => {
  test('keeps the last samples under their numbers, and never more than its maximum', () => {
    const sizes = fc.array(fc.integer({ min: 0, max: 40 }), { maxLength: 20 })
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 30 }),
        sizes,
        fc.nat(300),
        fc.nat(60),
        (max, lengths, start, length) => {
          const buffer = new SampleBuffer(max)
          let total = 0
          for (const count of lengths) {
            buffer.push(Float32Array.from({ length: count }, () => total++))
          }
          expect(buffer.end).toBe(total)
          const first = Math.max(start, total - max, 0)
          const last = Math.min(start + length, total)
          const wanted = Array.from({ length: Math.max(0, last - first) }, (_, at) => first + at)
          expect([...buffer.slice(start, start + length)]).toEqual(wanted)
        },
      ),
    )
  })
})

describe('Channel', () => {
  test('holds the sender back while it is full, and loses nothing', async () => {
    const channel = new Channel<number>(2)
    let sent = 0
    const sending = (async () => {
      for (let item = 1; item <= 5; item += 1) if (await channel.send(item)) sent = item
      channel.close()
    })()
    await new Promise((resolve) => setImmediate(resolve))
    expect(sent).toBe(2)
    const read: number[] = []
    for await (const item of channel.read()) read.push(item)
    await sending
    expect(read).toEqual([1, 2, 3, 4, 5])
  })

  test('gives what was sent, then the error it was closed with', async () => {
    const channel = new Channel<string>(2)
    await channel.send('first')
    channel.close(new Error('unplugged'))
    const reading = channel.read()
    expect((await reading.next()).value).toBe('first')
    await expect(reading.next()).rejects.toThrow('unplugged')
    expect(await channel.send('late')).toBe(false)
  })
})
