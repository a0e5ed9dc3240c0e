/** The devices that a command means which names none. */
import { UsageError } from '../base/errors.ts'
import type { HubClient } from './hub-client.ts'

/** All that are online, at least one. Throws UsageError where there is none. */
export async function onlineDevices(hub: HubClient): Promise<readonly string[]> {
  const { devices } = await hub.get<{ devices: { id: string; availability: string }[] }>('/api/devices')
  const online = devices.filter(({ availability }) => availability === 'online').map(({ id }) => id)
  if (online.length === 0)
    throw new UsageError('no device is online: "ganglion up" or "ganglion device" starts one')
  return online
}

/** The only one that is online. Throws UsageError where it is not clear which one is meant. */
export async function onlyDevice(hub: HubClient): Promise<string> {
  const [only = '', ...others] = await onlineDevices(hub)
  if (others.length > 0)
    throw new UsageError(
      `several devices are online, name one with --device: ${[only, ...others].join(', ')}`,
    )
  return only
}
