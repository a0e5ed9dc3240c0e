/** `ganglion drivers`: what it prints can be pasted, and then it works. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { raspberryPi5 } from '../../../boards/raspberrypi-5.board.ts'
import { checkHardware } from '../../../hal/attached/check.ts'
import { listDrivers } from '../../../hal/index.ts'
import { drivers } from '../../../runtime/cli/commands/drivers.ts'
import type { Context } from '../../../runtime/cli/context.ts'
import { loadDeviceConfig } from '../../../runtime/config/config.ts'

const all = await listDrivers()
const directory = mkdtempSync(join(tmpdir(), 'ganglion-drivers-'))
afterAll(() => rmSync(directory, { recursive: true, force: true }))

async function shown(id: string | undefined, json = false): Promise<string> {
  const lines: string[] = []
  const terminal = { json, out: (line: string) => lines.push(line) }
  const context = { terminal, hal: async () => ({ drivers: listDrivers }) } as unknown as Context
  expect(await drivers(id, context)).toBe(0)
  return lines.join('\n')
}

describe('ganglion drivers', () => {
  it('lists every driver, and as JSON too', async () => {
    const text = await shown(undefined)
    for (const { id, name } of all) expect(text).toContain(`${id.padEnd(4)}`.trim() && name)
    const { drivers: listed } = JSON.parse(await shown(undefined, true))
    expect(listed.map(({ id }: { id: string }) => id)).toEqual(all.map(({ id }) => id))
  })

  it.each(all.map(({ id }) => id))(
    'the lines for %s, pasted, are a configuration without mistakes',
    async (id) => {
      const text = await shown(id)
      const file = join(directory, `${id}.yaml`)
      writeFileSync(file, text.slice(text.indexOf('device:')))
      const { hardware } = loadDeviceConfig({}, file)
      const checked = hardware && checkHardware(hardware, raspberryPi5, all)
      expect(checked).toMatchObject({ ok: true })
      expect(JSON.parse(await shown(id, true))).toMatchObject({ id, snippet: expect.stringContaining(id) })
    },
  )

  it('a traffic signal says what must be there before it moves, and its lines have it', async () => {
    const text = await shown('traffic-head')
    expect(text).toContain('ganglion safety arm')
    expect(text).toContain('conflictMonitor: { pin: 16 }')
    expect(await shown('relay')).not.toContain('safety')
  })

  it('an unknown one is a mistake that names the nearest, and how to see all', async () => {
    await expect(shown('bme281')).rejects.toThrow(/^there is no driver "bme281"; did you mean bme280/)
    await expect(shown('nope')).rejects.toThrow(/^there is no driver "nope"; "ganglion drivers" lists/)
  })
})
