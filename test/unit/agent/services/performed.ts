/** A call to a service, as an agent's life makes it. */
import type { Json } from '../../../../runtime/agent/contract.ts'
import type { Outcome, Service } from '../../../../runtime/agent/service.ts'
import type { CallOp } from '../../../../runtime/agent/turn.ts'

export interface Performed {
  readonly outcome: Promise<Outcome>
  readonly items: Json[]
  cancel(): void
}

export interface Asked {
  readonly args: { readonly [name: string]: Json }
  readonly askedMs: number
  readonly resumed?: boolean
  readonly id?: number
  readonly token?: number
  readonly lineage?: string
}

export function perform(services: readonly Service[], op: CallOp, asked: Asked): Performed {
  const service = services.find(({ ops }) => ops.includes(op))
  if (!service) throw new Error(`nothing does ${op}`)
  const { args, askedMs, resumed = false, id = 1, token = 1, lineage } = asked
  const items: Json[] = []
  const controller = new AbortController()
  const emit = (item: Json) => {
    items.push(structuredClone(item))
    return true
  }
  const call = { id, op, args }
  const caller = { agent: 'night-watch', token, ...(lineage === undefined ? {} : { lineage }) }
  return {
    outcome: service.perform({ caller, call, resumed, askedMs, emit }, controller.signal),
    items,
    cancel: () => controller.abort(new Error('the agent no longer waits')),
  }
}
