/**
 * What each agent has used, and what it may use: processor, tokens, engine, bytes, estimated joules, money. Whoever spends for
 * an agent asks `admit` before and says `add` afterwards. What a piece of work costs is known only when it is done: an agent may
 * go beyond its quota by one piece, and that is taken off what comes next.
 *
 * Invariants: [account-1] in any `perMs` an agent uses at most twice its quota and one piece of work; [account-2] over a quota it
 * waits, or is refused with the quota's name, as the quota says, and others notice nothing; [account-3] what was used, and what is
 * left of quotas, outlives a restart but for the last minute; a clock set back gives nothing back; [account-4] a file that
 * cannot be read is put aside and said, and stops no agent.
 */
import { rename } from 'node:fs/promises'
import { type Cancel, type Clock, sleep } from '../../base/clock.ts'
import { messageOf } from '../../base/errors.ts'
import type { Log } from '../../base/log.ts'
import { Bucket } from '../scheduler/bucket.ts'
import { accountsFile, type KeptAccounts, readAccounts, writeAccounts } from './account-file.ts'
import { Rate } from './rate.ts'
import {
  type Charge,
  type EnergyModel,
  energyOfBoard,
  joulesOf,
  type Metered,
  metered,
  type Quota,
  type Used,
} from './usage.ts'

export interface AccountsOptions {
  /** Where what was used is kept. */
  readonly directory: string
  /** Of each agent. */
  readonly quotas: readonly Quota[]
  /** Instead of `quotas`, for agents of these names. */
  readonly byName?: ReadonlyMap<string, readonly Quota[]>
  readonly energy?: EnergyModel
  /** Accounts kept: the one that was charged longest ago goes. */
  readonly accountsMax?: number
}

export interface AgentUsage {
  readonly agent: string
  readonly used: Used
  readonly turns: number
  readonly memoryBytes: number
  /** Share of one core, 0 to 1 and more, and turns a second, lately. */
  readonly cpuShare: number
  readonly turnsPerS: number
  /** Quotas that are used up: those it waits for, or is refused by. */
  readonly over: readonly Metered[]
}

interface Account {
  readonly used: { [K in Metered]: number }
  turns: number
  memoryBytes: number
  readonly quotas: { readonly quota: Quota; readonly bucket: Bucket }[]
  readonly cpu: Rate
  readonly pace: Rate
}

const keepEveryMs = 60_000
const latelyMs = 10_000
/** No timer of Node's is longer than 24 days. */
const lookAgainMs = 3_600_000

export class Accounts implements AsyncDisposable {
  readonly #clock: Clock
  readonly #log: Log
  readonly #options: Required<AccountsOptions>
  readonly #accounts = new Map<string, Account>()
  #cancelKeep: Cancel | undefined
  #keeping: Promise<void> = Promise.resolve()

  /** Never throws for what is on the disk. */
  static async open(
    deps: { readonly clock: Clock; readonly log: Log },
    options: AccountsOptions,
    signal: AbortSignal,
  ): Promise<Accounts> {
    signal.throwIfAborted()
    const accounts = new Accounts(deps, options)
    await accounts.#restore()
    return accounts
  }

  private constructor({ clock, log }: { clock: Clock; log: Log }, options: AccountsOptions) {
    this.#clock = clock
    this.#log = log.named('accounts')
    this.#options = { energy: energyOfBoard, accountsMax: 1_024, byName: new Map(), ...options }
  }

  /** `turns`: those that this was. */
  add(agent: string, charge: Charge, turns = 0): void {
    const account = this.#count(agent, charge, turns)
    const nowMs = this.#clock.monotonicMs()
    const all = this.#whole(charge)
    for (const { quota, bucket } of account.quotas) bucket.take(all[quota.what] ?? 0, nowMs)
  }

  /** Counts what others did with the agent: it is off no quota of its own. */
  note(agent: string, charge: Charge): void {
    this.#count(agent, charge, 0)
  }

  /**
   * Waits until the agent may spend again on all of these; a line where a quota refuses it. Throws the signal's reason.
   */
  async admit(agent: string, whats: readonly Metered[], signal: AbortSignal): Promise<string | undefined> {
    for (;;) {
      signal.throwIfAborted()
      const refused = this.refusal(agent, whats)
      if (refused !== undefined) return refused
      const over = this.#over(agent, whats)
      if (over.length === 0) return undefined
      await this.#wait(over, signal)
    }
  }

  /** Waits as long as any quota of these is used up: for what cannot be refused. Throws the signal's reason. */
  async pace(agent: string, whats: readonly Metered[], signal: AbortSignal): Promise<void> {
    for (;;) {
      signal.throwIfAborted()
      const over = this.#over(agent, whats)
      if (over.length === 0) return
      await this.#wait(over, signal)
    }
  }

  /** The line with which a quota refuses it now. */
  refusal(agent: string, whats: readonly Metered[]): string | undefined {
    const refusing = this.#over(agent, whats).find(({ quota }) => quota.over === 'refuse')
    return refusing && `${agent} has used ${describe(refusing.quota)}`
  }

  /** The busiest first. */
  report(): AgentUsage[] {
    const nowMs = this.#clock.monotonicMs()
    return [...this.#accounts]
      .map(([agent, { used, turns, memoryBytes, quotas, cpu, pace }]) => ({
        ...{ agent, used: { ...used }, turns, memoryBytes },
        cpuShare: cpu.perS(nowMs) / 1_000,
        turnsPerS: pace.perS(nowMs),
        over: quotas.filter(({ bucket }) => bucket.left(nowMs) <= 0).map(({ quota }) => quota.what),
      }))
      .toSorted((left, right) => right.cpuShare - left.cpuShare || (left.agent < right.agent ? -1 : 1))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#cancelKeep) this.#keepLater()
    await this.#keeping
  }

  #count(agent: string, charge: Charge, turns: number): Account {
    const account = this.#of(agent)
    const nowMs = this.#clock.monotonicMs()
    const all = this.#whole(charge)
    for (const what of metered) account.used[what] += all[what] ?? 0
    if (charge.memoryBytes) account.memoryBytes = charge.memoryBytes
    account.turns += turns
    account.cpu.add(all.cpuMs ?? 0, nowMs)
    account.pace.add(turns, nowMs)
    this.#cancelKeep ??= this.#clock.after(keepEveryMs, () => this.#keepLater())
    return account
  }

  #whole(charge: Charge): Charge {
    return { joules: joulesOf(charge, this.#options.energy), ...charge }
  }

  #over(agent: string, whats: readonly Metered[]): Account['quotas'] {
    const nowMs = this.#clock.monotonicMs()
    const quotas = this.#accounts.get(agent)?.quotas ?? []
    return quotas.filter(({ quota, bucket }) => whats.includes(quota.what) && bucket.left(nowMs) <= 0)
  }

  /** What came back meanwhile is worth a turn only when it is more than nothing. */
  #wait(over: Account['quotas'], signal: AbortSignal): Promise<void> {
    const nowMs = this.#clock.monotonicMs()
    const waits = over.map(({ quota, bucket }) => bucket.waitMs(quota.max * crumb, nowMs))
    return sleep(this.#clock, Math.min(lookAgainMs, Math.max(1, ...waits)), signal)
  }

  #of(agent: string, kept?: KeptAccounts['agents'][string], awayMs = 0): Account {
    const known = this.#accounts.get(agent)
    const account = known ?? this.#opened(agent, kept, awayMs)
    // Last in the map: charged last.
    this.#accounts.delete(agent)
    this.#accounts.set(agent, account)
    const [oldest] = this.#accounts.keys()
    if (this.#accounts.size > this.#options.accountsMax && oldest !== undefined) this.#accounts.delete(oldest)
    return account
  }

  #opened(agent: string, kept: KeptAccounts['agents'][string] | undefined, awayMs: number): Account {
    const { quotas, byName } = this.#options
    const nowMs = this.#clock.monotonicMs()
    const used = Object.fromEntries(metered.map((what) => [what, kept?.used[what] ?? 0])) as Account['used']
    return {
      used,
      turns: kept?.turns ?? 0,
      memoryBytes: kept?.memoryBytes ?? 0,
      quotas: (byName.get(agent) ?? quotas).map((quota) => {
        const { what, max, perMs } = quota
        return { quota, bucket: new Bucket({ max, perMs }, nowMs - awayMs, kept?.left[what]) }
      }),
      cpu: new Rate(latelyMs, nowMs),
      pace: new Rate(latelyMs, nowMs),
    }
  }

  async #restore(): Promise<void> {
    const file = accountsFile(this.#options.directory)
    const kept = await readAccounts(file)
    if (kept === undefined) return
    if (typeof kept === 'string') {
      await rename(file, `${file}.unreadable`).catch(() => {})
      this.#log.error('what agents used could not be read: it was put aside, counting begins anew', {
        reason: kept,
      })
      return
    }
    const awayMs = Math.max(0, this.#clock.nowMs() - kept.atMs)
    for (const [agent, account] of Object.entries(kept.agents)) this.#of(agent, account, awayMs)
  }

  #keepLater(): void {
    this.#cancelKeep?.()
    this.#cancelKeep = undefined
    this.#keeping = this.#keeping.then(() => this.#keep())
  }

  async #keep(): Promise<void> {
    const nowMs = this.#clock.monotonicMs()
    const agents = [...this.#accounts].map(([agent, { used, turns, memoryBytes, quotas }]) => {
      const left = Object.fromEntries(quotas.map(({ quota, bucket }) => [quota.what, bucket.left(nowMs)]))
      return [agent, { used, turns, memoryBytes, left }] as const
    })
    const kept = { version: 1 as const, atMs: this.#clock.nowMs(), agents: Object.fromEntries(agents) }
    try {
      await writeAccounts(accountsFile(this.#options.directory), kept)
    } catch (error) {
      this.#log.warn('what agents used is not kept', { reason: messageOf(error) })
    }
  }
}

/** Share of a quota that must have come back before a wait ends: or it would end for a microsecond. */
const crumb = 0.01

function describe({ what, max, perMs }: Quota): string {
  return `its ${max} ${names[what]} in ${perMs >= 3_600_000 ? `${perMs / 3_600_000} h` : `${perMs / 60_000} min`}`
}

const names: Readonly<Record<Metered, string>> = {
  ticks: 'ticks',
  cpuMs: 'ms of processor time',
  tokens: 'tokens',
  engineMs: 'ms of the engine',
  bytes: 'bytes',
  joules: 'joules',
  money: 'of money',
}
