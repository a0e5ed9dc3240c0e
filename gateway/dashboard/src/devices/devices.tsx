/** The devices behind the home: what they are, their models, memory, link, and what is not as it should be. */
import { devices } from '../state/home.ts'
import { DeviceStatus } from './device-status.tsx'

export function Devices() {
  return (
    <section class="devices" id="devices" aria-labelledby="devices-title">
      <h2 id="devices-title">Devices</h2>
      {devices.value.length === 0 && <p class="empty">No device has reported to this gateway yet.</p>}
      {devices.value.map((device) => (
        <DeviceStatus key={device.id} device={device} />
      ))}
    </section>
  )
}
