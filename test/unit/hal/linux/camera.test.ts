/** The camera, against scripts that stand for ffmpeg and rpicam-vid, and against the real ffmpeg's test picture. */
import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Frame, FrameOptions } from '../../../../hal/contract/camera.ts'
import { type CameraSource, ChildCamera, cameraSource, ffmpeg } from '../../../../hal/linux/camera.ts'
import { FrameBuffer } from '../../../../hal/linux/frame-buffer.ts'
import { yuv420ToRgb } from '../../../../hal/linux/yuv420.ts'
import { realClock, VirtualClock } from '../../../../runtime/base/clock.ts'
import { testHost } from '../host.ts'
import { hasProgram, never, useFiles } from './files.ts'

const files = useFiles()
const tiny: FrameOptions = { width: 2, height: 2, framesPerS: 10 }

function camera(source: CameraSource, clock: VirtualClock | typeof realClock = realClock): ChildCamera {
  return new ChildCamera(source, { ...testHost().host, clock })
}

/** A device node that is there. */
function videoNode(): string {
  files().write({ 'dev/video0': '' })
  return files().path('dev/video0')
}

async function take(from: ChildCamera, count: number, options = tiny): Promise<Frame[]> {
  const frames: Frame[] = []
  for await (const frame of from.capture(options, never)) if (frames.push(frame) === count) break
  return frames
}

test('frames are cut from what ffmpeg writes, wherever its pipe is cut', async () => {
  files().program(
    'ffmpeg',
    `echo "$@" > ${files().path('args')}; printf 'abcdefgh'; sleep 0.05; printf 'ijkl'; exec sleep 60`,
  )
  const node = videoNode()
  const [frame] = await take(camera(cameraSource(node)), 1)
  expect(Buffer.from(frame?.rgb ?? []).toString()).toBe('abcdefghijkl')
  expect(frame).toMatchObject({ width: 2, height: 2, droppedFrames: 0 })
  expect(readFileSync(files().path('args'), 'utf8')).toBe(
    `-hide_banner -loglevel error -nostdin -f v4l2 -framerate 10 -video_size 2x2 -i ${node} -vf scale=2:2 -r 10 -f rawvideo -pix_fmt rgb24 pipe:1\n`,
  )
})

test('a slow reader gets the newest whole frame and the count of those it missed', () => {
  const frames = fc.array(fc.uint8Array({ minLength: 6, maxLength: 6 }), { minLength: 1, maxLength: 20 })
  fc.assert(
    fc.property(frames, fc.array(fc.nat(9), { minLength: 1 }), (all, cuts) => {
      const buffer = new FrameBuffer(6, () => 0)
      const stream = Buffer.concat(all)
      for (let at = 0, turn = 0; at < stream.length; turn += 1) {
        const end = at + 1 + (cuts[turn % cuts.length] ?? 0)
        buffer.push(stream.subarray(at, end))
        at = end
      }
      const { bytes, droppedFrames } = buffer.take()
      expect([...bytes]).toEqual([...(all.at(-1) ?? [])])
      expect(droppedFrames).toBe(all.length - 1)
      expect(buffer.isEmpty).toBe(true)
    }),
  )
})

test('a frame that was taken is not written into again', () => {
  const buffer = new FrameBuffer(1, () => 0)
  buffer.push(Uint8Array.of(1))
  const { bytes } = buffer.take()
  buffer.push(Uint8Array.of(2, 3, 4))
  expect(bytes[0]).toBe(1)
  expect(buffer.take()).toMatchObject({ bytes: Uint8Array.of(4), droppedFrames: 2 })
})

test.each([
  ['busy', '[video4linux2] ioctl(VIDIOC_STREAMON): Device or resource busy'],
  ['not-present', '/dev/video0: No such device'],
  ['other', 'something else'],
])('%s, in one line, when ffmpeg says "%s"', async (code, line) => {
  files().program('ffmpeg', `echo "noise" >&2; echo "${line}" >&2; exit 1`)
  const node = videoNode()
  await expect(take(camera(cameraSource(node)), 1)).rejects.toMatchObject({
    code,
    message: `camera.${node}: ${line}`,
  })
})

test('a node that is missing is said before any program starts; a missing program says what to install', async () => {
  process.env['PATH'] = files().folder
  const missing = files().path('dev/video9')
  await expect(take(camera(cameraSource(missing)), 1)).rejects.toMatchObject({
    code: 'not-present',
    message: expect.stringContaining(missing),
  })
  await expect(take(camera(cameraSource(videoNode())), 1)).rejects.toMatchObject({
    message: expect.stringMatching(/no program ffmpeg, run: sudo apt install ffmpeg$/),
  })
})

test('a camera that gives nothing for 5 s is a timeout', async () => {
  files().program('ffmpeg', 'exec sleep 60')
  const clock = new VirtualClock()
  const slow = camera(cameraSource(videoNode()), clock)
  const failed = expect(take(slow, 1)).rejects.toMatchObject({ code: 'timeout' })
  // The child is a real process: time moves only once it is waited for.
  await new Promise((resolve) => setImmediate(resolve))
  await clock.run(() => failed)
})

test.each([
  { ...tiny, width: 3 },
  { ...tiny, height: 0 },
  { ...tiny, framesPerS: 1000 },
  { ...tiny, width: 4000 },
])('frames that no camera gives are refused', async (options) => {
  await expect(take(camera(cameraSource(videoNode())), 1, options)).rejects.toMatchObject({
    code: 'out-of-range',
  })
})

test("the Raspberry Pi's own camera is read with rpicam-vid, in widths without padding", async () => {
  const wide: FrameOptions = { width: 64, height: 2, framesPerS: 5 }
  writeFileSync(files().path('frame'), new Uint8Array(192).fill(128))
  files().program(
    'rpicam-vid',
    `echo "$@" > ${files().path('args')}; cat ${files().path('frame')}; exec sleep 60`,
  )
  const pi = camera(cameraSource('rpicam:1'))
  const [frame] = await take(pi, 1, wide)
  expect([...(frame?.rgb ?? [])]).toEqual(Array(384).fill(130))
  expect(readFileSync(files().path('args'), 'utf8')).toMatch(/^--camera 1 .*--codec yuv420 --output -\n$/)
  await expect(take(pi, 1, tiny)).rejects.toMatchObject({ code: 'out-of-range' })
})

test('a closed camera says so', async () => {
  const closed = camera(cameraSource(videoNode()))
  await closed[Symbol.asyncDispose]()
  await expect(take(closed, 1)).rejects.toMatchObject({ code: 'closed' })
})

const picture = (size: string) => ['-f', 'lavfi', '-i', `testsrc=size=${size}:rate=50`]

test("the real ffmpeg's moving picture comes as frames that differ, at the asked size", async ({ skip }) => {
  skip(!hasProgram('ffmpeg'), 'ffmpeg is not installed')
  const source = ffmpeg('test picture', () => picture('320x240'))
  const frames = await take(camera(source), 3, { width: 160, height: 120, framesPerS: 50 })
  expect(frames.map(({ rgb }) => rgb.length)).toEqual([57_600, 57_600, 57_600])
  expect(Buffer.compare(frames[0]?.rgb ?? new Uint8Array(), frames[2]?.rgb ?? new Uint8Array())).not.toBe(0)
})

test.for([
  ['BT.601', '320x240', 'bt601'],
  ['BT.709', '1280x720', 'bt709'],
])('YUV becomes RGB as the real ffmpeg does it, %s', ([, size = '', matrix], { skip }) => {
  skip(!hasProgram('ffmpeg'), 'ffmpeg is not installed')
  const [width = 0, height = 0] = size.split('x').map(Number)
  const convert = (format: string, input: string[], filter: string) =>
    execFileSync(
      'ffmpeg',
      [
        '-loglevel',
        'error',
        ...input,
        '-vf',
        filter,
        '-frames:v',
        '1',
        '-f',
        'rawvideo',
        '-pix_fmt',
        format,
        '-',
      ],
      { maxBuffer: 1e8 },
    )
  const yuv = convert('yuv420p', picture(size), `scale=out_color_matrix=${matrix}:out_range=tv`)
  writeFileSync(files().path('yuv'), yuv)
  const raw = ['-f', 'rawvideo', '-pix_fmt', 'yuv420p', '-s', size, '-i', files().path('yuv')]
  const flags = 'flags=neighbor+full_chroma_int+accurate_rnd'
  const wanted = convert('rgb24', raw, `scale=in_color_matrix=${matrix}:in_range=tv:${flags}`)
  const got = yuv420ToRgb(yuv, width, height)
  let sum = 0
  for (const [index, value] of got.entries()) sum += Math.abs(value - (wanted[index] ?? 0))
  expect(got.length).toBe(wanted.length)
  expect(sum / got.length).toBeLessThan(1)
})
