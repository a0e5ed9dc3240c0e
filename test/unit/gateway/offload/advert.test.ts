/** What a worker says that it offers. */
import { describe, expect, test } from 'vitest'
import { advertOf } from '../../../../gateway/offload/advert.ts'
import { InferenceService } from '../../../../gateway/offload/service.ts'
import { VirtualClock } from '../../../../runtime/base/clock.ts'
import { silentLog } from '../../../../runtime/base/log.ts'
import { wireLimits } from '../../../../runtime/wire/limits.ts'
import { parseAdvert } from '../../../../runtime/wire/offload.ts'
import { echo, ScriptedServing } from '../../../fixtures/serving.ts'
import { model, ScriptedBackend } from './scripted-backend.ts'

const credits = { requests: 4, bytes: 1000 }
const sent = (value: object) => parseAdvert(Buffer.from(JSON.stringify(value)))

describe('[offload-2] advertOf', () => {
  test('a model is as near as the nearest backend that has it', () => {
    const backends = [
      new ScriptedBackend('far', { reach: 'cloud', models: [model('both'), model('cloudy')] }),
      new ScriptedBackend('near', { reach: 'site', models: [model('both')] }),
    ]
    const service = new InferenceService(
      { clock: new VirtualClock(), log: silentLog, backends },
      { queueMax: 10, bytesMax: 1000 },
    )
    const { models } = advertOf('w1', service, credits)
    expect(models.map(({ name, reach }) => [name, reach])).toEqual([
      ['both', 'site'],
      ['cloudy', 'cloud'],
    ])
  })

  test('what it says is understood by devices, and rounded, so that nothing new is not said again', () => {
    const load = { queueMs: 12.3456, p50Ms: 1.234, p95Ms: 9.876, loadMs: 99.5, queued: 2, price: 0.01 }
    const serving = new ScriptedServing({ m: { answer: echo, load, idempotent: false } })
    const value = advertOf('w1', serving, credits)
    expect(sent(value)).toEqual({ ok: true, value })
    expect(value.models[0]).toMatchObject({
      queueMs: 12,
      p50Ms: 1.2,
      p95Ms: 9.9,
      loadMs: 100,
      idempotent: false,
    })
  })

  test('more models than a message holds are left out, the last ones first', () => {
    const names = Array.from({ length: 600 }, (_, n) => `${String(n).padStart(3, '0')}-${'long'.repeat(50)}`)
    const serving = new ScriptedServing(Object.fromEntries(names.map((name) => [name, { answer: echo }])))
    const value = advertOf('w1', serving, credits)
    const bytes = Buffer.byteLength(JSON.stringify(value))
    expect(bytes).toBeLessThanOrEqual(wireLimits.mqttPayloadBytesMax)
    expect(bytes).toBeGreaterThan(wireLimits.mqttPayloadBytesMax / 2)
    expect(value.models[0]?.name).toBe(names[0])
    expect(sent(value)).toMatchObject({ ok: true })
  })
})
