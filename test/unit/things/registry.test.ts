import { describe, expect, it } from 'vitest'
import type { ComponentInfo } from '../../../hal/contract/component.ts'
import { EntityRegistry } from '../../../runtime/things/registry.ts'
import { wireLimits } from '../../../runtime/wire/limits.ts'

const info = (id: string): ComponentInfo => ({ id, kind: 'light', name: id, simulated: true })
const off = { state: 'off', attributes: {}, tsMs: 10 }

describe('EntityRegistry', () => {
  it('refuses a second entity of the same id [things-1]', () => {
    const registry = new EntityRegistry([])
    registry.add(info('light.a'), off)
    expect(() => registry.add(info('light.a'), off)).toThrow('two entities called light.a')
  })

  it('refuses more entities than the wire carries [things-2]', () => {
    const registry = new EntityRegistry([])
    for (let index = 0; index < wireLimits.entitiesMax; index++) registry.add(info(`light.a${index}`), off)
    expect(() => registry.add(info('light.last'), off)).toThrow(`at most ${wireLimits.entitiesMax}`)
  })

  it('never lets an older report replace a newer one [things-3]', () => {
    const registry = new EntityRegistry([])
    const seen: string[] = []
    registry.add(info('light.a'), off)
    registry.onReport((entity) => seen.push(entity.telemetry.state))
    registry.report('light.a', { ...off, state: 'on', tsMs: 20 })
    registry.report('light.a', { ...off, state: 'off', tsMs: 19 })
    expect(registry.get('light.a')?.telemetry.state).toBe('on')
    expect(seen).toEqual(['on'])
  })

  it('gives the same view until something changes', () => {
    const registry = new EntityRegistry([{ id: 'hall', name: 'Hall' }])
    registry.add(info('light.a'), off)
    const before = registry.view()
    expect(registry.view()).toBe(before)
    registry.report('light.a', { ...off, state: 'on', tsMs: 20 })
    expect(registry.view()).not.toBe(before)
    expect(before.entities[0]?.telemetry.state).toBe('off')
  })
})
