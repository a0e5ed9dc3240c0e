/** One attached sensor as components: ids, units, quality, and what becomes of a value that is not renewed. */
import { describe, expect, it } from 'vitest'
import type { Outcome } from '../../../../hal/attached/sensor-loop.ts'
import { SensorPart } from '../../../../hal/attached/sensor-part.ts'
import type { ChannelName, Quality } from '../../../../hal/contract/channels.ts'
import type { Telemetry } from '../../../../hal/contract/component.ts'
import { testHost } from '../host.ts'

function partOf(names: readonly ChannelName[] = ['temperature', 'humidity']) {
  const { host, clock, lines } = testHost()
  const asked: number[] = []
  const identity = {
    id: 'cellar',
    name: 'Cellar',
    area: 'basement',
    device: { id: 'cellar', name: 'Cellar', manufacturer: 'Bosch', model: 'BME280' },
    simulated: true,
    sampleMsMax: 100,
  }
  const part = new SensorPart(identity, names, host, () => asked.push(clock.monotonicMs()))
  const told: Telemetry[] = []
  const [first] = part.sensors
  if (!first) throw new Error('no sensor')
  first.onTelemetry((telemetry) => told.push(telemetry))
  const reading = (value: number, quality: Quality = 'ok', faults: readonly string[] = []): Outcome => ({
    reading: { channels: { [names[0] ?? 'temperature']: { value, quality } }, tsMs: clock.nowMs() },
    faults,
  })
  return { part, first, told, clock, lines, asked, reading }
}

const nack: Outcome = { error: { code: 'no-acknowledge', message: 'cellar: no acknowledge' }, lost: false }

describe('the log', () => {
  it('has the same trouble once, however often it comes and goes, and another trouble at once', () => {
    const { part, lines, reading, clock } = partOf()
    for (let times = 0; times < 100; times += 1) {
      part.take(nack)
      part.take(reading(20))
      clock.advance(1_000)
    }
    expect(lines.map(({ message }) => message)).toEqual(['a sensor does not answer', 'a sensor is back'])
    part.take({ error: { code: 'checksum', message: 'cellar: checksum' }, lost: false })
    expect(lines.at(-1)?.fields).toMatchObject({ reason: 'cellar: checksum' })
  })
})

describe('what a component is', () => {
  it('has its channel’s unit and device class, and shares a device with the others', () => {
    const { part } = partOf()
    expect(part.sensors.map(({ info }) => info)).toMatchObject([
      {
        id: 'sensor.cellar_temperature',
        kind: 'sensor',
        name: 'Cellar temperature',
        area: 'basement',
        unit: '°C',
        deviceClass: 'temperature',
        device: { id: 'cellar', manufacturer: 'Bosch', model: 'BME280' },
        simulated: true,
      },
      { id: 'sensor.cellar_humidity', unit: '%', deviceClass: 'humidity', device: { id: 'cellar' } },
    ])
  })

  it('a binary channel is a binary sensor, on or off', () => {
    const { part, first, reading } = partOf(['motion'])
    expect(first.info).toMatchObject({ id: 'binary_sensor.cellar_motion', kind: 'binary_sensor' })
    expect(first.info.unit).toBeUndefined()
    part.take(reading(1))
    expect(first.current().state).toBe('on')
    part.take(reading(0))
    expect(first.current().state).toBe('off')
  })
})

describe('telemetry', () => {
  it('is unknown before the first value, then rounded to what is worth showing', () => {
    const { part, first, reading } = partOf()
    expect(first.current().state).toBe('unknown')
    part.take(reading(21.239_9))
    expect(first.current()).toMatchObject({
      state: '21.24',
      attributes: { unit_of_measurement: '°C', device_class: 'temperature' },
    })
    part.take(reading(-0.000_1))
    expect(first.current().state).toBe('0')
  })

  it('carries quality and faults only when something is wrong', () => {
    const { part, first, reading } = partOf()
    part.take(reading(20))
    expect(first.current().attributes).not.toHaveProperty('quality')
    part.take(reading(125, 'saturated', ['heater on']))
    expect(first.current().attributes).toMatchObject({ quality: 'saturated', faults: ['heater on'] })
  })

  it('comes with every change, and an unchanged value twice a minute [attached-9]', () => {
    const { part, told, clock, reading } = partOf()
    for (let second = 0; second < 120; second++) {
      part.take(reading(20))
      clock.advance(1_000)
    }
    expect(told.length).toBe(4)
    part.take(reading(20.5))
    expect(told.at(-1)?.state).toBe('20.5')
  })

  it('a value is stale from the first miss, unavailable after three, and back with the next sample [attached-8]', () => {
    const { part, first, reading, lines, clock } = partOf()
    part.take(reading(20))
    clock.advance(1_000)
    part.take(nack)
    expect(first.current()).toMatchObject({
      state: '20',
      attributes: { quality: 'stale', problem: 'cellar: no acknowledge' },
    })
    part.take(nack)
    expect(first.current().state).toBe('20')
    part.take(nack)
    expect(first.current()).toMatchObject({
      state: 'unavailable',
      attributes: { problem: expect.any(String) },
    })
    part.take(reading(19))
    expect(first.current().state).toBe('19')
    expect(first.current().attributes).not.toHaveProperty('problem')
    expect(lines.map(({ message }) => message)).toEqual(['a sensor does not answer', 'a sensor is back'])
  })

  it('a part that is lost is unavailable at once', () => {
    const { part, first, reading } = partOf()
    part.take(reading(20))
    part.take({ error: { code: 'timeout', message: 'cellar: hung' }, lost: true })
    expect(first.current().state).toBe('unavailable')
  })
})

describe('a sample that somebody asks for', () => {
  it('asks the thread and gives what came', async () => {
    const { part, first, asked, clock, reading } = partOf()
    const sampled = first.sample(AbortSignal.timeout(60_000))
    await new Promise((resolve) => setImmediate(resolve))
    expect(asked).toEqual([clock.monotonicMs()])
    part.take(reading(22))
    expect((await sampled).state).toBe('22')
  })

  it('fails with the part’s own reason, after its deadline, or when the board closes', async () => {
    const { part, first, clock } = partOf()
    const signal = AbortSignal.timeout(60_000)
    const refused = first.sample(signal)
    part.take(nack)
    await expect(refused).rejects.toMatchObject({ code: 'no-acknowledge' })
    const late = first.sample(signal)
    clock.advance(2_000)
    await expect(late).rejects.toMatchObject({ code: 'timeout' })
    const closing = first.sample(signal)
    part.close()
    await expect(closing).rejects.toMatchObject({ code: 'closed' })
    await expect(first.sample(signal)).rejects.toMatchObject({ code: 'closed' })
  })
})
