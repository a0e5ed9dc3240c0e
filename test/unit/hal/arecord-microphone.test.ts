/** The live microphone, against programs named `arecord` that stand in for ALSA's. */
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { boards } from '../../../boards/index.ts'
import type { AudioChunk, Microphone } from '../../../hal/contract/microphone.ts'
import { createHal } from '../../../hal/index.ts'
import { SampleBuffer } from '../../../hal/linux/sample-buffer.ts'
import { realClock, VirtualClock } from '../../../runtime/base/clock.ts'
import { testHost } from './host.ts'

let folder = ''
const path = process.env['PATH'] ?? ''
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hal-mic-'))
})
afterEach(async () => {
  process.env['PATH'] = path
  await rm(folder, { recursive: true, force: true })
})

/** Puts a shell script named arecord first on the PATH. */
async function fakeArecord(script: string): Promise<void> {
  const file = join(folder, 'arecord')
  await writeFile(file, `#!/bin/sh\n${script}\n`)
  await chmod(file, 0o755)
  process.env['PATH'] = `${folder}:${path}`
}

async function microphone(clock: VirtualClock | typeof realClock = realClock): Promise<Microphone> {
  const { host } = testHost()
  const options = { hostSensors: false, microphone: 'plughw:1,0' }
  const board = await createHal(boards).openBoard(options, { ...host, clock }, new AbortController().signal)
  if (!board.microphone) throw new Error('no microphone')
  return board.microphone
}

async function captureAll(mic: Microphone, signal = new AbortController().signal): Promise<AudioChunk[]> {
  const chunks: AudioChunk[] = []
  for await (const chunk of mic.capture({ sampleRateHz: 16_000 }, signal)) chunks.push(chunk)
  return chunks
}

async function isGone(pidFile: string): Promise<boolean> {
  const pid = Number(await readFile(pidFile, 'utf8'))
  try {
    process.kill(pid, 0)
    return false
  } catch {
    return true
  }
}

test('samples arrive as numbers between -1 and 1, from the asked device at the asked rate', async () => {
  await fakeArecord(`echo "$@" > ${folder}/args; printf '\\000\\100\\000\\200'; exec sleep 60`)
  const mic = await microphone()
  const stop = new AbortController()
  const got: number[] = []
  for await (const { samples, droppedSamples } of mic.capture({ sampleRateHz: 16_000 }, stop.signal)) {
    expect(droppedSamples).toBe(0)
    got.push(...samples)
    if (got.length === 2) stop.abort()
  }
  expect(got).toEqual([0.5, -1])
  expect(await readFile(join(folder, 'args'), 'utf8')).toBe(
    '-q -D plughw:1,0 -f S16_LE -r 16000 -c 1 -t raw\n',
  )
})

test('[hal-linux-3] an aborted signal ends the capture and the program', async () => {
  await fakeArecord(`echo $$ > ${folder}/pid; while :; do printf '\\001\\000\\002\\000'; sleep 0.01; done`)
  const stop = new AbortController()
  const capture = (await microphone()).capture({ sampleRateHz: 16_000 }, stop.signal)
  for await (const _ of capture) stop.abort()
  expect(await isGone(join(folder, 'pid'))).toBe(true)
})

test('[hal-linux-3] a reader that stops reading ends the program, even one that ignores the request', async () => {
  await fakeArecord(
    `trap '' TERM; echo $$ > ${folder}/pid; printf '\\001\\000'; while :; do sleep 0.05; done`,
  )
  const capture = (await microphone()).capture({ sampleRateHz: 16_000 }, new AbortController().signal)
  for await (const _ of capture) break
  expect(await isGone(join(folder, 'pid'))).toBe(true)
})

test('a missing program says what to install', async () => {
  process.env['PATH'] = folder
  await expect(captureAll(await microphone())).rejects.toMatchObject({
    code: 'not-present',
    message: 'microphone.plughw:1,0: no program arecord, run: sudo apt install alsa-utils',
  })
})

test.each([
  ['audio open error: Device or resource busy', 'busy'],
  ['audio open error: No such file or directory', 'not-present'],
  ['audio open error: Permission denied', 'permission'],
  ['something else', 'other'],
])('the last line of its complaints "%s" is in the error, as %s', async (line, code) => {
  await fakeArecord(`echo "ALSA lib: noise" >&2; echo "arecord: main:850: ${line}" >&2; exit 1`)
  await expect(captureAll(await microphone())).rejects.toMatchObject({
    code,
    message: `microphone.plughw:1,0: arecord: main:850: ${line}`,
  })
})

test('a program that ends without a word is an error too', async () => {
  await fakeArecord('exit 3')
  await expect(captureAll(await microphone())).rejects.toMatchObject({
    code: 'other',
    message: 'microphone.plughw:1,0: arecord ended with 3',
  })
})

test('a device that stays silent for 5 s is a timeout', async () => {
  await fakeArecord('exec sleep 60')
  const clock = new VirtualClock()
  const mic = await microphone(clock)
  await expect(clock.run(() => captureAll(mic))).rejects.toMatchObject({ code: 'timeout', retryable: true })
})

test('a senseless rate is refused, an aborted signal captures nothing, a closed microphone says so', async () => {
  await fakeArecord('exec sleep 60')
  const mic = await microphone()
  const none = new AbortController().signal
  await expect(mic.capture({ sampleRateHz: 1 }, none)[Symbol.asyncIterator]().next()).rejects.toMatchObject({
    code: 'out-of-range',
  })
  expect(await captureAll(mic, AbortSignal.abort())).toEqual([])
  await mic[Symbol.asyncDispose]()
  await expect(captureAll(mic)).rejects.toMatchObject({ code: 'closed' })
})

test('[hal-linux-4] a full buffer drops the oldest samples and counts them', () => {
  const buffer = new SampleBuffer(4)
  buffer.push(Uint8Array.of(1, 0, 2, 0, 3, 0))
  buffer.push(Uint8Array.of(4, 0, 5, 0, 6))
  buffer.push(Uint8Array.of(0))
  const { samples, droppedSamples } = buffer.take()
  expect([...samples].map((sample) => sample * 32_768)).toEqual([3, 4, 5, 6])
  expect(droppedSamples).toBe(2)
  expect(buffer.isEmpty).toBe(true)
  buffer.push(Uint8Array.of(7, 0))
  expect(buffer.take()).toMatchObject({ droppedSamples: 0 })
})
