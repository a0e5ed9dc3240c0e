/** Who gives a command, as far as this machine can show it. */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { Identity } from '../../../runtime/base/identity.ts'
import type { Context } from '../../../runtime/cli/context.ts'
import { announceHub } from '../../../runtime/cli/hub-file.ts'
import { personFor } from '../../../runtime/cli/person.ts'
import { localBytes } from '../../../runtime/wire/person.ts'

const what = ['approve', 'a1', 'yes']
const by = userInfo().username
let hubDir: string
let context: Context
beforeEach(() => {
  hubDir = mkdtempSync(join(tmpdir(), 'person-'))
  context = { hubDir, stateDir: undefined, signal: new AbortController().signal } as Context
})
afterEach(() => rmSync(hubDir, { recursive: true }))

it('[people-1] is who may read the key of a device that runs here without a hub', async () => {
  const attic = Identity.open('attic', hubDir)
  mkdirSync(join(hubDir, 'outbox'))
  const { local, ...said } = await personFor({}, 'attic', what, context)
  expect(said).toEqual({ by })
  const { atMs = 0, sig = '' } = local ?? {}
  const bytes = localBytes('attic', by, atMs, what)
  expect(attic.verify('attic', bytes, Buffer.from(sig, 'base64'))).toBe('valid')
})

it('[people-1] is a name alone where there is no key, or a name was given', async () => {
  expect(await personFor({}, 'attic', what, context)).toEqual({ by })
  Identity.open('attic', hubDir)
  expect(await personFor({ by: 'Ada' }, 'attic', what, context)).toEqual({ by: 'Ada' })
})

it('[people-1] is a name alone for a device that is none of the hub that runs here', async () => {
  Identity.open('hub', join(hubDir, 'device'))
  mkdirSync(join(hubDir, 'device-2'))
  Identity.open('hub-2', join(hubDir, 'device-2'))
  const running = { http: 'http://127.0.0.1:1', mqtt: 'mqtt://127.0.0.1:1', device: 'hub' }
  using _ = announceHub(hubDir, running)
  expect(await personFor({}, 'hub', what, context)).toHaveProperty('local')
  expect(await personFor({}, 'hub-2', what, context)).toHaveProperty('local')
  expect(await personFor({}, 'cellar', what, context)).toEqual({ by })
})
