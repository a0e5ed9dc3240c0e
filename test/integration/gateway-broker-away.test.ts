/** [api-10] The gateway with somebody else's broker (mosquitto): it works the same, and survives the broker's absence. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, writeFileSync } from 'node:fs'
import { type AddressInfo, connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Gateway } from '../../gateway/gateway.ts'
import { until } from './broker-raw.ts'
import { ask, eventOf, openGateway, post, ScriptedDevice, said } from './gateway-device.ts'

const installed = spawnSync('mosquitto', ['-h']).error === undefined
if (!installed && process.env['CI'])
  throw new Error('mosquitto is not installed: apt-get install -y mosquitto')

const freePort = () =>
  new Promise<number>((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo
      server.close(() => resolve(port))
    })
  })

/** mosquitto on a port, with its sessions and retained messages kept in a folder. */
class Mosquitto {
  readonly port: number
  readonly #config: string
  #child: ChildProcess | undefined

  constructor(port: number, extra = '') {
    const folder = mkdtempSync(join(tmpdir(), 'ganglion-mosquitto-'))
    this.port = port
    this.#config = join(folder, 'mosquitto.conf')
    const auth = extra === '' ? 'allow_anonymous true' : extra
    const lines = [`listener ${port} 127.0.0.1`, auth, 'persistence true', `persistence_location ${folder}/`]
    if (process.getuid?.() === 0) lines.push('user root')
    writeFileSync(this.#config, `${lines.join('\n')}\n`)
  }

  async start(): Promise<void> {
    this.#child = spawn('mosquitto', ['-c', this.#config], { stdio: 'ignore' })
    await until(
      'mosquitto listens',
      () =>
        new Promise((resolve) => {
          const socket = connect(this.port, '127.0.0.1', () => {
            socket.destroy()
            resolve(true)
          }).on('error', () => resolve(false))
        }),
    )
  }

  async stop(): Promise<void> {
    const child = this.#child
    this.#child = undefined
    if (!child) return
    const exited = new Promise((resolve) => child.once('exit', resolve))
    child.kill('SIGTERM')
    await exited
  }
}

let broker: Mosquitto
let gateway: Gateway
let device: ScriptedDevice
const api = (path: string) => `${gateway.httpUrl}/api/${path}`
const health = async () => (await ask(api('health'))).body

describe.skipIf(!installed)('with mosquitto', () => {
  beforeEach(async () => {
    broker = new Mosquitto(await freePort())
    await broker.start()
    gateway = await openGateway({ section: { brokerUrl: `mqtt://127.0.0.1:${broker.port}` } })
    device = await ScriptedDevice.open(gateway.mqttUrl)
    await device.online()
    await until('seen', () => gateway.health().devices[0]?.availability === 'online')
  })
  afterEach(async () => {
    await device[Symbol.asyncDispose]()
    await gateway[Symbol.asyncDispose]()
    await broker.stop()
  })

  it('opens no broker of its own and serves the same API', async () => {
    device.answer = ({ text }) => ({ result: said(String(text)) })
    expect((await post(api('say'), { text: 'lamp on' })).body.transcript).toBe('lamp on')
    expect((await health()).broker).toEqual({
      url: `mqtt://127.0.0.1:${broker.port}`,
      connected: true,
      builtIn: false,
    })
  })

  it('while the broker is away nothing is available and requests say so; afterwards all is back', async () => {
    await broker.stop()
    await until('noticed', async () => (await health()).broker.connected === false)
    const refused = await post(api('say'), { text: 'x' })
    expect([refused.status, refused.body.error.code]).toEqual([503, 'unreachable'])
    const { entities, devices } = (await ask(api('entities'))).body
    expect(entities.some(({ available }: { available: boolean }) => available)).toBe(false)
    expect(devices[0].availability).toBe('unknown')
    await broker.start()
    await until('back', () => gateway.health().broker.connected)
    await device.availability('online')
    await until('online', () => gateway.health().devices[0]?.availability === 'online')
    await until('device back', () => device.client.connected)
    device.answer = () => ({ result: said('again') })
    await device.client.subscribeAsync(device.topics.rpc('dev-1', '+'), { qos: 1 })
    expect((await post(api('say'), { text: 'x' })).body.transcript).toBe('again')
  })

  it('a call under way when the broker goes fails at once', async () => {
    const answer = post(api('say'), { text: 'x' })
    await until('asked', () => device.calls.length === 1)
    await broker.stop()
    expect((await answer).body.error).toEqual({
      code: 'unreachable',
      message: 'the connection to the broker was lost',
    })
  })

  it('events that were published while the gateway restarted are not lost', async () => {
    const section = { brokerUrl: `mqtt://127.0.0.1:${broker.port}` }
    await gateway[Symbol.asyncDispose]()
    await device.event(eventOf('e1', 'r1'))
    gateway = await openGateway({ section })
    await until('heard', async () => (await ask(api('commands'))).body.runs.length === 1)
  })

  it('a device whose retained messages are gone when the broker is back is forgotten', async () => {
    await device.client.endAsync(true)
    await broker.stop()
    const empty = new Mosquitto(broker.port)
    await empty.start()
    await until('back', () => gateway.health().broker.connected)
    await until('forgotten', () => gateway.health().devices.length === 0)
    await empty.stop()
  })
})

it('a broker that is not there leaves the gateway running and degraded, with the reason', async () => {
  const url = `mqtt://127.0.0.1:${await freePort()}`
  await using alone = await openGateway({ section: { brokerUrl: url } })
  const { body } = await ask(`${alone.httpUrl}/api/health`)
  expect(body).toMatchObject({ status: 'degraded', broker: { url, connected: false } })
  expect(body.problems[0]).toBe(`no connection to the broker ${url}: nothing listens there`)
})

it.skipIf(!installed)('a broker that wants a password gets it, and its refusal is named', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'ganglion-passwords-'))
  const passwords = join(folder, 'passwords')
  spawnSync('mosquitto_passwd', ['-b', '-c', passwords, 'ganglion', 'secret'])
  const guarded = new Mosquitto(await freePort(), `allow_anonymous false\npassword_file ${passwords}`)
  await guarded.start()
  const section = { brokerUrl: `mqtt://ganglion@127.0.0.1:${guarded.port}` }
  const open = (password: string) => openGateway({ section, env: { GANGLION_BROKER_PASSWORD: password } })
  await using right = await open('secret')
  expect(right.health().broker).toMatchObject({ connected: true, url: `mqtt://127.0.0.1:${guarded.port}` })
  await right[Symbol.asyncDispose]()
  await using wrong = await open('wrong')
  expect(wrong.health().problems.join()).toMatch(/Not authorized|Bad username or password/i)
  expect(JSON.stringify(wrong.health())).not.toContain('wrong')
  await guarded.stop()
})

it('a broker that speaks MQTT 5 only is spoken to in MQTT 5', async () => {
  const levels: number[] = []
  const five = createServer((socket) => {
    let waiting = Buffer.alloc(0)
    socket.on('error', () => {})
    socket.on('data', (bytes: Buffer) => {
      waiting = Buffer.concat([waiting, bytes])
      for (let packet = packetOf(waiting); packet; packet = packetOf(waiting)) {
        waiting = waiting.subarray(packet.bytes)
        const { type, body } = packet
        // CONNECT: protocol name (6), level.
        if (type === 0x10) {
          levels.push(body[6] as number)
          if (body[6] === 5) socket.write(Buffer.from([0x20, 3, 0, 0, 0]))
          else socket.end(Buffer.from([0x20, 2, 0, 1]))
        }
        const codes = type === 0x82 ? qualitiesOf(body) : []
        if (type === 0x82)
          socket.write(Buffer.from([0x90, 3 + codes.length, ...body.subarray(0, 2), 0, ...codes]))
      }
    })
  }).listen(0, '127.0.0.1')
  await until('listening', () => five.listening)
  const brokerUrl = `mqtt://127.0.0.1:${(five.address() as AddressInfo).port}`
  const modern = await openGateway({ section: { brokerUrl, id: 'modern' } })
  expect(levels.toSorted()).toEqual([4, 4, 5, 5])
  expect(modern.health().broker.connected).toBe(true)
  expect(modern.health().offload.connected).toBe(true)
  await modern[Symbol.asyncDispose]()
  five.close()
})

/** The first packet, once it is whole: a type, and a length of up to two bytes (MQTT 5, 2.1.4). */
function packetOf(bytes: Buffer) {
  const [type = 0, low = 0, high = 0] = bytes
  const isLong = low > 127
  const length = isLong ? (low & 127) + 128 * high : low
  const from = isLong ? 3 : 2
  if (bytes.length < from + length) return undefined
  return { type, body: bytes.subarray(from, from + length), bytes: from + length }
}

/** Of a SUBSCRIBE (MQTT 5, 3.8): identifier (2), properties, then a filter and its options each. */
function qualitiesOf(body: Buffer): number[] {
  const qualities: number[] = []
  for (let at = 3 + (body[2] as number); at < body.length; ) {
    const options = at + 2 + body.readUInt16BE(at)
    qualities.push((body[options] as number) & 3)
    at = options + 1
  }
  return qualities
}
