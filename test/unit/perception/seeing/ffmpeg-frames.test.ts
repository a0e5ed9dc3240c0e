/** Files and streams through the real ffmpeg, where there is one, and through scripts that stand for a bad one. */
import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { getPriority, tmpdir } from 'node:os'
import { join } from 'node:path'
import { crc32, deflateSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createHal } from '../../../../hal/index.ts'
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
const deps = { clock: realClock, hal: createHal([]) }
const wish = { width: 32, height: 24, framesPerS: 10 }
const noFfmpeg = spawnSync('ffmpeg', ['-version']).status !== 0
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

/** Serves HTTP on loopback until disposed. */
async function serveHttp(answer: RequestListener) {
  const server = createServer(answer)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    port,
    [Symbol.dispose]() {
      server.closeAllConnections()
      server.close()
    },
  }
}

/** The beginning of a PNG of this size: a few bytes, whatever it says. */
function pngOf(width: number, height: number): Buffer {
  const chunk = (type: string, content: Buffer) => {
    const whole = Buffer.concat([Buffer.alloc(4), Buffer.from(type), content, Buffer.alloc(4)])
    whole.writeUInt32BE(content.length, 0)
    whole.writeUInt32BE(crc32(whole.subarray(4, -4)), whole.length - 4)
    return whole
  }
  const head = Buffer.from([0, 0, 0, 0, 0, 0, 0, 0, 8, 2, 0, 0, 0])
  head.writeUInt32BE(width, 0)
  head.writeUInt32BE(height, 4)
  const nothing = deflateSync(Buffer.alloc(1000))
  return Buffer.concat([
    Buffer.from('89504e470d0a1a0a', 'hex'),
    chunk('IHDR', head),
    chunk('IDAT', nothing),
    chunk('IEND', Buffer.alloc(0)),
  ])
}

beforeAll(() => {
  if (noFfmpeg) return
  const make = (...args: string[]) => execFileSync('ffmpeg', ['-loglevel', 'error', '-y', ...args])
  make('-f', 'lavfi', '-i', 'color=c=red:size=64x48:rate=10', '-frames:v', '1', path('red.png'))
  make('-f', 'lavfi', '-i', 'testsrc2=size=64x48:rate=10', '-t', '1', '-c:v', 'mpeg2video', path('moving.ts'))
  const blue = ['-f', 'lavfi', '-i', 'color=c=blue:size=160x120:rate=10', '-t', '1', '-c:v', 'mpeg2video']
  make(...blue, path('larger.ts'))
  const both = [path('moving.ts'), path('larger.ts')].map((file) => readFileSync(file))
  writeFileSync(path('grows.ts'), Buffer.concat(both))
  for (const side of [0, 16_000, 20_000]) writeFileSync(path(`${side}.png`), pngOf(side, side))
  writeFileSync(path('garbage.mp4'), Buffer.from('this is no picture at all'.repeat(200)))
})

describe('a file', () => {
  test('that is an image gives one frame of the asked size and ends', async (ctx) => {
    ctx.skip(noFfmpeg, why)
    const frames: Frame[] = []
    for await (const frame of fileFrames(deps, path('red.png')).frames(wish, never)) frames.push(frame)
    expect(frames).toHaveLength(1)
    expect(frames[0]?.rgb).toHaveLength(32 * 24 * 3)
    const [red = 0, green = 0, blue = 0] = frames[0]?.rgb ?? []
    expect(red).toBeGreaterThan(240)
    expect(green + blue).toBeLessThan(20)
  })

  test('that is a video gives its frames and ends', async (ctx) => {
    ctx.skip(noFfmpeg, why)
    let frames = 0
    for await (const { droppedFrames } of fileFrames(deps, path('moving.ts')).frames(wish, never))
      frames += 1 + droppedFrames
    expect(frames).toBeGreaterThanOrEqual(9)
  })

  test('whose pictures change in size gives frames of the asked size all along', async (ctx) => {
    ctx.skip(noFfmpeg, why)
    let frames = 0
    let last: Frame | undefined
    for await (const frame of fileFrames(deps, path('grows.ts')).frames(wish, never)) {
      expect(frame.rgb).toHaveLength(32 * 24 * 3)
      frames += 1 + frame.droppedFrames
      last = frame
    }
    expect(frames).toBeGreaterThanOrEqual(15)
    const [red = 255, , blue = 0] = last?.rgb ?? []
    expect(blue - red).toBeGreaterThan(150)
  })

  test.each([
    ['garbage.mp4', /^(?!.*@ 0x).{20,}/],
    ['nothing.mp4', /No such file/],
    // A few bytes that say they are a gigabyte: ffmpeg would have made it.
    ['16000.png', /16000x16000 exceeds/],
    ['20000.png', /20000x20000|max(imum)? pixel/i],
    ['0.png', /./],
  ])('%s fails with one line that says why [seeing-7]', async (name, reason) => {
    if (noFfmpeg) return expect(noFfmpeg).toBe(true)
    const error = await failure(fileFrames(deps, path(name)))
    expect(error).toMatchObject({ code: 'source', message: expect.stringMatching(reason) })
    expect(error.message).not.toContain('\n')
  })
})

describe('a stream', () => {
  test('over RTSP with a password gives frames, and no process list shows the password [seeing-5]', async (ctx) => {
    ctx.skip(noFfmpeg, why)
    await using server = await serveRtsp({ media: readFileSync(path('moving.ts')), password: 'hush-hush' })
    const source = streamFrames(deps, new URL(`rtsp://camera:hush-hush@127.0.0.1:${server.port}/live`))
    expect(source.name).toBe(`rtsp://127.0.0.1:${server.port}`)
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
    const error = await failure(streamFrames(deps, address))
    expect(error).toMatchObject({ code: 'source', message: expect.stringMatching(/401|Unauthorized/) })
    expect(error.message).not.toMatch(/wrong-one|camera/)
  })

  test('that ends ends without hanging', async (ctx) => {
    ctx.skip(noFfmpeg, why)
    await using server = await serveRtsp({ media: readFileSync(path('moving.ts')), once: true })
    const source = streamFrames(deps, new URL(`rtsp://127.0.0.1:${server.port}/live`))
    let frames = 0
    await (async () => {
      for await (const _ of source.frames(wish, never)) frames += 1
    })().catch((error) => expect(error).toMatchObject({ code: 'source' }))
    expect(frames).toBeGreaterThan(0)
  })

  test('that accepts and says nothing is given up, and its ffmpeg is gone [seeing-3]', async (ctx) => {
    ctx.skip(noFfmpeg, why)
    using server = await serveHttp(() => {})
    const limits = { ...ffmpegDefaults, startMsMax: 300 }
    const error = await failure(streamFrames(deps, new URL(`http://127.0.0.1:${server.port}/live`), limits))
    expect(error).toMatchObject({ code: 'silent' })
  })

  test('whose path and query hold a password tells neither [seeing-5]', async (ctx) => {
    ctx.skip(noFfmpeg, why)
    using server = await serveHttp((_, response) => response.writeHead(404).end())
    const address = `http://127.0.0.1:${server.port}/user=viewer&password=hush/1.sdp?pwd=hush-hush`
    const source = streamFrames(deps, new URL(address))
    expect(source.name).toBe(`http://127.0.0.1:${server.port}`)
    const { message } = await failure(source)
    expect(message).toMatch(/404/)
    expect(message).not.toMatch(/hush|viewer/)
  })

  test('cannot make this machine read a file of its own [seeing-7]', async (ctx) => {
    ctx.skip(noFfmpeg, why)
    const file = `file://${path('moving.ts')}`
    const list = `#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n${file}\n#EXT-X-ENDLIST\n`
    using server = await serveHttp((_, response) =>
      response.setHeader('content-type', 'application/vnd.apple.mpegurl').end(list),
    )
    const source = streamFrames(deps, new URL(`http://127.0.0.1:${server.port}/live.m3u8`))
    expect(await failure(source)).toMatchObject({ code: 'source' })
  })

  test('may have a lone % in its password', () => {
    expect(streamFrames(deps, new URL('rtsp://viewer:100%@camera.test/1')).name).toBe('rtsp://camera.test')
  })
})

describe('an ffmpeg', () => {
  test('that is not there is one clear line', async () => {
    const limits = { ...ffmpegDefaults, program: path('no-such-ffmpeg') }
    const error = await failure(fileFrames(deps, path('red.png'), limits))
    expect(error).toMatchObject({ code: 'no-ffmpeg', message: expect.stringContaining('apt install ffmpeg') })
  })

  test('that crashes is reported with what it complained about first', async () => {
    const limits = program(
      'crash',
      'echo "[h264 @ 0x1] out of luck" >&2; echo "pipe:0: Invalid" >&2; kill -SEGV $$',
    )
    expect(await failure(fileFrames(deps, 'x', limits))).toMatchObject({
      code: 'source',
      message: 'x: out of luck',
    })
  })

  test('that crashes without a word is reported as such', async () => {
    const limits = program('mute', 'exit 3')
    expect(await failure(fileFrames(deps, 'x', limits))).toMatchObject({
      message: 'x: ffmpeg ended with 3',
    })
  })

  test('that stops in the middle of a frame gives only whole frames', async () => {
    const limits = program('partial', 'head -c 2304 /dev/zero; head -c 1000 /dev/zero')
    let frames = 0
    for await (const { droppedFrames } of fileFrames(deps, 'x', limits).frames(wish, never))
      frames += 1 + droppedFrames
    expect(frames).toBe(1)
  })

  test('that goes silent after a frame is given up and killed [seeing-3]', async () => {
    const limits = program(
      'silent',
      `echo $$ > ${path('silent.pid')}; head -c 2304 /dev/zero; exec sleep 600`,
    )
    const error = await failure(fileFrames(deps, 'x', { ...limits, silenceMsMax: 100 }))
    expect(error).toMatchObject({ code: 'silent' })
    await untilGone(Number(readFileSync(path('silent.pid'), 'utf8')))
  })

  test('that floods fills no memory: a slow reader gets the newest, and the count of the rest [seeing-2]', async () => {
    const limits = program('flood', 'exec cat /dev/zero')
    let dropped = 0
    let frames = 0
    for await (const frame of fileFrames(deps, 'x', limits).frames(wish, never)) {
      dropped += frame.droppedFrames
      await new Promise((resolve) => setTimeout(resolve, 20))
      frames += 1
      if (frames === 5) break
    }
    expect(dropped).toBeGreaterThan(5)
  })

  test('that floods its complaints goes on giving frames, and its failure is one short line', async () => {
    const limits = program(
      'complains',
      'head -c 20000000 /dev/zero | tr "\\0" x >&2; head -c 2304 /dev/zero; exit 1',
    )
    const frames: Frame[] = []
    const source = fileFrames(deps, 'x', limits)
    const reading = (async () => {
      for await (const frame of source.frames(wish, never)) frames.push(frame)
    })()
    await expect(reading).rejects.toMatchObject({
      code: 'source',
      message: expect.stringMatching(/^x: x{200}$/),
    })
    expect(frames).toHaveLength(1)
  })

  test('gives way to the control loop [seeing-7]', async () => {
    const limits = program('nice', `cat /proc/self/stat > ${path('nice.stat')}; head -c 2304 /dev/zero`)
    await take(fileFrames(deps, 'x', limits), 1)
    const niceness = Number(readFileSync(path('nice.stat'), 'utf8').split(' ')[18])
    expect(niceness).toBe(Math.min(19, getPriority() + 10))
  })

  test('is gone when its reader leaves, and when the signal aborts [seeing-3]', async () => {
    const limits = program('frames', `echo $$ > ${path('frames.pid')}; exec cat /dev/zero`)
    await take(fileFrames(deps, 'x', limits), 1)
    await untilGone(Number(readFileSync(path('frames.pid'), 'utf8')))
    const abort = new AbortController()
    for await (const _ of fileFrames(deps, 'x', limits).frames(wish, abort.signal)) abort.abort()
    await untilGone(Number(readFileSync(path('frames.pid'), 'utf8')))
  })

  test('is gone when the process that reads it is killed [seeing-3]', async () => {
    program('orphan', `echo $$ > ${path('orphan.pid')}; head -c 2304 /dev/zero; exec sleep 600`)
    const module = new URL('../../../../runtime/perception/seeing/ffmpeg-frames.ts', import.meta.url)
    const clock = new URL('../../../../runtime/base/clock.ts', import.meta.url)
    const hal = new URL('../../../../hal/index.ts', import.meta.url)
    const code = `import { fileFrames, ffmpegDefaults } from ${JSON.stringify(module.href)}
      import { realClock } from ${JSON.stringify(clock.href)}
      import { createHal } from ${JSON.stringify(hal.href)}
      const deps = { clock: realClock, hal: createHal([]) }
      const source = fileFrames(deps, 'x', { ...ffmpegDefaults, program: ${JSON.stringify(path('orphan'))} })
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

test('of addresses only the host is left, and secrets go wherever they stand', () => {
  expect(hide('Impossible to open "rtsp://me:pass@word@host/a" (pass%40word)', ['pass%40word'])).toBe(
    'Impossible to open "rtsp://host" (…)',
  )
  expect(hide('http://host:80/key=1?pwd=2: Server returned 401', [])).toBe(
    'http://host:80: Server returned 401',
  )
})
