/** The device that a command means which names none: the only one that is online. */
import { UsageError } from '../base/errors.ts'
import type { HubClient } from './hub-client.ts'

/** Throws UsageError where it is not clear which one is meant. */
export async function onlyDevice(hub: HubClient): Promise<string> {
  const { devices } = await hub.get<{ devices: { id: string; availability: string }[] }>('/api/devices')
  const online = devices.filter(({ availability }) => availability === 'online').map(({ id }) => id)
  const [only, ...others] = online
  if (only === undefined) throw new UsageError('no device is online')
  if (others.length > 0)
    throw new UsageError(`several devices are online, name one with --device: ${online.join(', ')}`)
  return only
}
