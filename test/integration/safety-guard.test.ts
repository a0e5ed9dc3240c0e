/** The guard when the whole device is killed, and when it stops cleanly: real processes, really killed. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { Guard, makeSafeNow } from '../../hal/safety/guard.ts'
import { workerUrls } from '../../hal/worker-url.ts'
import { DeviceProcess, guardOf, PinFolder, pump, until } from '../fixtures/safety/bench-of-pins.ts'
import { type LogLine, realHost } from '../fixtures/safety/real-host.ts'

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

async function deviceThatIsOn(folder: PinFolder) {
  const device = await DeviceProcess.start(folder)
  await device.ask({ what: 'open', plan: folder.plan([pump(), pump(13, 'fan')]) })
  await device.ask({ what: 'on', component: 'switch.pump', ttlMs: 600_000 })
  expect(folder.level(11)).toBe(1)
  const guard = await until('the guard', () => guardOf(folder.safetyDir, device.child.pid ?? 0))
  return { device, guard }
}

describe('the guard', () => {
  test('drives every output safe when the process and all of its group are killed [safety-10]', async () => {
    using folder = new PinFolder()
    const { device, guard } = await deviceThatIsOn(folder)
    await using _device = device
    await device.kill()
    for (const pin of [11, 13])
      await until(`pin ${pin} written by another process`, () => {
        const written = folder.lastWrite(pin)
        return written?.pid !== device.child.pid && written?.levels[pin] === 0
      })
    await until('the guard to end', () => !isAlive(guard))
    expect(folder.audit().at(-1)).toMatchObject({ what: 'made-safe', who: 'guard' })
  })

  test('ends without doing anything after a clean stop [safety-10]', async () => {
    using folder = new PinFolder()
    const { device, guard } = await deviceThatIsOn(folder)
    await using _device = device
    await device.ask({ what: 'close' })
    await until('the guard to end', () => !isAlive(guard))
    expect(folder.writes().every(({ pid }) => pid === device.child.pid)).toBe(true)
    expect(folder.level(11)).toBe(0)
  })

  test('has a session of its own and ignores the signals of a terminal [safety-10]', async () => {
    using folder = new PinFolder()
    const { device, guard } = await deviceThatIsOn(folder)
    await using _device = device
    const session = readFileSync(`/proc/${guard}/stat`, 'utf8').split(' ')[5]
    expect(session).toBe(String(guard))
    // Bit n - 1 is signal n: HUP 1, INT 2, QUIT 3, TERM 15.
    const ignored = () => /^SigIgn:\s*([0-9a-f]+)$/m.exec(readFileSync(`/proc/${guard}/status`, 'utf8'))?.[1]
    const wanted = 0b100_0000_0000_0111n
    await until('the signals to be ignored', () => (BigInt(`0x${ignored()}`) & wanted) === wanted)
  })

  test('is started again when it is killed, and does its work then [safety-10]', async () => {
    using folder = new PinFolder()
    const { device, guard } = await deviceThatIsOn(folder)
    await using _device = device
    process.kill(guard, 'SIGKILL')
    const next = await until('another guard', () => {
      const found = guardOf(folder.safetyDir, device.child.pid ?? 0)
      return found !== guard && found
    })
    await device.kill()
    await until(
      'safe outputs',
      () => folder.writes().at(-1)?.pid !== device.child.pid && folder.level(11) === 0,
    )
    await until('the guard to end', () => !isAlive(next))
  })

  test('says that it was lost', async () => {
    using folder = new PinFolder()
    const lines: LogLine[] = []
    await using guard = Guard.start(folder.safetyDir, realHost(lines).log)
    const first = guard.pid ?? 0
    process.kill(first, 'SIGKILL')
    await until('another guard', () => guard.pid !== first)
    expect(lines[0]?.message).toBe('the guard process is gone and is started again')
  })
})

describe('the program that makes outputs safe', () => {
  test('does nothing where no device left a plan', async () => {
    using folder = new PinFolder()
    const lines: LogLine[] = []
    await makeSafeNow(folder.safetyDir, realHost(lines).log)
    expect(lines.map(({ level }) => level)).toEqual(['warn'])
    expect(folder.writes()).toEqual([])
  })

  test('ends with an error when a chip does not answer, and says so in the audit', async () => {
    using folder = new PinFolder()
    const { device } = await deviceThatIsOn(folder)
    await using _device = device
    folder.set('fail', '')
    await device.kill()
    const line = await until('the audit', () => folder.audit().find(({ what }) => what === 'made-safe'))
    expect(line.message).toMatch(/cannot be driven: the chip is gone/)
  })

  test('ends by its limit though a part stands still in a loop of its own', async () => {
    using folder = new PinFolder()
    const { device } = await deviceThatIsOn(folder)
    await using _device = device
    folder.set('hang-open', '')
    process.kill(guardOf(folder.safetyDir, device.child.pid ?? 0) ?? 0, 'SIGKILL')
    await device.kill()
    const program = spawn(process.execPath, [fileURLToPath(workerUrls.makeSafe()), folder.safetyDir, '2'], {
      env: { ...process.env, GANGLION_TEST_IO: folder.dir },
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    let told = ''
    program.stderr.on('data', (chunk) => {
      told += chunk
    })
    const [, signal] = await once(program, 'close')
    expect(signal).toBe('SIGKILL')
    expect(told).toBe('make-safe: gave up after 2 s\n')
  })
})
