/** `ganglion person NAME`: what to put into the configuration so that a device knows somebody by a PIN. */

import { yamlOf } from '../../base/config-file.ts'
import { UsageError } from '../../base/errors.ts'
import { hashPassword } from '../../base/password.ts'
import type { Context } from '../context.ts'
import { pinVariable } from '../person.ts'
import { readSecret } from '../secret.ts'

export async function person(name: string, { terminal, signal }: Context): Promise<number> {
  if (!/^[^\p{Cc}\p{Cf}:]{1,64}$/u.test(name) || name.trim() !== name)
    throw new UsageError(`${name} cannot be a name here: at most 64 characters, without a colon`)
  const pin = process.env[pinVariable] ?? (await readSecret(`PIN of ${name}: `, pinVariable, signal))
  if (pin.length < 4 || pin.length > 64) throw new UsageError('a PIN has 4 to 64 characters')
  const entry = { name, pin: await hashPassword(pin) }
  if (terminal.json) terminal.out(JSON.stringify(entry))
  else terminal.out(yamlOf({ device: { people: [entry] } }).trimEnd())
  return 0
}
