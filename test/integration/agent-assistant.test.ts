/** What is said to a whole device over MQTT goes through the assistant that runs on it, and is done without it where a person stopped it. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { House } from '../fixtures/house.ts'

/** Commands on record that the assistant gave. */
function recorded(stateDir: string): number {
  const audit = join(stateDir, 'audit')
  const lines = readdirSync(audit).flatMap((name) => readFileSync(join(audit, name), 'utf8').split('\n'))
  return lines.filter((line) => /"agent":"assistant".*"kind":"decision".*"op":"command"/.test(line)).length
}

it('is done by the assistant while it runs, after a restart too, and by the device once it is stopped [assistant-7]', async () => {
  await using house = await House.open(['hub'])
  const say = (text: string) => house.call('hub', 'say', { text })
  const done = (entity: string) => ({ outcome: 'done', commands: [{ entity, evidence: { attempts: 1 } }] })
  expect(await say('turn on the pump')).toMatchObject(done('switch.pump'))
  await house.runShipped('hub', 'assistant')
  await house.waits('hub', 'assistant', 'calls')
  expect(await say('turn on the hall light')).toMatchObject(done('light.hall'))
  await house.eventually('it is on record', async () => recorded(house.stateDir('hub')) > 0)
  const before = recorded(house.stateDir('hub'))
  await house.stop('hub')
  await house.start('hub')
  await house.eventually('it is said again', async () => {
    const result = (await say('turn off the pump').catch(() => undefined)) as { outcome?: string } | undefined
    return result?.outcome === 'done'
  })
  await house.eventually('that is on record', async () => recorded(house.stateDir('hub')) > before)
  await house.call('hub', 'agent', { ask: 'stop', name: 'assistant', by: 'Ada' })
  const after = recorded(house.stateDir('hub'))
  expect(await say('turn on the hall fan')).toMatchObject(done('fan.hall'))
  expect(recorded(house.stateDir('hub'))).toBe(after)
}, 120_000)
