/**
 * Why this device's safety kernel forbids what is to be decided: the decision is about an actuator that is attached here, and that one
 * may not move now, because of a latched fault, an emergency stop, or as outputs are not armed. A decision is about it when
 * its subject, or the `entity` of its task or value, is the actuator's id, with `@<this device>` or without.
 */
import type { Safety, SafetyStatus } from '../../../hal/contract/safety.ts'
import type { OpenBody } from '../../wire/decide.ts'

export type Veto = (open: OpenBody) => string | undefined

export interface SafetyVeto extends Disposable {
  readonly veto: Veto
}

export async function safetyVeto(safety: Safety, device: string): Promise<SafetyVeto> {
  let status: SafetyStatus | undefined
  const cancel = safety.onChange((changed) => {
    status = changed
  })
  status ??= await safety.status()
  const veto: Veto = (open) => {
    const entity = entitiesOf(open)
      .map((id) => (id.endsWith(`@${device}`) ? id.slice(0, -device.length - 1) : id))
      .find((id) => safety.components.has(id))
    return entity === undefined ? undefined : stoppedBy(status, entity)
  }
  return { veto, [Symbol.dispose]: cancel }
}

function entitiesOf(open: OpenBody): readonly string[] {
  const about = open.what === 'contract-net' ? open.task : open.what === 'agree' ? open.value : undefined
  const entity = typeof about === 'object' && about !== null && 'entity' in about ? about.entity : undefined
  return typeof entity === 'string' ? [open.subject, entity] : [open.subject]
}

function stoppedBy(status: SafetyStatus | undefined, entity: string): string | undefined {
  if (!status) return undefined
  const { emergencyStop, faults, armed, notArmedBecause } = status
  if (emergencyStop) return 'the emergency stop is pressed'
  const fault = faults.find(({ components }) => components.includes(entity))
  if (fault) return `${entity} has a fault: ${fault.message}`
  if (!armed) return `outputs are not armed: ${notArmedBecause.join('; ')}`
  return undefined
}
