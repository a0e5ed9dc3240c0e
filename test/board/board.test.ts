/** The bundle on an emulated Raspberry Pi 3, seen from outside: MQTT, the chip's registers, the thermometer's world. */
import { execFileSync } from 'node:child_process'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { connectAsync, type MqttClient } from 'mqtt'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { startAedes, type TestBroker } from '../fixtures/broker.ts'
import { fetchDownloads } from './downloads.ts'
import { Guest } from './guest.ts'
import { buildImage, readyLine } from './image.ts'

const repository = join(import.meta.dirname, '..', '..')
const say = (line: string) => process.stderr.write(`${line}\n`)
/** Header pin 11. */
const relayLine = 17
const device = 'pi3'
const topic = (rest: string) => `ganglion/${device}/${rest}`

/** Blocks the main thread of a process through Node's inspector: `node stall.mjs PID MS`. */
const stall = `
process.kill(Number(process.argv[2]), 'SIGUSR1')
const url = async () => (await (await fetch('http://127.0.0.1:9229/json/list')).json())[0].webSocketDebuggerUrl
let found
while (!found) found = await url().catch(() => undefined)
const socket = new WebSocket(found)
const expression = 'for (const end = Date.now() + ' + process.argv[3] + '; Date.now() < end; );'
socket.onopen = () => socket.send(JSON.stringify({ id: 1, method: 'Runtime.evaluate', params: { expression } }))
socket.onmessage = () => socket.close()
`

const config = (safety: string) => `
device:
  id: ${device}
  broker: {url: "mqtt://10.0.2.2:${broker.port}"}
  hostSensors: false
  voice: {enabled: false}
  hardware:
    networkGraceS: 2
    parts:
      - {driver: tmp105, id: hall, bus: i2c-1, address: 0x48, sampleEveryMs: 500}
      - {driver: relay, id: boiler, pin: 11}
    safety: ${safety}
`

let guest: Guest
let broker: TestBroker
let client: MqttClient
const latest = new Map<string, string>()
const cleanups: (() => Promise<unknown> | unknown)[] = []

beforeAll(async () => {
  const downloads = fetchDownloads(say)
  say('building the bundle')
  execFileSync(process.execPath, [join(repository, 'scripts', 'build.ts')], {
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  const image = buildImage(downloads)
  cleanups.push(() => rmSync(image.folder, { recursive: true }))
  broker = await startAedes()
  cleanups.push(() => broker.stop())
  client = await observe(broker.url)
  say('booting an emulated Raspberry Pi 3')
  guest = await Guest.boot(downloads, image)
  cleanups.push(() => guest[Symbol.asyncDispose]())
})

afterAll(async () => {
  for (const cleanup of cleanups.reverse()) await cleanup()
})

async function observe(url: string): Promise<MqttClient> {
  const observer = await connectAsync(url)
  cleanups.push(() => observer.endAsync(true))
  observer.on('message', (name, payload) => latest.set(name, payload.toString()))
  await observer.subscribeAsync('ganglion/#')
  return observer
}

const state = (entity: string): string | undefined => {
  const report = latest.get(topic(`state/${entity}`))
  return report === undefined ? undefined : JSON.parse(report).state
}

const until = (holds: () => unknown, timeout: number) => vi.waitFor(holds, { timeout, interval: 50 })

/** Starts the device in the background; its log is /tmp/log, its process id in /tmp/pid. */
async function startDevice(safety = '{}'): Promise<void> {
  latest.clear()
  await guest.write('/tmp/device.yaml', config(safety))
  await guest.run(
    'node /opt/ganglion/ganglion.js device --config /tmp/device.yaml > /tmp/log 2>&1 & echo $! > /tmp/pid',
  )
  try {
    await until(() => expect(latest.get(topic('availability'))).toBe('online'), 60_000)
  } catch (error) {
    throw new Error(`the device did not come up: ${await guest.run('cat /tmp/log')}`, { cause: error })
  }
}

const switchRelay = (to: 'on' | 'off') =>
  client.publishAsync(topic('set/switch.boiler'), JSON.stringify({ state: to }), { qos: 1 })

const uptimeS = async () => Number((await guest.run('cat /proc/uptime')).split(' ')[0])

const relay = async () => {
  const line = await guest.gpio(relayLine)
  return line.output && line.level === 1 ? 'driven on' : 'not driven on'
}

async function relayBecomes(wanted: 'driven on' | 'not driven on', timeout: number): Promise<void> {
  await vi.waitFor(async () => expect(await relay()).toBe(wanted), { timeout, interval: 50 })
}

test('the guest says that it is a Raspberry Pi 3, and nobody drives the relay', async () => {
  expect(await guest.run("tr '\\0' '\\n' < /proc/device-tree/compatible")).toContain('raspberrypi,3-model-b')
  expect(await guest.run('node -p process.arch')).toBe('arm64')
  expect(await relay()).toBe('not driven on')
})

test('the temperature changed from outside is seen on MQTT within 2 s', async () => {
  await guest.setTemperature(21)
  await startDevice()
  await until(() => expect(Number(state('sensor.hall_temperature'))).toBeCloseTo(21, 0), 20_000)
  await guest.setTemperature(37.5)
  await until(() => expect(Number(state('sensor.hall_temperature'))).toBeCloseTo(37.5, 0), 2_000)
})

test('[board-1] a command from the network drives the line, and the entity says so', async () => {
  expect(await relay()).toBe('not driven on')
  await switchRelay('on')
  await relayBecomes('driven on', 5_000)
  await until(() => expect(state('switch.boiler')).toBe('on'), 5_000)
})

test('doctor recognises the board and sees who answers on its bus', async () => {
  const printed = await guest.run('node /opt/ganglion/ganglion.js doctor --json; true', 120_000)
  const { machine } = JSON.parse(printed.slice(printed.indexOf('{')))
  expect(machine.board.id).toBe('raspberrypi-3b')
  const bus = machine.buses.find((candidate: { id: string }) => candidate.id === 'i2c-1')
  expect(bus.answers.map((answer: { address: string }) => answer.address)).toContain('0x48')
})

test('killing the runtime leaves the line safe', async () => {
  expect(await relay()).toBe('driven on')
  await guest.run('kill -9 $(cat /tmp/pid)')
  await relayBecomes('not driven on', 5_000)
  // A line that is only released floats where it was: low means that the guard drove it low.
  await vi.waitFor(async () => expect((await guest.gpio(relayLine)).level).toBe(0), {
    timeout: 30_000,
    interval: 100,
  })
})

test('a lease that expires drops the line, though the main thread stands still', async () => {
  await guest.write('/tmp/stall.mjs', stall)
  // Longer than a lease, so that it is the lease that ends.
  await startDevice('{silenceMsMax: 30000}')
  await switchRelay('on')
  await relayBecomes('driven on', 10_000)
  await guest.run('node /tmp/stall.mjs $(cat /tmp/pid) 25000 > /tmp/stall 2>&1 & true')
  await relayBecomes('not driven on', 20_000)
  await guest.run('kill -9 $(cat /tmp/pid)')
})

test('the watchdog leaves a healthy device alone, and resets the board when the runtime is killed', async () => {
  const watchdog = await guest.run('cd /sys/class/watchdog; grep -l Software */identity | cut -d/ -f1')
  await startDevice(`{watchdog: /dev/${watchdog.trim()}}`)
  // Longer than the 15 s that the watchdog is set to.
  const startedS = await uptimeS()
  await vi.waitFor(async () => expect(await uptimeS()).toBeGreaterThan(startedS + 20), {
    timeout: 60_000,
    interval: 1_000,
  })
  expect(await guest.run('kill -0 $(cat /tmp/pid) && echo runs')).toBe('runs')
  const rebooted = guest.printed((line) => line.includes(readyLine), 120_000, 'a reset by the watchdog')
  await guest.run('kill -9 $(cat /tmp/pid)')
  await rebooted
  expect(await relay()).toBe('not driven on')
})

test('a lease that ends because the network is gone drops the line', async () => {
  await startDevice()
  await switchRelay('on')
  await relayBecomes('driven on', 10_000)
  await broker.stop()
  await relayBecomes('not driven on', 30_000)
})
