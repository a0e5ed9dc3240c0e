/**
 * What the safety kernel of a device says: whether its actuators may move, why not, what is latched, who holds what. It is
 * only shown: arming and clearing are done at the device, by a person with the token.
 */
import type { StatusResult } from '../../../../runtime/wire/messages.ts'
import { sentence, timeOfDay } from '../words.ts'

type SafetyStatus = NonNullable<StatusResult['safety']>

export function Safety({ safety }: { readonly safety: SafetyStatus }) {
  const { armed, emergencyStop, notArmedBecause, faults, leases } = safety
  return (
    <>
      <h4>Safety</h4>
      <ul class="rows safety">
        <li>
          <span>Actuators</span>
          <span class={`badge ${armed ? 'good' : 'bad'}`}>{armed ? 'Armed' : 'Not armed'}</span>
          {!armed && <span class="row-note">{because(notArmedBecause)}</span>}
        </li>
        {emergencyStop && (
          <li>
            <span>Emergency stop</span>
            <span class="badge bad">Pressed</span>
          </li>
        )}
        {faults.map((fault) => (
          <li key={fault.id}>
            <span>{fault.components.join(', ')}</span>
            <span class="badge bad">Fault</span>
            <span class="row-note">
              {fault.message}, since {timeOfDay(fault.atMs)}. At the device, once its cause is gone:{' '}
              <code>ganglion safety clear {fault.id}</code>
            </span>
          </li>
        ))}
        {leases.map(({ components, principal }) => (
          <li key={components.join()}>
            <span>{components.join(', ')}</span>
            <span class="badge">In use</span>
            <span class="row-note">By {holder(principal)}</span>
          </li>
        ))}
      </ul>
    </>
  )
}

function because(reasons: readonly string[]): string {
  return reasons.length === 0 ? 'No reason is given.' : `${reasons.map(sentence).join('. ')}.`
}

/** Who holds a lease, as a person would say it. */
function holder(principal: string): string {
  if (principal === 'user') return 'a person at the device'
  if (principal === 'mqtt:user') return 'a person over the network'
  return principal === 'mqtt' ? 'a program on the broker' : principal
}
