/** An open board has the media that were asked for, and closes them with itself. */
import { expect, test } from 'vitest'
import { boards } from '../../../../boards/index.ts'
import { createHal } from '../../../../hal/index.ts'
import { testHost } from '../host.ts'
import { never } from './files.ts'

const open = (media: { microphone?: string; speaker?: string; camera?: string }) =>
  createHal(boards).openBoard({ hostSensors: false, ...media }, testHost().host, never)

test('camera, loudspeaker and microphone are there when they are asked for, and only then', async () => {
  await using all = await open({ microphone: 'default', speaker: 'default', camera: '/dev/video0' })
  expect([all.microphone?.info.id, all.speaker?.info.id, all.camera?.info.id]).toEqual([
    'microphone.default',
    'speaker.default',
    'camera./dev/video0',
  ])
  await using none = await open({})
  expect([none.microphone, none.speaker, none.camera]).toEqual([undefined, undefined, undefined])
})

test('[hal-4] closing the board closes camera and loudspeaker', async () => {
  const board = await open({ speaker: 'default', camera: '/dev/video0' })
  await board[Symbol.asyncDispose]()
  const frames = board.camera?.capture({ width: 64, height: 64, framesPerS: 5 }, never)
  await expect(frames?.[Symbol.asyncIterator]().next()).rejects.toMatchObject({ code: 'closed' })
  const silence = (async function* () {})()
  const played = board.speaker?.play(silence, { sampleRateHz: 16_000 }, never)
  await expect(played).rejects.toMatchObject({ code: 'closed' })
})
