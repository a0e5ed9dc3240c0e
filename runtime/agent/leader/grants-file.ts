/**
 * What this device granted, on its disk before anybody hears of it: after a restart it must not grant the same to another. Written
 * when a name gets another holder or a longer time, not when one is prolonged. There is no file before the first grant.
 */
import { existsSync, readFileSync, renameSync } from 'node:fs'
import { dirname } from 'node:path'
import * as v from 'valibot'
import { writeDurablySync } from '../../base/durable-file.ts'
import { makeDirectory } from '../../base/state-dir.ts'
import { leaseLimits, leaseName } from '../../wire/lease.ts'
import { check } from '../../wire/messages.ts'
import { deviceId } from '../../wire/signed.ts'
import type { KeptGrant } from './claims.ts'

/** Of all 64 devices that are believed the least that each may have. */
const grantsMax = leaseLimits.namesMax + 64 * leaseLimits.namesOfDeviceLeast
const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0))
const file = v.object({
  v: v.literal(1),
  grants: v.pipe(
    v.array(
      v.object({
        ...{ name: leaseName, holder: deviceId, token: count },
        ttlMs: v.pipe(count, v.maxValue(leaseLimits.ttlMsMax)),
      }),
    ),
    v.maxLength(grantsMax),
  ),
})

export interface GrantsRead {
  readonly grants: readonly KeptGrant[]
  /** Where what was there was put, as nobody can read it. What this device granted is then unknown. */
  readonly putAside?: string
}

export class GrantsFile {
  readonly #path: string
  #kept = new Map<string, KeptGrant>()

  constructor(path: string) {
    this.#path = path
  }

  read(nowMs: number): GrantsRead {
    if (!existsSync(this.#path)) return { grants: [] }
    const parsed = check(file, parseOrUndefined(readFileSync(this.#path, 'utf8')))
    if (parsed.ok) {
      this.#kept = new Map(parsed.value.grants.map((grant) => [grant.name, grant]))
      return { grants: parsed.value.grants }
    }
    const putAside = `${this.#path}.corrupt-${nowMs}`
    renameSync(this.#path, putAside)
    return { grants: [], putAside }
  }

  /** Whether what is on the disk says as much already. */
  has({ name, holder, token, ttlMs }: KeptGrant): boolean {
    const kept = this.#kept.get(name)
    return kept !== undefined && kept.token === token && kept.holder === holder && kept.ttlMs >= ttlMs
  }

  /** Throws where the disk cannot be used. */
  keep(all: readonly KeptGrant[]): void {
    makeDirectory(dirname(this.#path))
    writeDurablySync(this.#path, JSON.stringify({ v: 1, grants: all }))
    this.#kept = new Map(all.map((one) => [one.name, one]))
  }
}

function parseOrUndefined(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
