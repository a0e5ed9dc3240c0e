import { describe, expect, it } from 'vitest'
import { segmentsOf, storyOf } from '../../../gateway/dashboard/src/timeline/story.ts'
import type { CommandEvent } from '../../../runtime/wire/messages.ts'

let ids = 0
function event(
  stage: CommandEvent['stage'],
  sinceMs: number,
  rest: Partial<CommandEvent> = {},
): CommandEvent {
  ids += 1
  return { v: 1, id: `e${ids}`, run: 'r', stage, sinceMs, ts: 1_000_000 + sinceMs, ...rest }
}
const story = (nowMs: number, ...events: CommandEvent[]) => storyOf({ run: 'r', device: 'd', events }, nowMs)
const lamp = { entity: 'light.a', command: { state: 'on' } }
const fan = { entity: 'fan.b', command: { state: 'on' } }

describe('storyOf', () => {
  it('is done when every command that was sent was verified', () => {
    const told = story(
      0,
      event('heard', 0, { text: 'on' }),
      event('sent', 5, lamp),
      event('verified', 90, lamp),
    )
    expect(told.verdict).toBe('done')
    expect(told.transcript).toBe('on')
    expect(told.totalMs).toBe(90)
  })

  it('claims nothing of a command that no telemetry can show', () => {
    expect(story(0, event('sent', 5, lamp), event('taken', 6, lamp), event('answered', 7)).verdict).toBe(
      'taken',
    )
  })

  it('[dashboard-2] stays pending while one of two commands has no verdict', () => {
    const told = story(0, event('sent', 5, lamp), event('sent', 6, fan), event('verified', 90, lamp))
    expect(told.verdict).toBe('pending')
  })

  it('[dashboard-2] calls a run that fell silent unfinished, never done', () => {
    const silent = [event('heard', 0, { text: 'on' }), event('sent', 5, lamp)]
    expect(story(1_000_000 + 59_000, ...silent).verdict).toBe('pending')
    expect(story(1_000_000 + 61_000, ...silent).verdict).toBe('unfinished')
  })

  it('[dashboard-2] has failed when one of several commands failed, although it was answered', () => {
    const told = story(
      0,
      event('sent', 5, lamp),
      event('sent', 6, fan),
      event('verified', 90, lamp),
      event('failed', 2000, fan),
      event('answered', 2001, { text: 'The fan did not.' }),
    )
    expect(told.verdict).toBe('failed')
    expect(told.reply).toBe('The fan did not.')
  })

  it('makes one step of events of one stage that follow each other, in order of time', () => {
    const told = story(0, event('verified', 90, lamp), event('sent', 6, fan), event('sent', 5, lamp))
    expect(told.steps.map(({ stage, parts }) => [stage, parts.length])).toEqual([
      ['sent', 2],
      ['verified', 1],
    ])
  })

  it('gives the bar shares that add up to the whole', () => {
    const told = story(
      0,
      event('heard', 0),
      event('understood', 10),
      event('sent', 20, lamp),
      event('verified', 100, lamp),
    )
    expect(segmentsOf(told).map(({ stage, share }) => [stage, share])).toEqual([
      ['understood', 0.1],
      ['sent', 0.1],
      ['verified', 0.8],
    ])
  })
})
