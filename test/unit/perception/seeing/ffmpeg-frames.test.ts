/** Files and streams through the real ffmpeg, where there is one, and through scripts that stand for a bad one. */
import { execFileSync, spawn } from 'node:child_process'
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { realClock } from '../../../../runtime/base/clock.ts'
import { hide } from '../../../../runtime/perception/seeing/ffmpeg-child.ts'
import {
  type FfmpegLimits,
  ffmpegDefaults,
  fileFrames,
  streamFrames,
} from '../../../../runtime/perception/seeing/ffmpeg-frames.ts'
import type { Frame, FrameSource } from '../../../../runtime/perception/seeing/frame-source.ts'
import { serveRtsp } from '../../../fixtures/rtsp-server.ts'

const folder = mkdtempSync(join(tmpdir(), 'seeing-'))
afterAll(() => rmSync(folder, { recursive: true }))
const path = (name: string) => join(folder, name)
const never = new AbortController().signal
const wish = { width: 32, height: 24, framesPerS: 10 }
const noFfmpeg = (() => {
  try {
    execFileSync('ffmpeg', ['-version'], { stdio: 'ignore' })
    return false
  } catch {
    return true
  }
})()
const why = 'needs ffmpeg (apt install ffmpeg)'

/** A program that stands for ffmpeg. */
function program(name: string, script: string): FfmpegLimits {
  writeFileSync(path(name), `#!/bin/sh\n${script}\n`)
  chmodSync(path(name), 0o755)
  return { ...ffmpegDefaults, program: path(name) }
}

async function take(source: FrameSource, count: number, signal = never): Promise<Frame[]> {
  const frames: Frame[] = []
  for await (const frame of source.frames(wish, signal)) if (frames.push(frame) === count) break
  return frames
}

async function failure(source: FrameSource, signal = never): Promise<{ code?: string; message: string }> {
  try {
    for await (const _ of source.frames(wish, signal));
  } catch (error) {
    return error as { code?: string; message: string }
  }
  throw new Error('it did not fail')
}

const isGone = (pid: number) => {
  try {
    return /^\d+ \(.*\) Z/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'))
  } catch {
    return true
  }
}
async function untilGone(pid: number): Promise<void> {
  for (const end = Date.now() + 20_000; !isGone(pid); ) {
    if (Date.now() > end) throw new Error(`process ${pid} is still there`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

beforeAll(() => {
  if (noFfmpeg) return
  const make = (...args: string[]) => execFileSync('ffmpeg', ['-loglevel', 'error', '-y', ...args])
  make('-f', 'lavfi', '-i', 'color=c=red:size=64x48:rate=10', '-frames:v', '1', path('red.png'))
  make('-f', 'lavfi', '-i', 'testsrc2=size=64x48:rate=10', '-t', '1', '-c:v', 'mpeg2video', path('moving.ts'))
  writeFileSync(path('garbage.mp4'), Buffer.from('this is no picture at all'.repeat(200)))
})

describe('a file', () => {
  test('that is an image gives one frame of the asked size and ends', async (ctx) => {
    ctx.skip(noFfmpeg, why)
    const frames: Frame[] = []
    for await (const frame of fileFrames(realClock, path('red.png')).frames(wish, never)) frames.push(frame)
    expect(frames).toHaveLength(1)
    expect(frames[0]?.rgb).toHaveLength(32 * 24 * 3)
    const [red = 0, green = 0, blue = 0] = frames[0]?.rgb ?? []
    expect(red).toBeGreaterThan(240)
    expect(green + blue).toBeLessThan(20)
  })

  test('that is a video gives its frames and ends', async (ctx) => {
    ctx.skip(noFfmpeg, why)
    let frames = 0
    for await (const { droppedFrames } of fileFrames(realClock, path('moving.ts')).frames(wish, never))
      frames += 1 + droppedFrames
    expect(frames).toBeGreaterThanOrEqual(9)
  })

  test.each([
    ['garbage.mp4', /^(?!.*@ 0x).{20,}/],
    ['nothing.mp4', /No such file/],
  ])('%s fails with one line that says why', async (name, reason) => {
    if (noFfmpeg) return expect(noFfmpeg).toBe(true)
    const error = await failure(fileFrames(realClock, path(name)))
    expect(error).toMatchObject({ code: 'source', message: expect.stringMatching(reason) })
    expect(error.message).not.toContain('\n')
  })
})

describe('a stream', () => {
  test('over RTSP with a password gives frames, and no process list shows the password [seeing-5]', async (ctx) => {
    ctx.skip(noFfmpeg, why)
    await using server = await serveRtsp({ media: readFileSync(path('moving.ts')), password: 'hush-hush' })
    const source = streamFrames(realClock, new URL(`rtsp://camera:hush-hush@127.0.0.1:${server.port}/live`))
    expect(source.name).toBe(`rtsp://127.0.0.1:${server.port}/live`)
    let seen = 0
    for await (const frame of source.frames(wish, never)) {
      expect(frame.rgb).toHaveLength(32 * 24 * 3)
      const processes = execFileSync('ps', ['axww', '-o', 'args'], { encoding: 'utf8' })
      expect(processes).toContain('pipe:3')
      expect(processes).not.toContain('hush-hush')
      seen += 1
      if (seen === 2) break
    }
    expect(server.played()).toBe(1)
  })

  test('that wants another password is refused, and the line does not tell ours [seeing-5]', async (ctx) => {
    ctx.skip(noFfmpeg, why)
    await using server = await serveRtsp({ media: new Uint8Array(188), password: 'right' })
    const address = new URL(`rtsp://camera:wrong-one@127.0.0.1:${server.port}/live`)
    const error = await failure(streamFrames(realClock, address))
    expect(error).toMatchObject({ code: 'source', message: expect.stringMatching(/401|Unauthorized/) })
    expect(error.message).not.toMatch(/wrong-one|camera/)
  })

  test('that ends ends without hanging', async (ctx) => {
    ctx.skip(noFfmpeg, why)
    await using server = await serveRtsp({ media: readFileSync(path('moving.ts')), once: true })
    const source = streamFrames(realClock, new URL(`rtsp://127.0.0.1:${server.port}/live`))
    let frames = 0
    await (async () => {
      for await (const _ of source.frames(wish, never)) frames += 1
    })().catch((error) => expect(error).toMatchObject({ code: 'source' }))
    expect(frames).toBeGreaterThan(0)
  })

  test('that accepts and says nothing is given up, and its ffmpeg is gone [seeing-3]', async (ctx) => {
    ctx.skip(noFfmpeg, why)
    const server = createServer(() => {})
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as AddressInfo
    const limits = { ...ffmpegDefaults, startMsMax: 300 }
    const error = await failure(streamFrames(realClock, new URL(`http://127.0.0.1:${port}/live`), limits))
    expect(error).toMatchObject({ code: 'silent' })
    server.closeAllConnections()
    server.close()
  })
})

describe('an ffmpeg', () => {
  test('that is not there is one clear line', async () => {
    const limits = { ...ffmpegDefaults, program: path('no-such-ffmpeg') }
    const error = await failure(fileFrames(realClock, path('red.png'), limits))
    expect(error).toMatchObject({ code: 'no-ffmpeg', message: expect.stringContaining('apt install ffmpeg') })
  })

  test('that crashes is reported with what it complained about first', async () => {
    const limits = program(
      'crash',
      'echo "[h264 @ 0x1] out of luck" >&2; echo "pipe:0: Invalid" >&2; kill -SEGV $$',
    )
    expect(await failure(fileFrames(realClock, 'x', limits))).toMatchObject({
      code: 'source',
      message: 'x: out of luck',
    })
  })

  test('that crashes without a word is reported as such', async () => {
    const limits = program('mute', 'exit 3')
    expect(await failure(fileFrames(realClock, 'x', limits))).toMatchObject({
      message: 'x: ffmpeg ended with 3',
    })
  })

  test('that stops in the middle of a frame gives only whole frames', async () => {
    const limits = program('partial', 'head -c 2304 /dev/zero; head -c 1000 /dev/zero')
    let frames = 0
    for await (const { droppedFrames } of fileFrames(realClock, 'x', limits).frames(wish, never))
      frames += 1 + droppedFrames
    expect(frames).toBe(1)
  })

  test('that goes silent after a frame is given up and killed [seeing-3]', async () => {
    const limits = program(
      'silent',
      `echo $$ > ${path('silent.pid')}; head -c 2304 /dev/zero; exec sleep 600`,
    )
    const error = await failure(fileFrames(realClock, 'x', { ...limits, silenceMsMax: 100 }))
    expect(error).toMatchObject({ code: 'silent' })
    await untilGone(Number(readFileSync(path('silent.pid'), 'utf8')))
  })

  test('that floods fills no memory: a slow reader gets the newest, and the count of the rest [seeing-2]', async () => {
    const limits = program('flood', 'exec cat /dev/zero')
    let dropped = 0
    let frames = 0
    for await (const frame of fileFrames(realClock, 'x', limits).frames(wish, never)) {
      dropped += frame.droppedFrames
      await new Promise((resolve) => setTimeout(resolve, 20))
      frames += 1
      if (frames === 5) break
    }
    expect(dropped).toBeGreaterThan(5)
  })

  test('is gone when its reader leaves, and when the signal aborts [seeing-3]', async () => {
    const limits = program('frames', `echo $$ > ${path('frames.pid')}; exec cat /dev/zero`)
    await take(fileFrames(realClock, 'x', limits), 1)
    await untilGone(Number(readFileSync(path('frames.pid'), 'utf8')))
    const abort = new AbortController()
    for await (const _ of fileFrames(realClock, 'x', limits).frames(wish, abort.signal)) abort.abort()
    await untilGone(Number(readFileSync(path('frames.pid'), 'utf8')))
  })

  test('is gone when the process that reads it is killed [seeing-3]', async () => {
    program('orphan', `echo $$ > ${path('orphan.pid')}; head -c 2304 /dev/zero; exec sleep 600`)
    const module = new URL('../../../../runtime/perception/seeing/ffmpeg-frames.ts', import.meta.url)
    const clock = new URL('../../../../runtime/base/clock.ts', import.meta.url)
    const code = `import { fileFrames, ffmpegDefaults } from ${JSON.stringify(module.href)}
      import { realClock } from ${JSON.stringify(clock.href)}
      const source = fileFrames(realClock, 'x', { ...ffmpegDefaults, program: ${JSON.stringify(path('orphan'))} })
      for await (const _ of source.frames({ width: 32, height: 24, framesPerS: 1 }, new AbortController().signal))
        console.log('seen')`
    const reader = spawn(process.execPath, ['--input-type=module', '-e', code], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    await new Promise((resolve) => reader.stdout.once('data', resolve))
    const pid = Number(readFileSync(path('orphan.pid'), 'utf8'))
    expect(isGone(pid)).toBe(false)
    reader.kill('SIGKILL')
    await untilGone(pid)
  })
})

test('addresses lose user and password, and secrets go wherever they stand', () => {
  expect(hide('Impossible to open "rtsp://me:pass@word@host/a" (pass%40word)', ['pass%40word'])).toBe(
    'Impossible to open "rtsp://host/a" (…)',
  )
})
