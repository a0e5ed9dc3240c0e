/** `ganglion audit` on a machine with several devices: nobody takes the record of one for that of all. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { realClock } from '../../../runtime/base/clock.ts'
import { Identity } from '../../../runtime/base/identity.ts'
import { silentLog } from '../../../runtime/base/log.ts'
import { DeviceAudit } from '../../../runtime/observe/device-audit.ts'

const stateDir = mkdtempSync(join(tmpdir(), 'ganglion-audit-'))
afterAll(() => rmSync(stateDir, { recursive: true, force: true }))

function audit(...args: string[]) {
  const all = ['runtime/main.ts', 'audit', ...args, '--state-dir', stateDir]
  const { status, stdout, stderr } = spawnSync(process.execPath, all, { encoding: 'utf8' })
  return { status, stdout, stderr }
}
async function kept(device: string, folder: string) {
  const dir = join(stateDir, folder)
  const shared = { clock: realClock, log: silentLog, identity: Identity.open(device, dir) }
  await using log = new DeviceAudit(shared, dir)
  await log.record({ kind: 'asked-for', ask: 'stop', agent: `of-${device}` })
}

test('of one device it is shown and verified, of several the one that is named', async () => {
  expect(audit('show')).toMatchObject({ status: 2, stderr: expect.stringContaining('there is no audit log') })
  await kept('hub', 'device')
  expect(audit('show').stdout).toContain('of-hub')
  expect(audit('verify').stdout).toMatch(/^✓ hub: 2 lines in 1 file are as the device wrote them/)
  await kept('hub-2', 'device-2')
  for (const what of ['show', 'verify'])
    expect(audit(what)).toMatchObject({
      ...{ status: 2, stdout: '', stderr: expect.stringContaining('name one with --device: hub, hub-2') },
    })
  const shown = audit('show', '--device', 'hub-2').stdout
  expect([shown.includes('of-hub-2'), shown.includes('of-hub ')]).toEqual([true, false])
  expect(audit('verify', '--device', 'hub-2').stdout).toContain('✓ hub-2: ')
  expect(audit('verify', '--device', 'attic')).toMatchObject({
    ...{
      status: 2,
      stderr: expect.stringContaining('no device attic of this machine has an audit log: hub, hub-2'),
    },
  })
})
