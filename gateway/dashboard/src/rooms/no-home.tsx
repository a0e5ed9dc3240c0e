/** In place of the rooms while there are none: loading, failed, no device yet, or a device without entities. */
import { devices, type Loading } from '../state/home.ts'

export function NoHome({ loading }: { readonly loading: Loading }) {
  if (loading.kind === 'loading') return <p class="empty">Looking for the home…</p>
  if (loading.kind === 'locked') return <p class="empty">Locked until the token is given.</p>
  if (loading.kind === 'failed')
    return (
      <div class="empty">
        <h3>The home could not be loaded</h3>
        <p>{loading.message}. This page tries again by itself.</p>
      </div>
    )
  if (devices.value.length > 0)
    return (
      <div class="empty">
        <h3>No entities yet</h3>
        <p>
          {devices.value.map((device) => device.name).join(', ')} is known here, but reports nothing to show.
          Give it a home file, or connect hardware, and it appears here by itself.
        </p>
      </div>
    )
  return (
    <div class="empty">
      <h3>No device yet</h3>
      <p>
        Start one on this machine with a simulated home: <code>ganglion up</code>. Or point a device at this
        gateway’s MQTT broker. It appears here by itself, no reload needed.
      </p>
    </div>
  )
}
