/** Whose agents come to a device, as its own people have said. */
import { describe, expect, test } from 'vitest'
import { acceptRefusal } from '../../../../runtime/agent/move/accept.ts'
import { loadDeviceConfig } from '../../../../runtime/config/config.ts'

const rule = { acceptFrom: ['hub'], keepsFor: ['attic'], proven: false }

describe('an agent of another device [move-9]', () => {
  test('comes only where the configuration names that device, or all; by default none', () => {
    expect(acceptRefusal(rule, 'hub', {})).toBeUndefined()
    expect(acceptRefusal({ ...rule, acceptFrom: ['*'] }, 'eve', {})).toBeUndefined()
    const refused =
      'agents of eve do not come there: name eve in device.agents.acceptFrom of its configuration'
    expect(acceptRefusal(rule, 'eve', {})).toBe(refused)
    const { acceptFrom } = loadDeviceConfig({ id: 'cellar' }).agents
    expect(acceptRefusal({ ...rule, acceptFrom }, 'eve', { proven: true })).toBe(refused)
  })

  test('comes to a device with people only where somebody proved there who they are', () => {
    const known = { ...rule, proven: true }
    expect(acceptRefusal(known, 'hub', { proven: true })).toBeUndefined()
    for (const ask of [{}, { proven: false }])
      expect(acceptRefusal(known, 'hub', ask)).toMatch(/nobody has proved to hub who they are: ask on/)
  })

  test('is copied only to where the configuration keeps copies of that device, whoever may move there', () => {
    expect(acceptRefusal(rule, 'attic', { copy: true })).toBeUndefined()
    expect(acceptRefusal(rule, 'hub', { copy: true })).toBe(
      'it keeps no copies of agents of hub (device.agents.takeOver)',
    )
    expect(acceptRefusal(rule, 'attic', {})).toMatch(/^agents of attic do not come there/)
  })
})
