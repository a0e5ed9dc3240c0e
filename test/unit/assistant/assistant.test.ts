/** From words to what telemetry shows, in a simulated home and virtual time. */
import { describe, expect, it } from 'vitest'
import { Assistant } from '../../../runtime/assistant/assistant.ts'
import { understand } from '../../../runtime/understanding/understand.ts'
import type { CommandEvent } from '../../../runtime/wire/messages.ts'
import { check, commandEvent, sayResult } from '../../../runtime/wire/messages.ts'
import { openSimHome, smallHome } from '../../fixtures/sim-home.ts'

async function openAssistant(yaml?: string) {
  const home = await openSimHome(yaml)
  const events: CommandEvent[] = []
  const assistant = new Assistant({ ...home, understand, onEvent: (event) => events.push(event) })
  const say = (text: string, area?: string) =>
    home.clock.run(() => assistant.say(text, { principal: 'user', ...(area ? { area } : {}) }, home.signal))
  return { ...home, assistant, events, say, stages: () => events.map((event) => event.stage) }
}

describe('Assistant', () => {
  it('says done only after telemetry showed it, and tells each step [assistant-1]', async () => {
    const { say, stages, events } = await openAssistant()
    const result = await say('turn on the hall light')
    expect(result).toMatchObject({
      outcome: 'done',
      transcript: 'turn on the hall light',
      commands: [
        {
          entity: 'light.hall',
          command: { state: 'on' },
          outcome: 'done',
          evidence: { observed: { state: 'on' } },
        },
      ],
    })
    expect(stages()).toEqual(['heard', 'understood', 'sent', 'verified', 'answered'])
    expect(new Set(events.map((event) => event.run)).size).toBe(1)
    expect(new Set(events.map((event) => event.id)).size).toBe(events.length)
  })

  it('gives messages that keep to the wire’s schemas', async () => {
    const { say, events } = await openAssistant()
    for (const text of [
      'turn on the hall light',
      'is the front door locked?',
      'set the thermostat to 900 degrees',
    ]) {
      expect(check(sayResult, await say(text))).toMatchObject({ ok: true })
    }
    for (const event of events) expect(check(commandEvent, event)).toMatchObject({ ok: true })
  })

  it('does what is said of one thing in the order it was said', async () => {
    const { say, registry } = await openAssistant()
    const result = await say('turn on the hall fan and set it to 66 percent and turn on the pump')
    expect(result.commands.map(({ outcome }) => outcome)).toEqual(result.commands.map(() => 'done'))
    const twice = await say('turn on the radio and set the radio volume to 20')
    expect(twice.commands.map(({ entity, outcome }) => [entity, outcome])).toEqual([
      ['media_player.radio', 'done'],
      ['media_player.radio', 'done'],
    ])
    expect(registry.get('media_player.radio')?.telemetry.attributes['volume_level']).toBe(0.2)
  })

  it('does not claim what no telemetry can show [assistant-1]', async () => {
    const { say, stages } = await openAssistant()
    const result = await say('skip to the next track on the radio')
    expect(result.commands).toMatchObject([{ command: { action: 'next' }, evidence: { unproven: true } }])
    expect(result.reply).toBe('Radio took the command; whether it was carried out is not reported.')
    expect(stages()).not.toContain('verified')
  })

  it('fails honestly: says which thing did not do it and what was seen', async () => {
    const { say, sim, stages } = await openAssistant()
    sim.fault('light.hall', { kind: 'stuck' })
    const result = await say('turn on the hall light')
    expect(result.outcome).toBe('failed')
    expect(result.reply).toMatch(/^Hall Light did not do it: .*state off, not state on/)
    expect(stages()).toContain('failed')
  })

  it('counts what was done when only some of it was', async () => {
    const { say, sim } = await openAssistant()
    sim.fault('switch.pump', { kind: 'offline' })
    const result = await say('turn on the hall light and the pump')
    expect(result.outcome).toBe('failed')
    expect(result.reply).toMatch(/^1 of 2 done\. Pump did not do it/)
  })

  it.each([
    'set the thermostat to 900 degrees',
    'turn on the flux capacitor',
    'don’t turn on the hall light',
    '',
  ])('moves nothing for %j [assistant-2]', async (text) => {
    const { say, board } = await openAssistant()
    const before = board.components.map((component) => component.current())
    const result = await say(text)
    expect(['refused', 'question']).toContain(result.outcome)
    expect(result.commands).toEqual([])
    expect(result.reply).not.toBe('')
    expect(board.components.map((component) => component.current())).toEqual(before)
  })

  it('asks back with what it could mean, when two things have one name', async () => {
    const twins = `${smallHome}  - { id: light.a, name: Desk, area: garage, state: 'off' }\n  - { id: light.b, name: Desk, area: hall, state: 'off' }\n`
    const { say } = await openAssistant(twins)
    const result = await say('turn on the desk')
    expect(result.outcome).toBe('question')
    expect(result.options?.length).toBeGreaterThan(1)
  })

  it('keeps a very long utterance off the wire', async () => {
    const { say, events } = await openAssistant()
    const result = await say('turn on the light '.repeat(1000))
    expect(result.outcome).toBe('refused')
    expect(events.every((event) => (event.text?.length ?? 0) <= 501)).toBe(true)
  })

  it('takes an area by name or id as the speaker’s place', async () => {
    const { say } = await openAssistant()
    expect((await say('turn on the light', 'Hall')).commands[0]?.entity).toBe('light.hall')
    expect((await say('turn off the light', 'hall')).commands[0]?.entity).toBe('light.hall')
  })
})
