/** A stream of server-sent events, wherever it is cut. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { serverSentEvents } from '../../../../gateway/offload/backends/server-sent-events.ts'

async function* cut(bytes: Uint8Array, lengths: readonly number[]): AsyncGenerator<Uint8Array> {
  let at = 0
  for (const length of lengths) {
    yield bytes.subarray(at, at + length)
    at += length
  }
  yield bytes.subarray(at)
}
const eventsOf = (text: string, lengths: readonly number[] = []) =>
  Array.fromAsync(serverSentEvents(cut(Buffer.from(text), lengths)))

const said = [
  '\uFEFF: a comment',
  '',
  'event: x',
  'data: {"a": "Grüße 👋"}',
  'id: 7',
  '',
  'data:two',
  'data: lines',
  '',
  '',
  'data: [DONE]',
  '',
  'data: never ended',
]

test('[serving-9] events are the same however the stream is cut, and whichever way its lines end', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom('\n', '\r\n', '\r'),
      fc.array(fc.integer({ min: 0, max: 5 }), { maxLength: 150 }),
      async (end, lengths) => {
        expect(await eventsOf(said.join(end), lengths)).toEqual(['{"a": "Grüße 👋"}', 'two\nlines', '[DONE]'])
      },
    ),
    { numRuns: 300 },
  )
})

test('[serving-9] a long event that drips byte by byte takes no more work than one at once', async () => {
  const event = 'x'.repeat(500_000)
  expect(await eventsOf(`data: ${event}\n\n`, Array(500_006).fill(1))).toEqual([event])
})

test.each([
  ['one line', `data: ${'x'.repeat(2 ** 20)}`],
  ['many lines', 'data: xxxx\n'.repeat(2 ** 17)],
])('[serving-9] an event without end is an error (%s)', async (_what, text) => {
  await expect(eventsOf(text)).rejects.toMatchObject({ code: 'run' })
})
