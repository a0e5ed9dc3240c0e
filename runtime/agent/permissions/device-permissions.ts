/** The permissions of one device, with what they keep on the disk and whom they tell. */
import { join } from 'node:path'
import type { Clock } from '../../base/clock.ts'
import type { Identity } from '../../base/identity.ts'
import type { Log } from '../../base/log.ts'
import { Audit, auditIn } from '../../observe/audit.ts'
import type { ApprovalEvent } from '../../wire/approvals.ts'
import { Approvals } from './approvals.ts'
import { Permissions } from './permissions.ts'
import { Uses } from './uses.ts'

export interface DevicePermissionsDeps {
  readonly clock: Clock
  readonly log: Log
  readonly identity: Identity
  /** Tells people that something waits for their yes, and how it ended. Never throws. */
  readonly publish: (event: ApprovalEvent) => void
}

export interface DevicePermissionsOptions {
  /** The log is kept in `audit` below it. */
  readonly stateDir: string
  /** Where agents keep what they leave. */
  readonly directory: string
  readonly timezone: string
}

/** 64 MB of log: some 200,000 calls, and their ends. */
const auditLimits = { fileBytesMax: 4 * 1024 * 1024, filesMax: 16 }

export class DevicePermissions implements AsyncDisposable {
  readonly permissions: Permissions
  readonly approvals: Approvals
  readonly #stack: AsyncDisposableStack

  /** Throws where the disk cannot be used. */
  static async open(
    { clock, log, identity, publish }: DevicePermissionsDeps,
    { stateDir, directory, timezone }: DevicePermissionsOptions,
    signal: AbortSignal,
  ): Promise<DevicePermissions> {
    await using stack = new AsyncDisposableStack()
    const named = log.named('permissions')
    const audit = stack.use(
      await Audit.open(
        { clock, log: named, identity },
        { directory: auditIn(stateDir), ...auditLimits },
        signal,
      ),
    )
    const { uses, recoveredFrom } = Uses.open(join(directory, 'used.db'), clock.nowMs())
    stack.use(uses)
    if (recoveredFrom)
      named.error('what agents have used could not be read: their rates begin anew', { recoveredFrom })
    const approvals = new Approvals({ clock, publish })
    const permissions = new Permissions({ clock, log: named, audit, uses, approvals, timezone })
    return new DevicePermissions(permissions, approvals, stack.move())
  }

  private constructor(permissions: Permissions, approvals: Approvals, stack: AsyncDisposableStack) {
    this.permissions = permissions
    this.approvals = approvals
    this.#stack = stack
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#stack.disposeAsync()
  }
}
