/** The loudspeaker, against scripts that stand for aplay, and against the real aplay on ALSA's null device. */
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { AplaySpeaker } from '../../../../hal/linux/aplay-speaker.ts'
import { realClock, VirtualClock } from '../../../../runtime/base/clock.ts'
import { testHost } from '../host.ts'
import { hasProgram, never, useFiles } from './files.ts'

const files = useFiles()

function speaker(clock: VirtualClock | typeof realClock = realClock, device = 'plughw:1,0'): AplaySpeaker {
  return new AplaySpeaker(device, { ...testHost().host, clock })
}

async function* chunks(...all: readonly (readonly number[])[]): AsyncGenerator<Float32Array> {
  for (const one of all) yield Float32Array.from(one)
}

const sound = { sampleRateHz: 16_000 }

test('all samples reach aplay, cut off beyond full scale, and play() ends when it has played them', async () => {
  files().program('aplay', `echo "$@" > ${files().path('args')}; cat > ${files().path('pcm')}`)
  await speaker().play(chunks([0, 0.5, -1], [2, -2]), sound, never)
  const pcm = readFileSync(files().path('pcm'))
  expect([0, 2, 4, 6, 8].map((at) => pcm.readInt16LE(at))).toEqual([0, 16_384, -32_768, 32_767, -32_768])
  expect(readFileSync(files().path('args'), 'utf8')).toBe('-q -D plughw:1,0 -f S16_LE -r 16000 -c 1 -t raw\n')
})

async function* endless(): AsyncGenerator<Float32Array> {
  for (;;) yield new Float32Array(16_000)
}

test('nothing is handed over faster than it is played, and an aborted signal ends it', async () => {
  files().program('aplay', 'exec sleep 60')
  const stop = new AbortController()
  let given = 0
  async function* counted(): AsyncGenerator<Float32Array> {
    for await (const chunk of endless()) {
      given += 1
      if (given === 3) setImmediate(() => stop.abort())
      yield chunk
    }
  }
  await expect(speaker().play(counted(), sound, stop.signal)).rejects.toMatchObject({ name: 'AbortError' })
  // The pipe and its buffers hold some 300 KB, of 32 KB a second.
  expect(given).toBeLessThanOrEqual(12)
})

test('a device that takes no samples is a timeout', async () => {
  files().program('aplay', 'exec sleep 60')
  const clock = new VirtualClock()
  await expect(clock.run(() => speaker(clock).play(endless(), sound, never))).rejects.toMatchObject({
    code: 'timeout',
  })
})

test.each([
  ['busy', 'aplay: main:831: audio open error: Device or resource busy'],
  ['not-present', 'aplay: main:831: audio open error: No such file or directory'],
])('%s, in one line, when aplay says "%s"', async (code, line) => {
  files().program('aplay', `echo "${line}" >&2; exit 1`)
  await expect(speaker().play(endless(), sound, never)).rejects.toMatchObject({
    code,
    message: `speaker.plughw:1,0: ${line}`,
  })
})

test('a missing program says what to install; senseless rates and a closed speaker are refused', async () => {
  process.env['PATH'] = files().folder
  await expect(speaker().play(chunks([0]), sound, never)).rejects.toMatchObject({
    code: 'not-present',
    message: 'speaker.plughw:1,0: no program aplay, run: sudo apt install alsa-utils',
  })
  await expect(speaker().play(chunks([0]), { sampleRateHz: 1 }, never)).rejects.toMatchObject({
    code: 'out-of-range',
  })
  const closed = speaker()
  await closed[Symbol.asyncDispose]()
  await expect(closed.play(chunks([0]), sound, never)).rejects.toMatchObject({ code: 'closed' })
})

test("the real aplay plays to the null device's end, and names a device that is not there", async ({
  skip,
}) => {
  skip(!hasProgram('aplay'), 'aplay is not installed')
  await speaker(realClock, 'null').play(chunks(Array(8000).fill(0.1)), sound, never)
  await expect(speaker(realClock, 'nowhere').play(chunks([0]), sound, never)).rejects.toMatchObject({
    code: 'not-present',
  })
})
