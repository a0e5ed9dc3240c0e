/** What happened to agents is kept in files: from the first turn on, without a gap, bounded. */
import {
  appendFileSync,
  closeSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { Recordings, runFileOf } from '../../../../runtime/agent/replay/recordings.ts'
import type { RecordedTurn } from '../../../../runtime/agent/replay/replay.ts'
import { type RunHeader, readRunFile } from '../../../../runtime/agent/replay/run-file.ts'
import { silentLog } from '../../../../runtime/base/log.ts'
import { openFiles } from '../../../fixtures/open-files.ts'

const root = mkdtempSync(join(tmpdir(), 'recordings-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))

const opened = (directory: string, bytesMax = 1_000_000, runBytesMax = 100_000) =>
  new Recordings({ log: silentLog }, { directory: join(root, directory), bytesMax, runBytesMax })
const headerOf = (agent: string, token = 1): RunHeader => ({
  ...{ v: 1, run: `${agent}.${token}`, agent, device: 'hub', token, seed: 7, startedMs: 1_000 },
  ...{ engine: 'e', guest: { 'ganglion:guest': '', 'ganglion:guest-checks': '' }, content: '{}' },
})
const turnAt = (nowMs: number, text = ''): RecordedTurn => ({
  nowMs,
  inputs: [{ kind: 'settle', id: 1, ok: true, value: text }],
  output: { calls: [{ id: nowMs, op: 'sleep', args: { text } }], cancels: [] },
})
const pathOf = (directory: string, run: string) => join(root, directory, runFileOf(run))
const read = (directory: string, run: string) => readRunFile(readFileSync(pathOf(directory, run)))

/** Recorder of a run that was just begun. */
function begun(recordings: Recordings, agent: string, token = 1) {
  recordings.begin(headerOf(agent, token))
  const recorder = recordings.recorderOf({ agent, token })
  if (!recorder) throw new Error('it is not recorded')
  return recorder
}

describe('a run that is recorded', () => {
  test('is read with its header and all its turns, also while it goes on', async () => {
    const recordings = opened('whole')
    const recorder = begun(recordings, 'a')
    for (let turn = 1; turn <= 50; turn += 1) recorder.turn(turn, turnAt(turn, 'ä'))
    await recorder.durable()
    const run = read('whole', 'a.1')
    expect(run.header).toEqual(headerOf('a'))
    expect(run.turns.map(({ nowMs }) => nowMs)).toEqual(Array.from({ length: 50 }, (_, at) => at + 1))
    expect(run.turns[49]).toMatchObject(turnAt(50, 'ä'))
    expect(run.over).toBeUndefined()
    await recordings.close()
  })

  test('hears a turn that is taken again after a crash once [recorded-2]', async () => {
    const before = opened('again')
    for (const turn of [1, 2, 3]) begun(before, 'a', turn).turn(1, turnAt(1))
    const one = before.recorderOf({ agent: 'a', token: 1 })
    one?.turn(2, turnAt(2))
    await before.close()
    const after = opened('again')
    const recorder = after.recorderOf({ agent: 'a', token: 1 })
    for (const turn of [1, 2, 3]) recorder?.turn(turn, turnAt(turn))
    await after.close()
    expect(read('again', 'a.1').turns.map(({ nowMs }) => nowMs)).toEqual([1, 2, 3])
  })

  test('goes on behind the last whole line where a power cut tore one [recorded-1]', async () => {
    const before = opened('torn')
    const recorder = begun(before, 'a')
    for (const turn of [1, 2, 3]) recorder.turn(turn, turnAt(turn))
    await before.close()
    const path = pathOf('torn', 'a.1')
    truncateSync(path, readFileSync(path).byteLength - 5)
    expect(read('torn', 'a.1').turns).toHaveLength(2)
    const after = opened('torn')
    for (const turn of [3, 4]) after.recorderOf({ agent: 'a', token: 1 })?.turn(turn, turnAt(turn))
    await after.close()
    expect(read('torn', 'a.1').turns.map(({ nowMs }) => nowMs)).toEqual([1, 2, 3, 4])
  })

  test('ends before a gap, and says so for good [recorded-4]', async () => {
    const recordings = opened('gap')
    const recorder = begun(recordings, 'a')
    for (const turn of [1, 2, 4]) recorder.turn(turn, turnAt(turn))
    await recordings.close()
    const again = opened('gap')
    again.recorderOf({ agent: 'a', token: 1 })?.turn(3, turnAt(3))
    await again.close()
    expect(read('gap', 'a.1')).toMatchObject({ turns: { length: 2 }, over: 'turn 3 is not known any more' })
  })

  test('is bounded, and says when it was full [recorded-3]', async () => {
    const recordings = opened('full', 100_000, 10_000)
    const recorder = begun(recordings, 'a')
    for (let turn = 1; turn <= 20; turn += 1) recorder.turn(turn, turnAt(turn, 'x'.repeat(1_000)))
    await recordings.close()
    expect(read('full', 'a.1')).toMatchObject({
      turns: { length: 4 },
      over: 'the 10000 bytes that a run may have are full',
    })
    expect(readFileSync(pathOf('full', 'a.1')).byteLength).toBeLessThan(10_100)
  })

  test('does not gather in memory what a slow disk does not take [recorded-3]', async () => {
    const recordings = opened('slow', 1e9, 1e8)
    const recorder = begun(recordings, 'a')
    // At one instant: nothing is written meanwhile.
    for (let turn = 1; turn <= 10; turn += 1) recorder.turn(turn, turnAt(turn, 'x'.repeat(300_000)))
    await recordings.close()
    expect(read('slow', 'a.1').turns).toHaveLength(0)
  })

  test('ends where the disk refuses, and the agent does not notice', async () => {
    const recordings = opened('refused')
    const recorder = begun(recordings, 'a')
    recorder.turn(1, turnAt(1))
    await recorder.durable()
    closeSync(openFiles(pathOf('refused', 'a.1'))[0] ?? -1)
    recorder.turn(2, turnAt(2))
    await recorder.durable()
    recorder.turn(3, turnAt(3))
    await recordings.close()
    expect(read('refused', 'a.1').turns).toHaveLength(1)
  })
})

describe('runs that are recorded', () => {
  test('make room by losing the oldest; those that go on stay [recorded-3]', async () => {
    const recordings = opened('room', 2_000, 800)
    for (const token of [1, 2, 3, 4, 5]) {
      begun(recordings, 'a', token).turn(1, turnAt(1))
      await recordings.rested({ agent: 'a', token })
    }
    const kept = readdirSync(join(root, 'room'))
    expect(kept).toContain('a.5.jsonl')
    expect(kept).not.toContain('a.1.jsonl')
    begun(recordings, 'b', 6)
    begun(recordings, 'c', 7)
    recordings.begin(headerOf('d', 8))
    expect(recordings.recorderOf({ agent: 'd', token: 8 })).toBeUndefined()
    await recordings.close()
  })

  test('of an agent are forgotten with it, and nobody else’s', async () => {
    const recordings = opened('forgotten')
    begun(recordings, 'a')
    begun(recordings, 'a', 2)
    begun(recordings, 'a-2')
    await recordings.forget('a')
    expect(readdirSync(join(root, 'forgotten'))).toEqual(['a-2.1.jsonl'])
    await recordings.close()
  })
})

describe('a run that came along with its agent', () => {
  const run = { agent: 'a', token: 1 }
  const going = { agent: 'a', seed: 7, startedMs: 1_000 }
  async function packedRun(directory: string, turns: number): Promise<Uint8Array> {
    const recordings = opened(directory)
    const recorder = begun(recordings, 'a')
    for (let turn = 1; turn <= turns; turn += 1) recorder.turn(turn, turnAt(turn, 'x'.repeat(100)))
    const packed = await recordings.packed(run, 1e6)
    await recordings.close()
    if (!packed) throw new Error('it is not recorded')
    return packed
  }
  const times = (directory: string, name: string) => read(directory, name).turns.map(({ nowMs }) => nowMs)

  test('goes on behind the last turn that the agent had when it came [recorded-5]', async () => {
    const recordings = opened('came')
    // Two turns were taken while it was copied.
    await recordings.keep('a', await packedRun('went', 5))
    expect(recordings.recorderOf({ agent: 'a', token: 9 })).toBeUndefined()
    await recordings.goOn({ ...going, turn: 3 }, 9)
    const recorder = recordings.recorderOf({ agent: 'a', token: 9 })
    for (const turn of [3, 4]) recorder?.turn(turn, turnAt(100 + turn))
    await recordings.close()
    expect(times('came', 'a.9')).toEqual([1, 2, 3, 104])
    expect(readdirSync(join(root, 'came'))).toEqual(['a.9.jsonl'])
  })

  test('and had been recorded no further is so for good', async () => {
    const before = opened('over', 1e6, 1_500)
    const recorder = begun(before, 'a')
    for (let turn = 1; turn <= 20; turn += 1) recorder.turn(turn, turnAt(turn, 'x'.repeat(100)))
    await recorder.durable()
    const { length } = read('over', 'a.1').turns
    const packed = await before.packed(run, before.takes)
    await before.close()
    const recordings = opened('over-there')
    await recordings.keep('a', packed)
    await recordings.goOn({ ...going, turn: 20 }, 9)
    recordings.recorderOf({ agent: 'a', token: 9 })?.turn(length + 1, turnAt(1))
    await recordings.close()
    expect(read('over-there', 'a.9')).toMatchObject({
      turns: { length },
      over: 'the 1500 bytes that a run may have are full',
    })
  })

  test.each([
    ['of another beginning is not gone on with', { seed: 8 }, 1e5],
    ['with more than a run may have is not kept, however small it is packed [recorded-3]', {}, 1_000],
  ])('%s', async (what, other, runBytesMax) => {
    const recordings = opened(what, 1e6, runBytesMax)
    await recordings.keep('a', await packedRun(`${what}, before`, 50))
    await recordings.goOn({ ...going, turn: 50, ...other }, 9)
    expect(recordings.recorderOf({ agent: 'a', token: 9 })).toBeUndefined()
    await recordings.close()
  })

  test('takes the place of what waited there, and is forgotten with the agent', async () => {
    const recordings = opened('waits')
    const packed = await packedRun('waits-before', 2)
    await recordings.keep('a', packed)
    await recordings.keep('a')
    expect(readdirSync(join(root, 'waits'))).toEqual([])
    await recordings.keep('a', packed)
    await recordings.forget('a')
    expect(readdirSync(join(root, 'waits'))).toEqual([])
  })
})

describe('what is no recorded run is named', () => {
  test('at the line where it is wrong', async () => {
    const recordings = opened('wrong')
    const recorder = begun(recordings, 'a')
    for (const turn of [1, 2]) recorder.turn(turn, turnAt(turn))
    await recordings.close()
    const path = pathOf('wrong', 'a.1')
    appendFileSync(path, '{"turn":9,"nowMs":1,"inputs":[],"output":{"calls":[],"cancels":[]}}\n')
    expect(() => readRunFile(readFileSync(path))).toThrow('line 4 is not turn 3 of the run')
  })

  test.each([
    ['nothing', '', 'this is no recorded run of an agent'],
    ['another file', 'a,b,c\n1,2,3\n', 'this is no recorded run of an agent'],
    ['one of a later version', '{"v":2}\n', 'the run is of version 2'],
  ])('%s', (_, text, message) => {
    expect(() => readRunFile(Buffer.from(text))).toThrow(message)
  })
})
