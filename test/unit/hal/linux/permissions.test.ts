/** The one line that a user gets who may not use a device node. */
import { chmodSync, chownSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { fsError, systemError } from '../../../../hal/linux/errno.ts'
import { permissionAdvice } from '../../../../hal/linux/permissions.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(path.join(os.tmpdir(), 'ganglion-permission-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

test.for([
  ['/nowhere/gpiochip0', 'gpio'],
  ['/nowhere/i2c-1', 'i2c'],
  ['/nowhere/spidev0.0', 'spi'],
  ['/nowhere/ttyAMA0', 'dialout'],
  ['/nowhere/watchdog', 'watchdog'],
])('%s names the group %s', ([node = '', group]) => {
  expect(permissionAdvice(node)).toBe(`no permission; run: sudo usermod -aG ${group} $USER and log in again`)
})

test('the group that the node really has comes before the usual one', (ctx) => {
  ctx.skip(process.getuid?.() !== 0, 'only root can give a file to a group')
  const node = path.join(folder, 'gpiochip0')
  writeFileSync(node, '')
  chmodSync(node, 0o660)
  // games, in every Debian.
  chownSync(node, 0, 60)
  expect(permissionAdvice(node)).toContain('usermod -aG games ')
})

test('a node of root alone gets the rule that gives it to a group', () => {
  const node = path.join(folder, 'watchdog')
  writeFileSync(node, '')
  chmodSync(node, 0o600)
  expect(permissionAdvice(node)).toContain('SUBSYSTEM=="watchdog", GROUP="watchdog", MODE="0660"')
})

test('both ways to be refused become permission, with the advice in one line', () => {
  const { EACCES, EPERM } = os.constants.errno
  const refused = Object.assign(new Error('refused'), { code: 'EACCES' })
  for (const error of [
    systemError(EACCES, 'i2c-1', '/nowhere/i2c-6'),
    systemError(EPERM, 'i2c-1', '/nowhere/i2c-6'),
    fsError(refused, 'i2c-1', '/nowhere/i2c-6'),
  ]) {
    expect(error.code).toBe('permission')
    expect(error.message).toMatch(/^i2c-1 \(\/nowhere\/i2c-6\): no permission; run: sudo usermod -aG i2c .*$/)
  }
})
