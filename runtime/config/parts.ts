/** What the parts of a device are given from its configuration: files are read here, and nowhere behind it. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { messageOf, UsageError } from '../base/errors.ts'
import type { OutboxOptions } from '../link/outbox.ts'
import type { LinkOptions } from '../link/session.ts'
import type { DeviceConfig } from './config.ts'

/** The home to simulate, if one is configured. Throws UsageError when it cannot be read. */
export function readHome(path: string): { name: string; yaml: string } {
  try {
    return { name: path, yaml: readFileSync(path, 'utf8') }
  } catch (error) {
    throw new UsageError(`cannot read the home ${path}: ${messageOf(error)}`, { cause: error })
  }
}

export function outboxOptions(config: DeviceConfig): OutboxOptions {
  return { directory: join(config.stateDir, 'outbox'), bytesMax: config.outbox.megabytesMax * 1024 * 1024 }
}

/** Throws UsageError without a broker, or when the password cannot be read. */
export function linkOptions(config: DeviceConfig): LinkOptions {
  const { url, username, passwordFile } = config.broker
  if (url === undefined)
    throw new UsageError('no broker: name a gateway with --gateway or a broker with --broker')
  return {
    brokerUrl: url,
    deviceId: config.id,
    base: config.base,
    inflightMax: config.outbox.inflightMax,
    ...(username === undefined ? {} : { username }),
    ...(passwordFile === undefined ? {} : { password: readPassword(passwordFile) }),
  }
}

function readPassword(path: string): string {
  try {
    return readFileSync(path, 'utf8').trimEnd()
  } catch (error) {
    throw new UsageError(`cannot read broker.passwordFile ${path}: ${messageOf(error)}`, { cause: error })
  }
}
